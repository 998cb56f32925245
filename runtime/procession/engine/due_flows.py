"""Flows that are to be judged: each once, whatever became durable of it, within bounds; the rest is in the journal."""

from __future__ import annotations

from collections import OrderedDict

import attrs

from procession.engine.histories import DurableTurn

Name = tuple[str, str]
"""Process and key of a flow."""
LATEST = 2**62
"""A version that none reaches: the history is judged as it stands."""


@attrs.define(eq=False)
class Due:
    """What of one flow is to be judged."""

    first: int
    """The history is judged after each turn from this version on, and after the last."""
    turns: list[DurableTurn] | None
    """What became durable, in order; None where it is read from the journal."""


class DueFlows:
    """A queue. Flows that find no room are remembered by the range of their ids, and found in the journal again."""

    def __init__(self, flows_max: int, turns_max: int) -> None:
        self._flows_max = flows_max
        self._turns_max = turns_max
        self._flows: OrderedDict[Name, Due] = OrderedDict()
        self._turns = 0
        """Turns that are held."""
        self._beyond: tuple[int, int] | None = None
        """The first and the last id of flows that found no room."""

    def __bool__(self) -> bool:
        return bool(self._flows) or self._beyond is not None

    def add(self, name: Name, flow: int, turn: DurableTurn) -> None:
        """A turn of a flow became durable."""
        due = self._flows.get(name)
        if due is None:
            due = Due(turn.version, [])
            if not self._put(name, flow, due):
                return
        if due.turns is not None:
            due.turns.append(turn)
            self._turns += 1
            if self._turns > self._turns_max:
                self._turns -= len(due.turns)
                due.turns = None

    def look_at(self, name: Name, flow: int) -> None:
        """A flow is to be judged as the journal has it."""
        if name not in self._flows:
            self._put(name, flow, Due(LATEST, None))

    def look_later(self, first: int, last: int) -> None:
        """Flows with ids between these, both included, are to be found in the journal."""
        others = self._beyond or (first, last)
        self._beyond = (min(first, others[0]), max(last, others[1]))

    def take(self) -> tuple[Name, Due] | None:
        """The flow that has waited longest; None where those that are left are in the journal."""
        if not self._flows:
            return None
        name, due = self._flows.popitem(last=False)
        self._turns -= len(due.turns or ())
        return name, due

    def give_back(self, name: Name, due: Due) -> None:
        """It was not judged after all: it is read from the journal, with what came meanwhile."""
        newer = self._flows.pop(name, due)
        if newer is not due:
            self._turns -= len(newer.turns or ())
        self._flows[name] = Due(min(due.first, newer.first), None)

    def take_beyond(self) -> tuple[int, int] | None:
        """The range of ids in which flows are to be found."""
        beyond, self._beyond = self._beyond, None
        return beyond

    def forget_turns(self) -> None:
        """Of all that is due, the journal decides what happened to it."""
        for due in self._flows.values():
            due.turns = None
        self._turns = 0

    def clear(self) -> None:
        """Nothing is due."""
        self._flows.clear()
        self._turns, self._beyond = 0, None

    def _put(self, name: Name, flow: int, due: Due) -> bool:
        if len(self._flows) >= self._flows_max:
            self.look_later(flow, flow)
            return False
        self._flows[name] = due
        return True
