"""What one flow has handled and asked for so far: all that an invariant may look at."""

from __future__ import annotations

from typing import TypeVar

import attrs

from procession.primitives.command import Command
from procession.primitives.effects import Effect, Record
from procession.primitives.event import Event
from procession.primitives.process import ProcessManager

EventT = TypeVar("EventT", bound=Event)
CommandT = TypeVar("CommandT", bound=Command)


@attrs.frozen(slots=True)
class Turned:
    """One turn of a flow, seen from outside: what it handled, and what it asked for."""

    event: Event
    handler: str
    effects: tuple[Effect, ...]
    outcome: str | None = None
    """How the flow ended with this turn; None while it went on."""


@attrs.frozen
class History:
    """One flow's turns, in order. It has no state: an invariant judges what others can see (law 10)."""

    process: type[ProcessManager]
    key: str
    turns: tuple[Turned, ...] = ()

    def handled(self, *events: type[EventT]) -> tuple[EventT, ...]:
        """The events of these types that turns handled, in order."""
        return tuple(turned.event for turned in self.turns if isinstance(turned.event, events))

    def sent(self, *commands: type[CommandT]) -> tuple[CommandT, ...]:
        """The commands of these types that the flow asked for, in order."""
        return tuple(effect for turned in self.turns for effect in turned.effects if isinstance(effect, commands))

    def recorded(self, *events: type[EventT]) -> tuple[EventT, ...]:
        """The facts of these types that the flow recorded itself, in order."""
        return tuple(
            effect.event
            for turned in self.turns
            for effect in turned.effects
            if isinstance(effect, Record) and isinstance(effect.event, events)
        )

    def since(self, *events: type[Event]) -> History:
        """The history from the last event of these types on, its turn included; empty where none was handled.

        `not history.since(Left).sent(ChargeFee)`: who has left is not charged.
        """
        begun = [index for index, turned in enumerate(self.turns) if isinstance(turned.event, events)]
        return History(self.process, self.key, self.turns[begun[-1] :] if begun else ())

    @property
    def outcome(self) -> str | None:
        """How the flow ended; None while it runs."""
        return self.turns[-1].outcome if self.turns else None
