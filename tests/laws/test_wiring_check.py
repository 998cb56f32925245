"""Faults of definitions: what is missing, doubled or out of reach in a wiring, and its clean twin."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flows import batch_settlement, loan_application, order_fulfilment, user_provisioning
from procession import (
    Attempt,
    Command,
    CommandGivenUp,
    Effects,
    Event,
    FailureEvent,
    Gateway,
    ProcessManager,
    Settings,
    Wiring,
    after,
    cancel,
    end,
    ends,
    on,
    record,
    starts,
)
from procession.laws.codes import RULES
from procession.laws.finding import Finding
from procession.laws.suppression import Suspect
from procession.laws.wiring_check import check_wiring
from procession.primitives.effects import Effect


class Opened(Event, name="fault.opened"):
    key: str


class Done(Event, name="fault.done"):
    key: str


class Failed(FailureEvent, name="fault.failed"):
    key: str


class WindowClosed(Event, name="fault.window_closed"):
    key: str


class Remarked(Event, name="fault.remarked"):
    key: str


class Work(Command, name="fault.work"):
    key: str


class Rest(Command, name="fault.rest"):
    key: str


class Worker(Gateway, name="fault_worker"):
    async def work(self, command: Work, attempt: Attempt) -> Done | Failed:
        return Done(command.key)


class SecondWorker(Gateway, name="fault_second_worker"):
    async def toil(self, command: Work, attempt: Attempt) -> Done:
        return Done(command.key)


class Namesake(Gateway, name="fault_worker"):
    async def rest(self, command: Rest, attempt: Attempt) -> Done:
        return Done(command.key)


class Whole(ProcessManager, name="fault.whole", key="key"):
    """Nothing is wrong with it."""

    @starts
    def begin(self, opened: Opened) -> Effects:
        yield Work(opened.key)
        yield after(timedelta(hours=1), WindowClosed(opened.key))

    @on
    def remark(self, closed: WindowClosed) -> Effects:
        yield record(Remarked(closed.key))

    @on
    def remarked(self, event: Remarked) -> Effects:
        yield cancel(WindowClosed)

    @on
    def failed(self, event: Failed) -> Effects:
        yield end("failed")

    @on
    def given_up(self, event: CommandGivenUp[Work]) -> Effects:
        yield end("lost")

    @ends
    def done(self, event: Done) -> None: ...


class Deaf(ProcessManager, name="fault.deaf", key="key"):
    """It does not listen to half of what is said to it."""

    @starts
    def begin(self, opened: Opened) -> Effects:
        yield Work(opened.key)
        yield after(timedelta(hours=1), WindowClosed(opened.key))
        yield record(Remarked(opened.key))

    @ends
    def done(self, event: Done) -> None: ...


class Listening(ProcessManager, name="fault.listening", key="key", concerns=(Failed, WindowClosed, Remarked)):
    @starts
    def begin(self, opened: Opened) -> None: ...

    @ends
    def done(self, event: Done) -> None: ...


class Endless(ProcessManager, name="fault.endless", key="key"):
    @starts
    def begin(self, opened: Opened) -> Effects:
        yield after(timedelta(hours=1), WindowClosed(opened.key))

    @on
    def again(self, closed: WindowClosed) -> Effects:
        yield after(timedelta(hours=1), WindowClosed(closed.key))


class EndsByHelper(ProcessManager, name="fault.ends_by_helper", key="key"):
    @starts
    def begin(self, opened: Opened) -> Effects:
        yield from _ending(opened.key)


def _ending(key: str) -> Effects:
    yield end(key)


class OutOfReach(ProcessManager, name="fault.out_of_reach", key="key"):
    @starts
    def begin(self, opened: Opened) -> Effects:
        yield end()

    @on
    def given_up(self, event: CommandGivenUp[Work]) -> None: ...


class NeverArmed(ProcessManager, name="fault.never_armed", key="key"):
    @starts
    def begin(self, opened: Opened) -> Effects:
        yield cancel(WindowClosed)
        yield end()


class Armed(ProcessManager, name="fault.armed", key="key"):
    @starts
    def begin(self, opened: Opened) -> Effects:
        yield _timer(WindowClosed(opened.key))

    @ends
    def closed(self, event: WindowClosed) -> Effects:
        yield cancel(WindowClosed)


def _timer(event: Event) -> Effect:
    return after(timedelta(hours=1), event)


class Twin(ProcessManager, name="fault.whole", key="key"):
    @starts
    def begin(self, opened: Opened) -> Effects:
        yield end()


class Forward(ProcessManager, name="fault.forward", key="key"):
    @starts
    def begin(self, event: NeverDefined) -> Effects:  # type: ignore[name-defined]  # noqa: F821 - what is to be found
        yield end()


class ReturnsState(ProcessManager, name="fault.returns_state", key="key"):
    @starts
    def begin(self, opened: Opened) -> ReturnsState:
        return self

    @ends
    def done(self, event: Done) -> None: ...


def told(wiring: Wiring, *, whole: bool = True) -> list[str]:
    return [f"{finding.code} {finding.subject} {finding.found}" for finding in check_wiring(wiring, whole=whole)]


FAULTS: list[tuple[str, Wiring, list[str]]] = [
    ("nothing", Wiring((Whole,), (Worker(),)), []),
    (
        "events that nobody handles",
        Wiring((Deaf,), (Worker(),)),
        [
            "DEF02 Failed is answered by a gateway (work), and nobody handles it",
            "DEF02 WindowClosed is armed as a deadline by Deaf, and nobody handles it",
            "DEF02 Remarked is recorded by Deaf, and nobody handles it",
        ],
    ),
    ("events that another process handles", Wiring((Deaf, Listening), (Worker(),)), []),
    (
        "an event that is registered only",
        Wiring((EndsByHelper,), (), (Remarked,)),
        ["DEF02 Remarked is registered, and nobody handles it"],
    ),
    ("a command without a gateway", Wiring((Whole,), ()), ["DEF03 Whole.begin sends Work, which no gateway takes"]),
    ("a flow that can't end", Wiring((Endless,), ()), ["DEF04 Endless can't end"]),
    ("a flow that ends by a helper", Wiring((EndsByHelper,), ()), []),
    (
        "a handler out of reach",
        Wiring((OutOfReach,), (SecondWorker(),)),
        [
            "DEF02 Done is answered by a gateway (toil), and nobody handles it",
            "DEF05 OutOfReach.given_up handles CommandGivenUp[Work], which this process never sends",
        ],
    ),
    (
        "a timer that is never armed",
        Wiring((NeverArmed,), ()),
        ["DEF06 NeverArmed.begin cancels the timer of WindowClosed, which it never arms"],
    ),
    ("a timer that a helper arms", Wiring((Armed,), ()), []),
    (
        "two receivers",
        Wiring((Whole,), (Worker(), SecondWorker())),
        ["DEF08 SecondWorker.toil takes Work, as Worker.work does"],
    ),
    (
        "one name twice",
        Wiring((Whole, Twin), (Worker(), Namesake())),
        [
            "DEF09 Namesake has the stored name 'fault_worker', as the gateway Worker does",
            "DEF09 Twin has the stored name 'fault.whole', as the process or aggregate Whole does",
        ],
    ),
    (
        "an annotation that names nothing",
        Wiring((Forward,), ()),
        ["DEF01 Forward.begin is annotated with 'NeverDefined', which is not defined"],
    ),
    (
        "a reaction that returns a state",
        Wiring((ReturnsState,), ()),
        ["DEF01 ReturnsState.begin is a reaction that returns a state"],
    ),
]


@pytest.mark.parametrize(("wiring", "found"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
def test_a_wiring_is_checked_as_a_whole(wiring: Wiring, found: list[str]) -> None:
    assert told(wiring) == found


def test_of_a_part_nothing_is_said_that_the_rest_may_bring() -> None:
    assert told(Wiring((Deaf,), ()), whole=False) == []


@pytest.mark.parametrize("module", [order_fulfilment, batch_settlement, loan_application, user_provisioning])
def test_a_reference_flow_is_clean(module: object) -> None:
    assert told(module.wire_production(Settings())) == []  # type: ignore[attr-defined]  # each has one


def test_findings_of_other_checks_are_told_with_the_rest() -> None:
    other = Finding("a.py", 3, "LAW08", "Opened", "changed", "give it a new version")
    (first, second) = check_wiring(Wiring((Endless,), ()), [Suspect(other)])
    assert {first.code, second.code} == {"DEF04", "LAW08"}


def test_a_place_is_reported_once() -> None:
    assert told(Wiring((Endless, Endless), ())) == ["DEF04 Endless can't end"]


def test_each_code_is_described_once_and_in_order() -> None:
    laws = [f"LAW{number:02}" for number in range(1, 11)]
    assert [code for code in RULES if code.startswith("LAW")] == laws
    assert all(rule.checked and rule.title for rule in RULES.values())
