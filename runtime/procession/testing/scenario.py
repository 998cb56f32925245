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
from collections.abc import Iterable
from typing import overload

import attrs

from procession.engine.guard import strict_guard
from procession.engine.turn import Life, TurnFailed
from procession.laws.purity import refuse_impure
from procession.primitives.aggregate import Aggregate
from procession.primitives.codec import Codec
from procession.primitives.command import Command
from procession.primitives.definition import Definition, compile_definition
from procession.primitives.effects import After, At, Cancel, Record
from procession.primitives.event import ACTS, CommandGivenUp, CommandRefused, Event
from procession.primitives.history import Turned
from procession.primitives.lifts import AnyLift, Chains
from procession.primitives.process import ProcessManager
from procession.testing.decided import AggregateScenario, aggregate_with
from procession.testing.lone_flow import EFFECTS_MAX, EnvelopeMaker, LoneFlow, Refusal, Standing
from procession.testing.sides import Armed, Ending, Said, shown, side_by_side

START = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
COMPILED_MAX = 256
"""Processes that are kept compiled between scenarios."""
__tracebackhide__ = True  # by pytest, which then shows the line of the test that claims what does not hold


@overload
def given(
    process: type[ProcessManager],
    *events: Event,
    key: str | None = ...,
    now: datetime.datetime = ...,
    effects_max: int = ...,
    lifts: Iterable[AnyLift] = ...,
) -> Scenario: ...
@overload
def given(process: type[Aggregate], *events: Event, lifts: Iterable[AnyLift] = ...) -> AggregateScenario: ...
def given(
    process: type[ProcessManager | Aggregate],
    *events: Event,
    key: str | None = None,
    now: datetime.datetime = START,
    effects_max: int = EFFECTS_MAX,
    lifts: Iterable[AnyLift] = (),
) -> Scenario | AggregateScenario:
    """A flow to which these events have happened, in this order; what it asked for by then is not compared.

    Or an aggregate, of which these are the events; `testing/decided.py` says what can be claimed of one.

    Args:
        process: the process manager, or the aggregate, under test.
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
    if issubclass(process, Aggregate):
        return aggregate_with(process, events, Chains(lifts), strict_guard())
    definition, codec = _compiled(process)  # type: ignore[arg-type]  # a class can be hashed
    flow = _Flow(LoneFlow(definition, codec, effects_max, chains=Chains(lifts), guard=strict_guard()), key, now)
    for event in events:
        flow.take(event)
        if flow.broken is not None:
            msg = f"the given {event} breaks {flow.title}: {flow.broken}"
            raise AssertionError(msg) from flow.broken.__cause__
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
        broken = self._flow.broken  # the cause is what the handler raised: nobody needs to see our frames around it
        raise AssertionError(message) from (None if broken is None else broken.__cause__)


@functools.lru_cache(COMPILED_MAX)
def _compiled(process: type[ProcessManager]) -> tuple[Definition, Codec]:
    """Compiling costs fifty times what a turn does, so all scenarios of a process share one."""
    definition = compile_definition(process)
    refuse_impure(definition)
    return definition, Codec()


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

    def __init__(self, lone: LoneFlow, key: str | None, now: datetime.datetime) -> None:
        self.now = now
        self.seen = _Seen("given")
        self.broken: TurnFailed | None = None
        self._definition = lone.definition
        self._key = key
        self._lone = lone
        self._standing = Standing(lone.definition.cls())
        self.timers: dict[str, _Timer] = {}
        self._events = 0

    @property
    def title(self) -> str:
        return f"{self._definition.name}/{self._key or '?'}"

    @property
    def life(self) -> Life:
        return self._standing.life

    @property
    def outcome(self) -> str | None:
        return self._standing.outcome

    def timers_by_due(self) -> list[tuple[str, _Timer]]:
        return sorted(self.timers.items(), key=lambda item: (item[1].due, item[1].order))

    def fork(self, cause: str) -> _Flow:
        """The same flow, to which something else may happen."""
        other = copy.copy(self)
        other.timers, other.seen = self.timers.copy(), _Seen(cause)
        return other

    def take(self, event: Event) -> None:
        event = self._lone.lifted(event)
        self._route(event)
        for name, timer in self.timers.items():
            if self._lone.lifted(timer.event) == event:
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
        if isinstance(event, (CommandGivenUp, CommandRefused, *ACTS)):
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
        course = self._lone.take(self._standing, event, self._envelope)
        self._standing, self.broken = course.standing, course.broken
        self.seen.refusals += tuple(refusal for _, refusal in course.refused)
        for turned in course.turns:
            self._apply(turned)

    def _apply(self, turned: Turned) -> None:
        for effect in turned.effects:
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
        if turned.outcome is not None:
            self.seen.outcome = turned.outcome
            self.timers.clear()

    def _arm(self, name: str, due: datetime.datetime, event: Event) -> None:
        self._events += 1
        self.timers[name] = _Timer(due, self._events, event)

    def _envelope(self, event: Event) -> EnvelopeMaker:
        self._events += 1
        return EnvelopeMaker(event, self._events, self.now, ((self._definition.name, self._key or ""),))
