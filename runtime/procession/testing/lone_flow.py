"""One flow by itself: no runtime, no journal, no clock. It has the engine's own places and turns.

What an event leads to here, with the facts it records and the events that waited for the start, is what it leads to in
production; `given` and `explore` both drive this, and each adds its own idea of time and of commands.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import attrs

from procession.engine.guard import UNGUARDED, Guard
from procession.engine.turn import FACTS_DEPTH_MAX, Life, Turn, TurnFailed, place, run_turn
from procession.errors import InvalidPayload
from procession.primitives.codec import Codec
from procession.primitives.command import Command
from procession.primitives.definition import Definition
from procession.primitives.effects import After, At, Record
from procession.primitives.envelope import Envelope
from procession.primitives.event import CommandGivenUp, CommandRefused, Event
from procession.primitives.history import Turned
from procession.primitives.lifts import Chains
from procession.primitives.process import ProcessManager
from procession.primitives.refusal import Refusal as Refused
from procession.primitives.stored import stored_of
from procession.settings import Settings

Refusal: TypeAlias = Literal["late", "missing", "already_started", "ignored", "waiting"]
"""What an event finds that no turn handles: the flow has ended, has not started, was started before, does not
listen any more, or lets it wait for its start."""
EFFECTS_MAX = Settings().flows.effects_per_turn_max
_WRITABLE_MAX = 1_000
WAITING_MAX = Settings().flows.waiting_events_max


class Standing(NamedTuple):
    """Where a flow stands between two events."""

    state: ProcessManager
    life: Life = "unstarted"
    outcome: str | None = None
    waiting: tuple[Event, ...] = ()
    """Events that came before the start, in order."""


@attrs.define(slots=True)
class Course:
    """What one event led to, in order: the turns, and what no turn handled."""

    state: ProcessManager
    life: Life
    outcome: str | None
    waiting: tuple[Event, ...]
    turns: list[Turned] = attrs.field(factory=list)
    refused: list[tuple[Event, Refusal]] = attrs.field(factory=list)
    broken: TurnFailed | None = None
    """The flow is set aside: this turn failed, or a policy says so. The turns before it stand."""
    policy: bool = False
    """It was set aside as the class says, and not by a fault."""

    @property
    def standing(self) -> Standing:
        """Where the flow stands after it."""
        return Standing(self.state, self.life, self.outcome, self.waiting)


@attrs.define(eq=False)
class LoneFlow:
    """Takes events for one flow. It holds nothing of the flow itself: where that stands is handed in and out."""

    definition: Definition
    codec: Codec
    effects_max: int = EFFECTS_MAX
    waiting_max: int = WAITING_MAX
    chains: Chains = attrs.field(factory=Chains, kw_only=True)
    guard: Guard = attrs.field(default=UNGUARDED, kw_only=True)
    _writable: dict[int, Event] = attrs.field(factory=dict, init=False)
    """Events that came before and can be written, by identity: an exploration has the same ones come ever again."""

    def take(self, standing: Standing, event: Event, envelope: Callable[[Event], Callable[[], Envelope]]) -> Course:
        """Handle one event, the facts that follow from it, and after a start what had waited for it."""
        course = Course(*standing)
        self._handle(course, event, envelope)
        while course.waiting and course.life != "unstarted" and course.broken is None:
            waited, course.waiting = course.waiting[0], course.waiting[1:]
            self._handle(course, waited, envelope)
        return course

    def lifted(self, event: Event) -> Event:
        """An event as the flow sees it.

        Raises:
            LiftFailed: a lift raised, or made an event that does not fit its type.
        """
        if type(event) not in self.chains:
            return event
        self._fits(event)
        return self.chains.lifted(event, self._fits)

    def _fits(self, event: Event) -> None:
        self.codec.register(type(event))
        self.codec.check(event)

    def _handle(self, course: Course, event: Event, envelope: Callable[[Event], Callable[[], Envelope]]) -> None:
        event = self.lifted(event)
        found = place(course.life, self.definition.reaction(event), event)
        if found == "step":
            self._turn(course, event, envelope, 0)
        elif found == "wait":
            if len(course.waiting) < self.waiting_max:
                course.waiting = (*course.waiting, event)
                course.refused.append((event, "waiting"))
            else:
                course.refused.append((event, "missing"))
        elif found == "quarantine":
            course.broken = TurnFailed(type(event).__name__, f"can't be handled by a flow that is {course.life}")
            course.policy = True
        elif found == "given_up":
            assert isinstance(event, CommandGivenUp | CommandRefused), "the place says so"
            told = "was refused" if isinstance(event, CommandRefused) else "was given up"
            found_text = f"{told}, and the flow has no handler for that"
            course.broken, course.policy = TurnFailed(type(event.command).__name__, found_text), True
        else:
            course.refused.append((event, found))

    def _turn(
        self, course: Course, event: Event, envelope: Callable[[Event], Callable[[], Envelope]], depth: int
    ) -> None:
        try:
            if id(event) not in self._writable:
                self._check(event)
                if len(self._writable) >= _WRITABLE_MAX:
                    self._writable.clear()
                self._writable[id(event)] = event
            turn = run_turn(
                self.definition, course.state, event, course.life, envelope(event), self.effects_max, self.guard
            )
            facts = self._facts(turn)
        except TurnFailed as failed:
            course.broken = failed
            return
        course.state, course.life = turn.state, "active"
        course.turns.append(Turned(event, turn.name, turn.effects, turn.outcome))
        if turn.outcome is not None:
            course.life, course.outcome = "ended", turn.outcome
        for fact in facts:
            if course.broken is None:
                self._fact(course, fact, envelope, depth + 1)

    def _fact(
        self, course: Course, fact: Event, envelope: Callable[[Event], Callable[[], Envelope]], depth: int
    ) -> None:
        """A fact that the flow recorded is folded next; where no turn handles it, it is in the journal all the same."""
        if depth > FACTS_DEPTH_MAX:
            course.broken = TurnFailed("record", f"recorded facts {FACTS_DEPTH_MAX} deep")
            return
        fact = self.lifted(fact)
        found = place(course.life, self.definition.reaction(fact), fact)
        if found == "step":
            self._turn(course, fact, envelope, depth)
        else:
            course.refused.append((fact, found if found in ("late", "already_started") else "ignored"))

    def _facts(self, turn: Turn) -> list[Event]:
        """What a turn recorded; what the engine could not write is found here, not in production."""
        facts: list[Event] = []
        for effect in turn.effects:
            if isinstance(effect, Command):
                self._check(effect)
            elif isinstance(effect, Record):
                self._check(effect.event)
                facts.append(effect.event)
            elif isinstance(effect, After | At):
                self._check(effect.event)
                if self.definition.reaction(self.lifted(effect.event)) is None:
                    found = f"{type(effect.event).__name__} is armed as a deadline and nothing handles it"
                    raise TurnFailed(turn.name, f"{found}; give the process a handler for it")
        return facts

    def _check(self, message: Event | Command | Refused) -> None:
        if isinstance(message, CommandRefused):
            self._check(message.refusal)
        if isinstance(message, CommandGivenUp | CommandRefused):
            message = message.command
        self.codec.register(type(message))
        try:
            if isinstance(message, Refused):
                self.codec.check(message)
            else:
                self.codec.encode(message)
        except InvalidPayload as error:
            raise TurnFailed(type(message).__name__, str(error)) from error


@attrs.frozen
class EnvelopeMaker:
    """An envelope, made only when a handler asks for it; the same in every run."""

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
