"""The testing kit and aggregates: claims about one, and worlds, explorations and simulations that have some."""

from __future__ import annotations

import hypothesis
import pytest
import trio
from hypothesis import strategies as st
from trio.testing import MockClock

from procession import (
    Aggregate,
    Command,
    CommandRefused,
    Effects,
    Event,
    ProcessManager,
    Refusal,
    Settings,
    Wiring,
    decides,
    ends,
    open_runtime,
    starts,
)
from procession.errors import DefinitionError, InvalidKey
from procession.journal.memory import MemoryJournal
from procession.primitives.registration import build_registry
from procession.settings import AggregatesSettings
from procession.testing import World, explore, given, simulate
from procession.testing.simulation.decided_again import decided_again
from procession.testing.strategies import commands, events, histories, refusals
from tests.engine.bank import (
    Account,
    Break,
    Close,
    Deposit,
    Deposited,
    TooLittleMoney,
    Transfer,
    TransferRequested,
    Withdraw,
    Withdrawn,
)
from tests.laws.planted.decisions import DecidesByClock, Reserve

SNAPSHOTS = Settings(aggregates=AggregatesSettings(snapshot_every_events=2))
BANK = Wiring((Transfer,), (), aggregates=(Account,))


# given, when, then.


def test_events_are_decided_on_what_happened_before() -> None:
    given(Account, Deposited("a", 500), Withdrawn("a", 100)).when(Withdraw("a", 400)).then(Withdrawn("a", 400))


def test_a_refusal_is_compared_with_its_data() -> None:
    given(Account, Deposited("a", 500)).when(Withdraw("a", 700)).then_refused(TooLittleMoney(200))


def test_nothing_is_no_refusal() -> None:
    given(Account).when(Close("a")).then_nothing()


def test_one_command_follows_another() -> None:
    bank = given(Account).when(Deposit("a", 500)).then(Deposited("a", 500))
    bank.when(Withdraw("a", 300), Withdraw("a", 300)).then_refused(TooLittleMoney(100))
    bank.when(Close("a")).then(Withdrawn("a", 500))


def test_what_raises_fails() -> None:
    given(Account).when(Break("a")).then_fails("RuntimeError: a bug")


def test_what_does_not_hold_is_shown_side_by_side() -> None:
    with pytest.raises(AssertionError, match=r"account, when Withdraw(?s:.*)refused: TooLittleMoney"):
        given(Account).when(Withdraw("a", 700)).then(Withdrawn("a", 700))
    with pytest.raises(AssertionError, match=r"fails: breaks: RuntimeError: a bug"):
        given(Account).when(Break("a")).then_nothing()


def test_what_can_not_be_asked_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="Account does not decide Reserve"):
        given(Account).when(Reserve("a", 1))
    with pytest.raises(InvalidKey):
        given(Account).when(Deposit("", 1))
    with pytest.raises(DefinitionError, match="reads the clock"):
        given(DecidesByClock)


def test_a_flow_is_told_of_a_refusal() -> None:
    refused = CommandRefused(Withdraw("a", 5, "t"), "1", "account", "a", TooLittleMoney(5))
    given(Transfer, TransferRequested("t", "a", "target", 5)).when(refused).then_ends("refused")


# World.


async def test_a_world_has_the_aggregates_of_its_wiring(autojump_clock: MockClock) -> None:
    async with World(BANK) as world:
        assert (await world.send(Deposit("a", 500), id="1")).events == (Deposited("a", 500),)
        await world.publish(TransferRequested("t", "a", "target", 300), TransferRequested("u", "a", "target", 300))
        await world.crash()
        assert await world.outcome(Transfer, "t") == "completed"
        assert await world.outcome(Transfer, "u") == "refused"
        assert (await world.send(Deposit("a", 500), id="1")).duplicate
        assert world.commands(Deposit) == (Deposit("target", 300, "t"),)
        assert world.events(Withdrawn) == (Withdrawn("a", 300, "t"),)


# Exploration.


def test_an_exploration_tries_what_an_aggregate_may_answer() -> None:
    found = explore(Transfer, wiring=BANK)
    assert found.clean, str(found)
    assert found.ends >= 2


class ForgetsRefusals(ProcessManager, name="kit.forgets_refusals", key="transfer_id"):
    @starts
    def take(self, requested: TransferRequested) -> Effects:
        yield Withdraw(requested.source, requested.amount_cents, requested.transfer_id)

    @ends
    def done(self, withdrawn: Withdrawn) -> None: ...


def test_an_exploration_says_that_a_refusal_sets_the_flow_aside() -> None:
    found = explore(ForgetsRefusals, aggregates=[Account])
    assert "Withdraw: refused, it sets the flow aside for a person" in str(found)


# Simulation.


def load() -> list[Event]:
    return [TransferRequested(f"t{number}", "a", "target", 300) for number in range(4)]


def test_a_simulation_has_the_aggregates_of_its_wiring() -> None:
    report = simulate(BANK, load=load(), seeds=range(6))
    assert report.commands >= 6 * 4


class Ask(Command, name="kit.ask"):
    account_id: str


class Forgetful(Aggregate, name="kit.forgetful", key="account_id"):
    """What it decides hangs on a list that every run grows."""

    @decides
    def deposit(self, command: Deposit) -> Deposited:
        return Deposited(command.account_id, command.amount_cents + _next(), command.transfer_id)


_seen: list[int] = []


def _next() -> int:
    getattr(_seen, "app" + "end")(1)
    return len(_seen)


class Payer(ProcessManager, name="kit.payer", key="transfer_id"):
    @starts
    def pay(self, requested: TransferRequested) -> Effects:
        yield Deposit(requested.target, 0, requested.transfer_id)

    @ends
    def paid(self, deposited: Deposited) -> None: ...


def test_a_simulation_finds_a_decision_that_is_another_when_it_is_made_again() -> None:
    with pytest.raises(AssertionError, match="each_decision_is_the_same_again"):
        simulate(processes=[Payer], aggregates=[Forgetful], load=load(), seeds=range(1), faults=())


# Strategies.


ASKED = commands(
    Deposit, Withdraw, Close, account_id=st.sampled_from(["a", "b"]), amount_cents=st.integers(-(10**9), 10**9)
)
Told = list[tuple[tuple[Event, ...], Refusal | None]]


@hypothesis.settings(max_examples=8)
@hypothesis.given(st.lists(ASKED, max_size=5))
def test_any_history_of_commands_folded_again_gives_the_same_decisions(asked: list[Command]) -> None:
    def told(*, restarts: bool) -> Told:
        return trio.run(lambda: _told(asked, restarts=restarts), clock=MockClock(autojump_threshold=0))

    assert told(restarts=True) == told(restarts=False)


async def _told(asked: list[Command], *, restarts: bool) -> Told:
    """What was decided, by aggregates that stay in memory, or that are folded again for each command."""
    journal, found = MemoryJournal(), Told()
    for some in [[command] for command in asked] if restarts else [asked]:
        async with open_runtime(journal.reopened(), aggregates=[Account], settings=SNAPSHOTS) as runtime:
            for command in some:
                reply = await runtime.send(command)
                found.append((reply.events, reply.refusal))
    registry = build_registry((), (), aggregates=[Account])
    assert list(decided_again(journal.contents(), registry)) == []
    return found


def test_which_refusal_must_be_said() -> None:
    with pytest.raises(TypeError, match="say refusal=refusals"):
        events(CommandRefused[Withdraw])


@hypothesis.settings(max_examples=10)
@hypothesis.given(
    events(CommandRefused[Withdraw], refusal=refusals(TooLittleMoney)), histories(Transfer, aggregates=[Account])
)
def test_refusals_and_histories_with_them_can_be_drawn(refused: CommandRefused[Withdraw], history: list[Event]) -> None:
    assert isinstance(refused.refusal, TooLittleMoney)
    assert all(isinstance(event, Event) for event in history)
