"""Steps: what happens to an explored flow and what it makes of it; a way is a list of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import attrs

from procession.primitives.command import Command
from procession.primitives.effects import After, At, Cancel, Effect, End, Record
from procession.primitives.event import CommandGivenUp, CommandRefused, Event
from procession.primitives.history import Turned

How: TypeAlias = Literal["arrives", "arrives again", "answers", "is given up", "is refused", "fires"]


@attrs.frozen(slots=True)
class Step:
    """One thing that happens to the flow, and the turns that follow from it."""

    how: How
    events: tuple[Event, ...]
    command: Command | None
    """The one that is answered or given up."""
    turns: tuple[Turned, ...]

    @property
    def name(self) -> str:
        """In a word: `PaymentCaptured`."""
        if self.how == "is given up":
            given_up = self.events[0]
            assert isinstance(given_up, CommandGivenUp), "a command is given up by its own event"
            return f"CommandGivenUp[{type(self.command).__name__}] ({given_up.reason})"
        if self.how == "is refused":
            return f"CommandRefused[{type(self.command).__name__}] ({_refusal(self.events[0])})"
        if not self.events:
            return f"{type(self.command).__name__} done"
        return " and ".join(type(event).__name__ for event in self.events)

    @property
    def cause(self) -> str:
        """Where it comes from: `answers ChargeCard(…)`, `fires`, `arrives`."""
        return f"answers {self.command}" if self.how == "answers" else self.how

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What the flow asked for, in order; its end apart."""
        return tuple(effect for turned in self.turns for effect in turned.effects if not isinstance(effect, End))

    @property
    def outcome(self) -> str | None:
        """How the flow ended with it; None while it went on."""
        return self.turns[-1].outcome if self.turns else None

    def __str__(self) -> str:
        """Events with their data, and what follows: one line."""
        said = [*map(_effect, self.effects), *([f"ends {self.outcome!r}"] if self.outcome else [])]
        if self.how == "is given up":
            given_up = self.events[0]
            assert isinstance(given_up, CommandGivenUp), "a command is given up by its own event"
            return f"{self.command} is given up ({given_up.reason})" + _arrow(", ".join(said))
        if self.how == "is refused":
            return f"{self.command} is refused ({_refusal(self.events[0])})" + _arrow(", ".join(said))
        return f"{' and '.join(map(str, self.events)) or 'nothing'} {self.cause}" + _arrow(", ".join(said))

    def json(self) -> dict[str, object]:
        """For programs."""
        return {
            "how": self.how,
            "events": [str(event) for event in self.events],
            "command": None if self.command is None else str(self.command),
            "effects": [_effect(effect) for effect in self.effects],
            "handlers": [turned.handler for turned in self.turns],
            "outcome": self.outcome,
        }


def short(way: Sequence[Step]) -> str:
    """A way in one line: `OrderPlaced ; PaymentWindowClosed ; PaymentCaptured → ShipParcel + CancelOrder`."""
    if not way:
        return "nothing has happened"
    last = way[-1]
    names = [type(effect).__name__ for effect in last.effects if isinstance(effect, Command)]
    if last.outcome is not None:
        names.append(f"ends {last.outcome!r}")
    return " ; ".join(step.name for step in way) + _arrow(" + ".join(names))


def numbered(way: Sequence[Step]) -> list[str]:
    """A way as lines."""
    return [f"{number:>3}. {step}" for number, step in enumerate(way, 1)]


def _arrow(text: str) -> str:
    return f" → {text}" if text else ""


def _effect(effect: Effect) -> str:
    match effect:
        case After(delay, event, _):
            return f"{event} in {delay}"
        case At(when, event, _):
            return f"{event} at {when}"
        case Cancel(name):
            return f"cancel {name}"
        case Record(event):
            return f"record {event}"
    return str(effect)


def _refusal(event: Event) -> str:
    assert isinstance(event, CommandRefused), "a command is refused by its own event"
    return str(event.refusal)
