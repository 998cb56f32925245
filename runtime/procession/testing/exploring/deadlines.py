"""Which armed deadlines may fire next, without a clock: time is known only by what must lie before what.

A deadline that was armed by `after(30 minutes)` falls due before one that is armed in the same turn, or in a later one,
by `after(40 minutes)`; against one that a later turn arms by `after(10 minutes)` either may come first. And whatever
fires, the time of its deadline has passed for all that are armed after it. Everything else may happen in any order:
answers may come before or after any deadline.

Kept are upper bounds: of what is left of each deadline, and of how much later each falls due than each other. These are
the zones of timed automata, with every lower bound of a delay left out that a late engine could break.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

from procession.primitives.event import Event

T = TypeVar("T")
Bound: TypeAlias = int | None
"""Microseconds; None where nothing is known."""


class Armed(NamedTuple):
    """One deadline that is armed."""

    name: str
    event: Event
    at_us: Bound
    """The absolute time, where one was given."""


class Deadlines(NamedTuple):
    """The deadlines of one flow, by name; the same value wherever the same may happen."""

    armed: tuple[Armed, ...] = ()
    left_us: tuple[Bound, ...] = ()
    """Each falls due in so long at most."""
    apart_us: tuple[tuple[Bound, ...], ...] = ()
    """`apart_us[one][other]`: `one` falls due so much after `other` at most."""

    def may_fire(self) -> Iterator[int]:
        """The indexes of those that may be the next to fire."""
        for index in range(len(self.armed)):
            if not any(_below(row[index], 0) for row in self.apart_us):
                yield index

    def fired(self, index: int) -> Deadlines:
        """What is left when one of them has fired: it fell due before the others, and its time has passed."""
        since = [row[index] for row in self.apart_us]
        tightened = Deadlines(
            self.armed,
            tuple(map(_least, self.left_us, since)),
            tuple(
                tuple(0 if one == other else _least(bound, since[one]) for other, bound in enumerate(row))
                for one, row in enumerate(self.apart_us)
            ),
        )
        return _without(tightened, index)

    def disarmed(self, name: str) -> Deadlines:
        """Without the one of this name, if it is armed."""
        return next((_without(self, index) for index, one in enumerate(self.armed) if one.name == name), self)

    def with_after(self, name: str, event: Event, delay_us: int, fresh: dict[str, int]) -> Deadlines:
        """With one more, so long from now. `fresh` are those that this turn has armed before it, by their delays."""
        rest = self.disarmed(name)
        before = [None if left is None else left - delay_us for left in rest.left_us]
        behind = [None if one.name not in fresh else delay_us - fresh[one.name] for one in rest.armed]
        fresh[name] = delay_us
        return _inserted(rest, Armed(name, event, None), delay_us, before, behind)

    def with_at(self, name: str, event: Event, at_us: Bound, fresh: dict[str, int]) -> Deadlines:
        """With one more, at an absolute time: it is compared with its like only; at an unknown one, with none."""
        rest = self.disarmed(name)
        fresh.pop(name, None)
        behind = [None if at_us is None or one.at_us is None else at_us - one.at_us for one in rest.armed]
        return _inserted(rest, Armed(name, event, at_us), None, [None if b is None else -b for b in behind], behind)


def _inserted(
    rest: Deadlines, armed: Armed, left_us: Bound, before: Sequence[Bound], behind: Sequence[Bound]
) -> Deadlines:
    place = sum(one.name < armed.name for one in rest.armed)
    rows = [_put(row, place, before[one]) for one, row in enumerate(rest.apart_us)]
    rows.insert(place, _put(tuple(behind), place, 0))
    return Deadlines(_put(rest.armed, place, armed), _put(rest.left_us, place, left_us), tuple(rows))


def _without(deadlines: Deadlines, index: int) -> Deadlines:
    return Deadlines(
        _drop(deadlines.armed, index),
        _drop(deadlines.left_us, index),
        tuple(_drop(row, index) for one, row in enumerate(deadlines.apart_us) if one != index),
    )


def _put(items: tuple[T, ...], place: int, item: T) -> tuple[T, ...]:
    return (*items[:place], item, *items[place:])


def _drop(items: tuple[T, ...], place: int) -> tuple[T, ...]:
    return items[:place] + items[place + 1 :]


def _least(one: Bound, other: Bound) -> Bound:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _below(bound: Bound, limit_us: int) -> bool:
    return bound is not None and bound < limit_us
