"""Pure given/when/then for one flow: no runtime, no journal, no clock, no gateway.

    def test_a_late_payment_is_refunded() -> None:
        (
            given(Order, OrderPlaced("421", 4200), StockReserved("421"))
            .elapse(timedelta(minutes=30))
            .when(PaymentCaptured("421"))
            .then(RefundCard("421"))
        )

What a flow shows from outside is compared: commands, recorded facts, deadlines, its end, refusals. Its state is not
shown (law 10). Compared is what the *last* `when` or `elapse` led to.
"""

from __future__ import annotations

import copy
import datetime
import functools
import uuid
from collections.abc import Iterable
from typing import Literal

import attrs

from procession.engine.turn import Life, Turn, TurnFailed, place, run_turn
from procession.errors import InvalidPayload
from procession.laws.declarations import refuse_impure
from procession.primitives.codec import Codec
from procession.primitives.command import Command
from procession.primitives.definition import Definition, compile_definition
from procession.primitives.effects import After, At, Cancel, Effect, Record
from procession.primitives.envelope import Envelope
from procession.primitives.event import ACTS, CommandGivenUp, Event
from procession.primitives.lifts import AnyLift, Chains
from procession.primitives.process import ProcessManager
from procession.primitives.stored import stored_of
from procession.settings import Settings
from procession.testing.sides import Armed, Ending, Said, shown, side_by_side

Refusal = Literal["late", "missing", "already_started", "ignored", "waiting"]
"""What an event finds that no turn handles: the flow has ended, has not started, was started before, does not
listen any more, or lets it wait for its start."""
START = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
EFFECTS_MAX = Settings().flows.effects_per_turn_max
COMPILED_MAX = 256
"""Processes that are kept compiled between scenarios."""
__tracebackhide__ = True  # by pytest, which then shows the line of the test that claims what does not hold


def given(
    process: type[ProcessManager],
    *events: Event,
    key: str | None = None,
    now: datetime.datetime = START,
    effects_max: int = EFFECTS_MAX,
    lifts: Iterable[AnyLift] = (),
) -> Scenario:
    """A flow to which these events have happened, in this order; what it asked for by then is not compared.

    Args:
        process: the process manager under test.
        events: its history; the key of the first names the flow. None for a flow that has not started.
        key: names the flow, where the first event has no key or several.
        now: the virtual time at which the history happens.
        effects_max: of one turn; the default is that of `flows.effects_per_turn_max` in the settings.
        lifts: an event of an older type, given or not, is lifted before the flow sees it, as a runtime does.

    Raises:
        DefinitionError: the process breaks a law for certain; a runtime refuses it just so.
        ValueError: an event belongs to another flow, or the process is not concerned by it.
        LiftFailed: as they say, here and later.
        AssertionError: the history itself breaks the flow.
    """
    definition, codec = _compiled(process)  # type: ignore[arg-type]  # a class can be hashed
    refuse_impure(definition)
    flow = _Flow(definition, codec, key, now, effects_max)
    flow.chains = Chains(lifts)
    for event in events:
        flow.take(event)
        if flow.broken is not None:
            msg = f"the given {event} breaks {flow.title}: {flow.broken}"
            raise AssertionError(msg) from flow.broken
    return Scenario(flow)


class Scenario:
    """A flow with a past. It never changes, so one past can serve several tests."""

    def __init__(self, flow: _Flow) -> None:
        self._flow = flow

    def when(self, *events: Event) -> Outcome:
        """These events happen now. An event that equals an armed deadline is that deadline: it fires early.

        Raises:
            ValueError: an event belongs to another flow, or the process is not concerned by it.
        """
        flow = self._flow.fork(", ".join(map(str, events)))
        for event in events:
            flow.take(event)
        return Outcome(flow)

    def elapse(self, duration: datetime.timedelta) -> Outcome:
        """Virtual time passes; deadlines that come due happen in their order, also those armed meanwhile."""
        if duration < datetime.timedelta(0):
            msg = f"time can't go back by {-duration}; elapse at least zero"
            raise ValueError(msg)
        flow = self._flow.fork(f"{duration} passed")
        flow.elapse(duration)
        return Outcome(flow)


class Outcome(Scenario):
    """What the last step led to. Each `then` claims one thing and can be chained."""

    def then(self, *commands: Command) -> Outcome:
        """Exactly these commands were sent, in this order."""
        if not commands:
            msg = "then() claims nothing; write then_nothing()"
            raise ValueError(msg)
        return self._compare(commands, self._flow.seen.commands)

    def then_nothing(self) -> Outcome:
        """The event was handled, and led to nothing: no command, no recorded fact, no end. Deadlines may move."""
        return self._compare((), (*self._flow.seen.commands, *self._flow.seen.recorded, *self._ending()))

    def then_recorded(self, *events: Event) -> Outcome:
        """Exactly these facts were recorded by the flow itself, in this order."""
        return self._compare(events, self._flow.seen.recorded)

    def then_ends(self, outcome: str = "completed") -> Outcome:
        """The flow ended, with this outcome."""
        return self._compare((Ending(outcome),), self._ending())

    def then_goes_on(self) -> Outcome:
        """The flow runs and has not ended."""
        found = {"unstarted": "not started", "active": "goes on"}.get(self._flow.life, f"ended {self._flow.outcome}")
        return self._compare((Said("goes on"),), (Said(found),))

    def then_refused(self, refusal: Refusal) -> Outcome:
        """No turn handled the last event: it was late, missing its flow, already started, ignored or is waiting."""
        return self._compare((Said(refusal),), tuple(map(Said, self._flow.seen.refusals)), refusals=True)

    def then_armed(
        self, event: Event, *, after: datetime.timedelta | None = None, at: datetime.datetime | None = None
    ) -> Outcome:
        """This deadline is armed; where `after` is given, to fall due so long from now."""
        left = at - self._flow.now if at is not None else after
        armed = self._armed()
        if any(timer.event == event and left in (None, timer.left) for timer in armed):
            return self._compare((), ())
        return self._compare((Armed(event, left),), armed)

    def then_unarmed(self, event: type[Event] | None = None) -> Outcome:
        """No deadline is armed, or none of this type."""
        return self._compare((), tuple(timer for timer in self._armed() if event in (None, type(timer.event))))

    def then_quarantined(self, found: str = "") -> Outcome:
        """The flow was set aside, since this event can't be handled; `found` is part of the reason."""
        broken = self._flow.broken
        if broken is not None and found in str(broken):
            return self
        return self._fail((f"quarantined: {found}".removesuffix(": "),), self._said())

    def _armed(self) -> tuple[Armed, ...]:
        return tuple(Armed(timer.event, timer.due - self._flow.now) for _, timer in self._flow.timers_by_due())

    def _ending(self) -> tuple[object, ...]:
        return () if self._flow.seen.outcome is None else (Ending(self._flow.seen.outcome),)

    def _compare(self, expected: tuple[object, ...], found: tuple[object, ...], *, refusals: bool = False) -> Outcome:
        broken = self._flow.broken is not None
        refused = bool(self._flow.seen.refusals) and not refusals and not expected
        if expected == found and not broken and not refused:
            return self
        said = self._said() if broken or refused or not found else ()
        return self._fail(tuple(map(shown, expected)), (*map(shown, found), *said))

    def _said(self) -> tuple[str, ...]:
        if self._flow.broken is not None:
            return (f"quarantined: {self._flow.broken}",)
        return tuple(f"refused: {refusal}" for refusal in self._flow.seen.refusals)

    def _fail(self, expected: tuple[str, ...], found: tuple[str, ...]) -> Outcome:
        message = f"{self._flow.title}, when {self._flow.seen.cause}\n{side_by_side(expected, found)}"
        raise AssertionError(message) from self._flow.broken


@functools.lru_cache(COMPILED_MAX)
def _compiled(process: type[ProcessManager]) -> tuple[Definition, Codec]:
    """Compiling costs fifty times what a turn does, so all scenarios of a process share one."""
    return compile_definition(process), Codec()


@attrs.define
class _Seen:
    """What one step led to."""

    cause: str
    commands: tuple[Command, ...] = ()
    recorded: tuple[Event, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    outcome: str | None = None


@attrs.frozen
class _Timer:
    due: datetime.datetime
    order: int
    event: Event


class _Flow:
    """One flow driven by hand, with the engine's own turns and routing."""

    def __init__(
        self, definition: Definition, codec: Codec, key: str | None, now: datetime.datetime, effects_max: int
    ) -> None:
        self.now = now
        self.seen = _Seen("given")
        self.life: Life = "unstarted"
        self.outcome: str | None = None
        self.broken: TurnFailed | None = None
        self._definition = definition
        self._effects_max = effects_max
        self._key = key
        self._state = definition.cls()
        self.timers: dict[str, _Timer] = {}
        self.waiting: list[Event] = []
        self.chains = Chains()
        self._events = 0
        self._codec = codec

    @property
    def title(self) -> str:
        return f"{self._definition.name}/{self._key or '?'}"

    def timers_by_due(self) -> list[tuple[str, _Timer]]:
        return sorted(self.timers.items(), key=lambda item: (item[1].due, item[1].order))

    def fork(self, cause: str) -> _Flow:
        """The same flow, to which something else may happen."""
        other = copy.copy(self)
        other.timers, other.waiting, other.seen = self.timers.copy(), self.waiting.copy(), _Seen(cause)
        return other

    def take(self, event: Event) -> None:
        event = self._lifted(event)
        self._route(event)
        for name, timer in self.timers.items():
            if self._lifted(timer.event) == event:
                del self.timers[name]
                break
        self._handle(event)

    def elapse(self, duration: datetime.timedelta) -> None:
        until = self.now + duration
        while True:
            due = next(((name, timer) for name, timer in self.timers_by_due() if timer.due <= until), None)
            if due is None:
                self.now = until
                return
            name, timer = due
            del self.timers[name]
            self.now = max(self.now, timer.due)
            self._handle(timer.event)

    def _route(self, event: Event) -> None:
        """The routing of the engine: by key, or by address for answers to a command and for operator acts."""
        process = self._definition.cls.__name__
        if isinstance(event, (CommandGivenUp, *ACTS)):
            return
        if type(event) not in self._definition.concerned:
            msg = f"{process} is not concerned by {type(event).__name__}: it has no handler for it"
            raise ValueError(msg)
        keys = self._definition.keys(event)
        if self._key is None:
            if len(keys) != 1:
                msg = f"{event} concerns {len(keys)} flows of {process}; say which by given(..., key=...)"
                raise ValueError(msg)
            self._key = keys[0]
        if self._key not in keys:
            msg = f"{event} belongs to {', '.join(keys) or 'no flow'}, this scenario is of {self.title}"
            raise ValueError(msg)

    def _handle(self, event: Event) -> None:
        if self.broken is not None:
            return
        event = self._lifted(event)
        reaction = self._definition.reaction(event)
        match place(self.life, reaction, event):
            case "step":
                self._turn(event)
            case "wait":
                self.waiting.append(event)
                self.seen.refusals += ("waiting",)
            case "quarantine":
                self.broken = TurnFailed(type(event).__name__, f"can't be handled by a flow that is {self.life}")
            case "given_up":
                found = "was given up, and the flow has no handler for that"
                assert isinstance(event, CommandGivenUp)
                self.broken = TurnFailed(type(event.command).__name__, found)
            case refusal:
                self.seen.refusals += (refusal,)

    def _turn(self, event: Event) -> None:
        try:
            self._writable(event)
            turn = run_turn(self._definition, self._state, event, self.life, self._envelope(event), self._effects_max)
            for effect in turn.effects:
                self._writable(effect)
        except TurnFailed as failed:
            self.broken = failed
            return
        starting = self.life == "unstarted"
        self.life, self._state = "active", turn.state
        recorded = self._apply(turn)
        for fact in recorded:
            self._handle(fact)
        if starting:
            waiting, self.waiting = self.waiting, []
            for waited in waiting:
                self._handle(waited)

    def _apply(self, turn: Turn) -> list[Event]:
        recorded: list[Event] = []
        for effect in turn.effects:
            match effect:
                case Command():
                    self.seen.commands += (effect,)
                case After(delay, event, name):
                    self._arm(name, self.now + delay, event)
                case At(when, event, name):
                    self._arm(name, when, event)
                case Cancel(name):
                    self.timers.pop(name, None)
                case Record(event):
                    self.seen.recorded += (event,)
                    recorded.append(event)
        if turn.outcome is not None:
            self.life, self.outcome, self.seen.outcome = "ended", turn.outcome, turn.outcome
            self.timers.clear()
        return recorded

    def _arm(self, name: str, due: datetime.datetime, event: Event) -> None:
        self._events += 1
        self.timers[name] = _Timer(due, self._events, event)

    def _lifted(self, event: Event) -> Event:
        if type(event) not in self.chains:
            return event
        self._check(event)
        return self.chains.lifted(event, self._check)

    def _check(self, event: Event) -> None:
        self._codec.register(type(event))
        self._codec.check(event)

    def _writable(self, thing: Event | Effect) -> None:
        """What the journal could not hold is found here, not in production."""
        message = thing.event if isinstance(thing, After | At | Record) else thing
        if not isinstance(message, Event | Command):
            return
        if isinstance(message, CommandGivenUp):
            message = message.command
        self._codec.register(type(message))
        try:
            self._codec.encode(message)
        except InvalidPayload as error:
            raise TurnFailed(type(message).__name__, str(error)) from error

    def _envelope(self, event: Event) -> _EnvelopeMaker:
        self._events += 1
        return _EnvelopeMaker(event, self._events, self.now, ((self._definition.name, self._key or ""),))


@attrs.frozen
class _EnvelopeMaker:
    """Made only when a handler asks for it; the same in every run."""

    event: Event
    number: int
    now: datetime.datetime
    keys: tuple[tuple[str, str], ...]

    def __call__(self) -> Envelope:
        stored = stored_of(type(self.event))
        return Envelope(
            event_id=uuid.UUID(int=self.number),
            source="scenario",
            source_id=str(self.number),
            type=stored.name,
            version=stored.version,
            keys=self.keys,
            causation_id=None,
            correlation_id=uuid.UUID(int=1),
            recorded_at=self.now,
            trace=None,
        )
