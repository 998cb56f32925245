"""What invariants look at: two ways to one state are the same way only if no invariant can tell them apart."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from procession.primitives.command import Command
from procession.primitives.effects import Record
from procession.primitives.event import Event
from procession.primitives.history import CommandT, EventT, History, Turned
from procession.primitives.invariant import Invariant
from procession.primitives.process import ProcessManager

View: TypeAlias = tuple[tuple[object, ...], ...]
"""For each look of the lens, what it shows so far, in order."""


class Look(NamedTuple):
    """One question to a history."""

    at: Literal["handled", "sent", "recorded", "turns"]
    types: tuple[type, ...]


class LooksElsewhere(Exception):  # noqa: N818 - no fault: what was searched so far has merged too much
    """An invariant asked a question for the first time: the search begins anew, and keeps its answer apart."""


class Lens:
    """The questions that invariants have asked so far. It only ever grows."""

    def __init__(self, process: type[ProcessManager], key: str, invariants: Sequence[Invariant]) -> None:
        self.invariants = tuple(invariants)
        self._process = process
        self._key = key
        self._looks: list[Look] = []
        self._of_events: dict[type[Event], tuple[int, ...]] = {}
        self._of_effects: dict[tuple[type, type], tuple[int, ...]] = {}
        self._verdicts: dict[tuple[View, str | None], tuple[tuple[Invariant, str], ...]] = {}

    @property
    def whole(self) -> bool:
        """Some invariant looks at whole turns, so no two ways are the same."""
        return any(look.at == "turns" for look in self._looks)

    def start(self) -> View:
        """The view of a flow that has done nothing."""
        return ((),) * len(self._looks)

    def advanced(self, view: View, turned: Turned) -> View:
        """The view after one more turn: the same object where nothing came that anybody looks at."""
        if not self._looks:
            return view
        new: list[tuple[int, object]] = [(index, turned.event) for index in self._looks_at(type(turned.event))]
        for effect in turned.effects:
            if isinstance(effect, Command):
                new += [(index, effect) for index in self._looks_by(Command, type(effect))]
            elif isinstance(effect, Record):
                new += [(index, effect.event) for index in self._looks_by(Record, type(effect.event))]
        new += [(index, turned) for index, look in enumerate(self._looks) if look.at == "turns"]
        if not new:
            return view
        lists = list(view)
        for index, seen in new:
            lists[index] = (*lists[index], seen)
        return tuple(lists)

    def broken(self, view: View, outcome: str | None) -> tuple[tuple[Invariant, str], ...]:
        """The invariants that do not hold, each with what it raised, if anything.

        Raises:
            LooksElsewhere: one of them asked what it had not asked before.
        """
        found = self._verdicts.get((view, outcome))
        if found is None:
            found = self._verdicts[view, outcome] = tuple(self._judge(view, outcome))
        return found

    def _judge(self, view: View, outcome: str | None) -> list[tuple[Invariant, str]]:
        history = _Seen(self._process, self._key, dict(zip(self._looks, view, strict=True)), outcome)
        found: list[tuple[Invariant, str]] = []
        for rule in self.invariants:
            try:
                if not rule(history):
                    found.append((rule, ""))
            except Exception as error:  # noqa: BLE001 - the user's function: whatever it raises, it can't judge this
                found.append((rule, f"{type(error).__name__}: {error}"))
        if history.elsewhere:
            self._looks += history.elsewhere
            self._of_events.clear()
            self._of_effects.clear()
            self._verdicts.clear()
            raise LooksElsewhere
        return found

    def _looks_at(self, event: type[Event]) -> tuple[int, ...]:
        found = self._of_events.get(event)
        if found is None:
            found = self._of_events[event] = self._matching("handled", event)
        return found

    def _looks_by(self, kind: type, message: type) -> tuple[int, ...]:
        found = self._of_effects.get((kind, message))
        if found is None:
            found = self._matching("sent" if kind is Command else "recorded", message)
            self._of_effects[kind, message] = found
        return found

    def _matching(self, at: str, message: type) -> tuple[int, ...]:
        looks = enumerate(self._looks)
        return tuple(index for index, look in looks if look.at == at and issubclass(message, look.types))


class _Seen(History):
    """A history that answers what the lens shows, and notes what it was asked beyond that."""

    shown: dict[Look, tuple[object, ...]]
    elsewhere: list[Look]
    ended: str | None

    def __init__(
        self, process: type[ProcessManager], key: str, shown: dict[Look, tuple[object, ...]], outcome: str | None
    ) -> None:
        # A history is frozen, and has its turns as a field: here they are a question like the others.
        vars(self).update(process=process, key=key, shown=shown, ended=outcome, elsewhere=[])

    def handled(self, *events: type[EventT]) -> tuple[EventT, ...]:
        return typing.cast("tuple[EventT, ...]", self._look(Look("handled", events)))

    def sent(self, *commands: type[CommandT]) -> tuple[CommandT, ...]:
        return typing.cast("tuple[CommandT, ...]", self._look(Look("sent", commands)))

    def recorded(self, *events: type[EventT]) -> tuple[EventT, ...]:
        return typing.cast("tuple[EventT, ...]", self._look(Look("recorded", events)))

    @property
    def turns(self) -> tuple[Turned, ...]:
        return typing.cast("tuple[Turned, ...]", self._look(Look("turns", ())))

    @property
    def outcome(self) -> str | None:
        return self.ended

    def _look(self, look: Look) -> tuple[object, ...]:
        if look in self.shown:
            return self.shown[look]
        if look not in self.elsewhere:
            self.elsewhere.append(look)
        return ()
