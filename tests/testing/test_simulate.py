"""`simulate` for users: it finds faults of their flows, says what happened, shrinks it, and leaves a journal."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
import trio

from procession import (
    Command,
    Effects,
    Event,
    Gateway,
    History,
    ProcessManager,
    Refused,
    after,
    cancel,
    ends,
    folds,
    invariant,
    on,
    starts,
)
from procession.daemon.cli import main
from procession.errors import PublishRefused, UnknownType, WiringError
from procession.testing import Fault, simulate
from tests.engine.tally import Opened


class Asked(Event, name="quote.asked"):
    quote: str


class Priced(Event, name="quote.priced"):
    quote: str


class TimeRanOut(Event, name="quote.time_ran_out"):
    quote: str


class Sent(Event, name="quote.sent"):
    quote: str


class Apologised(Event, name="quote.apologised"):
    quote: str


class Price(Command, name="quote.price"):
    quote: str


class Send(Command, name="quote.send"):
    quote: str


class Apologise(Command, name="quote.apologise"):
    quote: str


class Office(Gateway, name="office"):
    async def price(self, command: Price) -> Priced:
        raise NotImplementedError

    async def send(self, command: Send) -> Sent:
        raise NotImplementedError

    async def apologise(self, command: Apologise) -> Apologised:
        raise NotImplementedError


class Quote(ProcessManager, name="quote", key="quote"):
    """A race: what is priced after its time ran out is sent all the same."""

    late: bool = False

    @folds
    def ran_out(self, event: TimeRanOut) -> Quote:
        return self.evolve(late=True)

    @starts
    def asked(self, asked: Asked) -> Effects:
        yield Price(asked.quote)
        yield after(timedelta(seconds=1), TimeRanOut(asked.quote))

    @on
    def priced(self, priced: Priced) -> Effects:
        yield cancel(TimeRanOut)
        yield Send(priced.quote)

    @on
    def too_late(self, event: TimeRanOut) -> Effects:
        yield Apologise(event.quote)

    @ends
    def done(self, event: Sent) -> None:
        """It is out."""

    @on
    def said(self, event: Apologised) -> None:
        """Now the price may still come."""


class MendedQuote(ProcessManager, name="quote", key="quote"):
    """The same without the race: once late, it only apologises."""

    late: bool = False

    @folds
    def ran_out(self, event: TimeRanOut) -> MendedQuote:
        return self.evolve(late=True)

    @starts
    def asked(self, asked: Asked) -> Effects:
        yield Price(asked.quote)
        yield after(timedelta(seconds=1), TimeRanOut(asked.quote))

    @on
    def priced(self, priced: Priced) -> Effects:
        yield cancel(TimeRanOut)
        if not self.late:
            yield Send(priced.quote)

    @on
    def too_late(self, event: TimeRanOut) -> Effects:
        yield Apologise(event.quote)

    @ends
    def done(self, event: Sent | Apologised) -> None:
        """It is settled."""


@invariant(Quote)
def never_sends_and_apologises(history: History) -> bool:
    """A quote is sent or apologised for, not both."""
    return not history.sent(Send) or not history.sent(Apologise)


@invariant(MendedQuote)
def mended_never_does_both(history: History) -> bool:
    return not history.sent(Send) or not history.sent(Apologise)


LOAD = [Asked("1"), Asked("2"), Asked("3")]


def test_a_race_of_the_users_own_is_found_with_its_seed_and_what_happened(tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        simulate(
            processes=[Quote],
            gateways=[Office],
            invariants=[never_sends_and_apologises],
            load=LOAD,
            seeds=range(200),
            folder=tmp_path,
        )
    said = str(caught.value)
    assert re.search(r"^seed \d+ breaks what is promised:", said)
    assert "never_sends_and_apologises: quote/" in said
    assert "A quote is sent or apologised for, not both." in said
    assert re.search(r"simulate\(\.\.\., seeds=\[\d+\]\)", said)


def test_the_mended_flow_is_clean() -> None:
    report = simulate(
        processes=[MendedQuote],
        gateways=[Office],
        invariants=[mended_never_does_both],
        load=LOAD,
        seeds=range(15),
        faults={Fault.SLOW_GATEWAYS, Fault.CRASH, Fault.CRASH_AFTER_COMMIT, Fault.COMMIT_KEPT},
    )
    assert str(report).startswith("15 seeds clean: ")


def test_a_failure_is_shrunk_and_its_journal_opens_with_show(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AssertionError) as caught:
        simulate(
            processes=[Quote],
            gateways=[Office],
            invariants=[never_sends_and_apologises],
            load=LOAD,
            seeds=range(200),
            folder=tmp_path,
        )
    shrinking = re.search(r"shrunk in \d+ runs from size (\d+) to (\d+)", str(caught.value))
    assert shrinking is not None
    assert int(shrinking[2]) < int(shrinking[1])
    (journal,) = tmp_path.glob("seed-*.db")
    (text,) = tmp_path.glob("seed-*.txt")
    assert "what happened:" in text.read_text("utf-8")
    flow = re.search(r"show (quote/\d)", str(caught.value))
    assert flow is not None
    assert main(["--journal", str(journal), "show", flow[1]]) == 0
    shown = capsys.readouterr().out
    assert "quote.asked" in shown
    assert main(["--journal", str(journal), "doctor"]) == 0


def test_a_flow_that_waits_for_nothing_is_found() -> None:
    class StuckQuote(MendedQuote, name="quote", key="quote"):
        @ends
        def done(self, event: Sent) -> None:  # type: ignore[override]  # that an apology settles it was forgotten
            """It is out."""

        @on
        def said(self, event: Apologised) -> None:
            """Nobody is asked for anything any more."""

    with pytest.raises(AssertionError, match=r"quote/\d waits for nothing and has not ended"):
        simulate(processes=[StuckQuote], gateways=[Office], load=LOAD, seeds=range(200))


def test_a_flow_in_a_quarantine_that_nobody_can_mend_is_found() -> None:
    with pytest.raises(AssertionError, match=r"quote/\d is in quarantine and stays there: a command was given up"):
        simulate(processes=[Quote], gateways=[Office], load=[Asked("1")], seeds=range(9), outcomes={Send: [Refused]})


def test_a_process_may_be_said_to_wait() -> None:
    class Waiting(ProcessManager, name="quote", key="quote"):
        @starts
        def asked(self, asked: Asked) -> None:
            """Whatever follows, follows from elsewhere."""

        @ends
        def settled(self, event: Sent) -> None:
            """It does not come in this load."""

    simulate(processes=[Waiting], load=LOAD, seeds=range(5), may_wait=[Waiting])
    with pytest.raises(AssertionError, match="waits for nothing"):
        simulate(processes=[Waiting], load=LOAD, seeds=range(10))


def test_without_faults_nothing_goes_wrong_and_all_ends() -> None:
    report = simulate(processes=[Quote], gateways=[Office], load=LOAD, seeds=range(10), faults=())
    assert (report.seeds, report.lives, report.attempts) == (10, 30, 60)


def test_a_load_that_can_not_be_published_is_refused_before_anything_runs() -> None:
    with pytest.raises(UnknownType):
        simulate(processes=[Quote], gateways=[Office], load=[Opened("a")])
    with pytest.raises(PublishRefused):
        simulate(processes=[Quote], gateways=[Office], load=[Asked("")])


def test_a_simulation_of_nothing_is_refused() -> None:
    with pytest.raises(WiringError, match="no process to simulate"):
        simulate(load=[])


async def test_a_simulation_inside_of_a_run_is_refused() -> None:
    with pytest.raises(RuntimeError, match="plain `def test`"):
        simulate(processes=[Quote], gateways=[Office], load=LOAD)
    await trio.lowlevel.checkpoint()
