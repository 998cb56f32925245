"""One flow handles one event: its fold, then its reaction."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from procession import (
    CancelRequested,
    Command,
    CommandGivenUp,
    Effects,
    Envelope,
    Event,
    FailureEvent,
    ProcessManager,
    end,
    ends,
    folds,
    on,
    starts,
)
from procession.engine.turn import Life, Place, Turn, TurnFailed, describe, fold, place, refuse_in_turn, run_turn
from procession.primitives.definition import compile_definition


class Opened(Event, name="turn.opened"):
    key: str


class Added(Event, name="turn.added"):
    key: str
    amount: int = 1


class Watched(Event, name="turn.watched"):
    key: str


class Failed(FailureEvent, name="turn.failed"):
    key: str


class Closed(Event, name="turn.closed"):
    key: str


class Waited(Event, name="turn.waited"):
    key: str


class Ignored(Event, name="turn.ignored"):
    key: str


class Strict(Event, name="turn.strict"):
    key: str


class Begun(Event, name="turn.begun"):
    key: str


class Told(Command, name="turn.tell"):
    total: int


class Total(ProcessManager, name="total", key="key", concerns=(Watched,)):
    total: int = 0

    @folds
    def adds(self, added: Added) -> Total:
        if added.amount == 13:
            raise ValueError("unlucky")
        return "nonsense" if added.amount == 14 else self.evolve(total=self.total + added.amount)  # type: ignore[return-value]  # on purpose

    @starts
    def opened(self, opened: Opened) -> Effects:
        yield Told(0)

    @on
    def added(self, added: Added, envelope: Envelope) -> Effects:
        yield Told(self.total)
        match added.amount:
            case 15:
                raise ValueError("late\nin the turn")
            case 16:
                raise SystemExit(3)
            case 17:
                yield "tell"  # type: ignore[misc]  # on purpose
            case 18:
                raise KeyboardInterrupt
            case 19:
                yield end("early")
            case 20:
                yield from (Told(number) for number in range(5))
            case 21:
                yield Told(envelope.event_id.int)

    @on
    def failed(self, failed: Failed) -> Effects:
        yield Told(self.total)

    @on(missing="wait", late="quarantine")
    def waited(self, waited: Waited) -> None: ...

    @on(missing="ignore", late="ignore")
    def ignored(self, ignored: Ignored) -> None: ...

    @on(missing="quarantine")
    def strict(self, strict: Strict) -> None: ...

    @on(missing="start")
    def begun(self, begun: Begun) -> None: ...

    @ends(outcome="closed")
    def closed(self, closed: Closed) -> list[Told]:  # type: ignore[override,unused-ignore]  # any iterable will do
        return [Told(self.total)]


DEFINITION = compile_definition(Total)
ENVELOPE = Envelope(
    event_id=uuid.UUID(int=7),
    source=None,
    source_id=None,
    type="turn.added",
    version=1,
    keys=(),
    causation_id=None,
    correlation_id=uuid.UUID(int=7),
    recorded_at=datetime(2000, 1, 1, tzinfo=UTC),
    trace=None,
)


def turn(event: Event, life: Life = "active", *, effects_max: int = 5) -> Turn:
    return run_turn(DEFINITION, Total(total=1), event, life, lambda: ENVELOPE, effects_max)


def test_the_reaction_sees_the_state_after_the_fold() -> None:
    assert turn(Added("a", 2)).effects == (Told(3),)


def test_the_starting_reaction_runs_at_the_start() -> None:
    assert turn(Opened("a"), "unstarted").name == "opened"


def test_a_turn_is_named_after_its_handler() -> None:
    assert turn(Added("a")).name == "added"


def test_a_failure_leaves_the_same_state() -> None:
    state = Total(total=5)
    assert run_turn(DEFINITION, state, Failed("a"), "active", lambda: ENVELOPE, 5).state is state


def test_an_event_that_is_only_seen_leaves_the_same_state() -> None:
    seen = turn(Watched("a"))
    assert (seen.state, seen.effects, seen.outcome, seen.name) == (Total(total=1), (), None, "seen")


def test_an_event_without_any_reaction_is_seen() -> None:
    assert turn(CancelRequested("ann", "moved")).name == "seen"


def test_an_end_has_its_outcome() -> None:
    assert turn(Closed("a")).outcome == "closed"


def test_an_ending_handler_may_still_ask_for_something() -> None:
    assert turn(Closed("a")).effects == (Told(1),)


def test_an_end_may_be_yielded() -> None:
    assert turn(Added("a", 19)).outcome == "early"


def test_a_handler_gets_the_envelope_on_request() -> None:
    assert turn(Added("a", 21)).effects == (Told(22), Told(7))


@pytest.mark.parametrize(
    ("amount", "handler", "found"),
    [
        (13, "adds", "ValueError: unlucky at test_turn.py:"),
        (14, "adds", "returned 'nonsense', expected a Total"),
        (15, "added", "ValueError: late in the turn at test_turn.py:"),
        (16, "added", "SystemExit: 3 at test_turn.py:"),
        (17, "added", "yielded 'tell', which is no effect"),
        (20, "added", "asked for more than 5 effects"),
    ],
)
def test_a_turn_that_fails_says_where(amount: int, handler: str, found: str) -> None:
    with pytest.raises(TurnFailed) as failed:
        turn(Added("a", amount))
    assert (failed.value.handler, failed.value.found[: len(found)]) == (handler, found)


def test_an_interrupt_of_the_user_passes() -> None:
    with pytest.raises(KeyboardInterrupt):
        turn(Added("a", 18))


def test_an_interrupt_in_a_fold_passes() -> None:
    class Stubborn(ProcessManager, name="stubborn", key="key"):
        @folds
        def adds(self, opened: Opened) -> Stubborn:
            raise KeyboardInterrupt

        @starts
        def opened(self, opened: Opened) -> None: ...

    definition = compile_definition(Stubborn)
    with pytest.raises(KeyboardInterrupt):
        fold(definition.reaction(Opened("a")), Stubborn(), Opened("a"))


def test_an_event_without_a_fold_leaves_the_same_state() -> None:
    state = Total()
    assert fold(None, state, Watched("a")) is state


def test_a_fold_alone_runs_no_reaction() -> None:
    assert fold(DEFINITION.reaction(Added("a", 15)), Total(), Added("a", 15)) == Total(total=15)


def test_a_start_with_no_reaction_of_its_own_in_a_running_flow_only_folds() -> None:
    assert turn(Opened("a")).effects == ()


LOST: CommandGivenUp[Told] = CommandGivenUp(Told(1), "c1", "unknown", 1, "")


@pytest.mark.parametrize(
    ("life", "event", "expected"),
    [
        ("unstarted", Opened("a"), "step"),
        ("active", Opened("a"), "already_started"),
        ("ended", Opened("a"), "already_started"),
        ("unstarted", Added("a"), "missing"),
        ("active", Added("a"), "step"),
        ("ended", Added("a"), "late"),
        ("unstarted", Watched("a"), "missing"),
        ("active", Watched("a"), "step"),
        ("ended", Watched("a"), "late"),
        ("unstarted", Waited("a"), "wait"),
        ("ended", Waited("a"), "quarantine"),
        ("unstarted", Ignored("a"), "ignored"),
        ("ended", Ignored("a"), "ignored"),
        ("unstarted", Strict("a"), "quarantine"),
        ("unstarted", Begun("a"), "step"),
        ("active", Begun("a"), "step"),
        ("active", CancelRequested("ann", "moved"), "ignored"),
        ("active", LOST, "given_up"),
        ("ended", LOST, "ignored"),
    ],
    ids=repr,
)
def test_an_event_finds_its_place(life: Life, event: Event, expected: Place) -> None:
    assert place(life, DEFINITION.reaction(event), event) == expected


def test_a_turn_calls_nothing_of_the_runtime() -> None:
    class Curious(ProcessManager, name="curious", key="key"):
        @starts
        def opened(self, opened: Opened) -> None:
            refuse_in_turn("flows")

    with pytest.raises(TurnFailed, match=r"Curious\.opened called flows in a turn"):
        run_turn(compile_definition(Curious), Curious(), Opened("a"), "unstarted", lambda: ENVELOPE, 5)


def test_outside_of_a_turn_anything_may_be_called() -> None:
    refuse_in_turn("flows")


def test_an_error_is_told_in_one_line() -> None:
    assert describe(ValueError("a\n  b")) == "ValueError: a b"


def test_an_error_without_a_text_is_told_by_its_type() -> None:
    assert describe(ValueError()) == "ValueError"
