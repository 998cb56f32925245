"""What invariants look at: two ways to one state are the same way only if no invariant can tell them apart."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

from procession.primitives.command import Command
from procession.primitives.effects import Record
from procession.primitives.event import Event
from procession.primitives.history import CommandT, EventT, History, Turned
from procession.primitives.invariant import Invariant
from procession.primitives.process import ProcessManager
from procession.primitives.telling import told

View: TypeAlias = tuple[tuple[int, tuple[object, ...]], ...]
"""For each look of the lens, how many of its beginnings have come, and what it shows since then, in order."""


class Look(NamedTuple):
    """One question to a history."""

    at: Literal["handled", "sent", "recorded", "turns"]
    types: tuple[type, ...]
    since: tuple[tuple[type, ...], ...] = ()
    """Beginnings, one after another: it sees what comes from the last event of the last one on."""


class LooksElsewhere(Exception):  # noqa: N818 - no fault: what was searched so far has merged too much
    """An invariant asked a question for the first time: the search begins anew, and keeps its answer apart."""


class Lens:
    """The questions that invariants have asked so far. It only ever grows."""

    def __init__(self, process: type[ProcessManager], key: str, invariants: Sequence[Invariant]) -> None:
        self.invariants = tuple(invariants)
        self._process = process
        self._key = key
        self._looks: list[Look] = []
        self._indexes: dict[tuple[str, type], tuple[int, ...]] = {}
        self._verdicts: dict[tuple[View, str | None], tuple[tuple[Invariant, str], ...]] = {}

    @property
    def whole(self) -> bool:
        """Some invariant looks at whole turns, so no two ways are the same."""
        return any(look.at == "turns" and not look.since for look in self._looks)

    def start(self) -> View:
        """The view of a flow that has done nothing."""
        return ((0, ()),) * len(self._looks)

    def advanced(self, view: View, turned: Turned) -> View:
        """The view after one more turn: the same object where nothing came that anybody looks at."""
        lists: list[tuple[int, tuple[object, ...]]] | None = None
        for index in self._beginning(type(turned.event)):
            shown = _begun(self._looks[index], view[index], turned.event)
            if shown != view[index]:
                lists = lists or list(view)
                lists[index] = shown
        for index, seen in self._seen(turned):
            begun, shown_before = (lists or view)[index]
            if begun == len(self._looks[index].since):
                lists = lists or list(view)
                lists[index] = (begun, (*shown_before, seen))
        return view if lists is None else tuple(lists)

    def _seen(self, turned: Turned) -> Iterator[tuple[int, object]]:
        """What the looks see of a turn, whether they have begun or not."""
        for index in self._looks_at("handled", type(turned.event)):
            yield index, turned.event
        for effect in turned.effects:
            if isinstance(effect, Command):
                for index in self._looks_at("sent", type(effect)):
                    yield index, effect
            elif isinstance(effect, Record):
                for index in self._looks_at("recorded", type(effect.event)):
                    yield index, effect.event
        for index in self._looks_at("turns", Turned):
            yield index, turned

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
        shown = {look: shown for look, (_, shown) in zip(self._looks, view, strict=True)}
        history = _Seen(self._process, self._key, shown, outcome)
        found: list[tuple[Invariant, str]] = []
        for rule in self.invariants:
            try:
                if not rule(history):
                    found.append((rule, ""))
            except Exception as error:  # noqa: BLE001 - the user's function: whatever it raises, it can't judge this
                seen = [thing for _, things in view for thing in things]
                found.append((rule, told(f"{type(error).__name__}: {error}", *seen)))
        if history.elsewhere:
            self._looks += history.elsewhere
            self._indexes.clear()
            self._verdicts.clear()
            raise LooksElsewhere
        return found

    def _looks_at(self, at: str, message: type) -> tuple[int, ...]:
        found = self._indexes.get((at, message))
        if found is None:
            looks = enumerate(self._looks)
            found = self._indexes[at, message] = tuple(
                index for index, look in looks if look.at == at and (at == "turns" or issubclass(message, look.types))
            )
        return found

    def _beginning(self, event: type[Event]) -> tuple[int, ...]:
        found = self._indexes.get(("since", event))
        if found is None:
            found = self._indexes["since", event] = tuple(
                index for index, look in enumerate(self._looks) if any(issubclass(event, one) for one in look.since)
            )
        return found


def _begun(look: Look, shown: tuple[int, tuple[object, ...]], event: Event) -> tuple[int, tuple[object, ...]]:
    """What a look shows when one of its beginnings may have come: everything up to here is forgotten then."""
    begun = shown[0]
    for level, beginning in enumerate(look.since):
        if level > begun:
            break
        if isinstance(event, beginning):
            begun, shown = level + 1, (level + 1, ())
    return shown


class _Seen(History):
    """A history that answers what the lens shows, and notes what it was asked beyond that."""

    shown: dict[Look, tuple[object, ...]]
    elsewhere: list[Look]
    ended: str | None
    begins: tuple[tuple[type, ...], ...]

    def __init__(
        self, process: type[ProcessManager], key: str, shown: dict[Look, tuple[object, ...]], outcome: str | None
    ) -> None:
        # A history is frozen, and has its turns as a field: here they are a question like the others.
        object.__setattr__(self, "process", process)
        object.__setattr__(self, "key", key)
        vars(self).update(shown=shown, ended=outcome, elsewhere=[], begins=())

    def handled(self, *events: type[EventT]) -> tuple[EventT, ...]:
        return typing.cast("tuple[EventT, ...]", self._look("handled", events))

    def sent(self, *commands: type[CommandT]) -> tuple[CommandT, ...]:
        return typing.cast("tuple[CommandT, ...]", self._look("sent", commands))

    def recorded(self, *events: type[EventT]) -> tuple[EventT, ...]:
        return typing.cast("tuple[EventT, ...]", self._look("recorded", events))

    def since(self, *events: type[Event]) -> History:
        later = _Seen(self.process, self.key, self.shown, self.ended)
        vars(later).update(elsewhere=self.elsewhere, begins=(*self.begins, events))
        return later

    @property
    def turns(self) -> tuple[Turned, ...]:
        return typing.cast("tuple[Turned, ...]", self._look("turns", ()))

    @property
    def outcome(self) -> str | None:
        return self.ended if not self.begins or self.turns else None

    def _look(self, at: Literal["handled", "sent", "recorded", "turns"], types: tuple[type, ...]) -> tuple[object, ...]:
        look = Look(at, types, self.begins)
        if look in self.shown:
            return self.shown[look]
        if look not in self.elsewhere:
            self.elsewhere.append(look)
        return ()
