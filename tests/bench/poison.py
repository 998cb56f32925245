"""Flows of which a few are poisonous: their second event makes the turn fail, each in a way of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from procession import Command, Effects, Event, Gateway, ProcessManager, ends, folds, on, starts

HARMLESS = "harmless"
POISONS = ("raises", "exits", "yields nonsense", "folds to nonsense", "asks for too much")
_TOO_MUCH = 10_000


class Opened(Event, name="parcel.opened"):
    parcel: str


class Weighed(Event, name="parcel.weighed"):
    parcel: str
    content: str


class Stamped(Event, name="parcel.stamped"):
    parcel: str


class Sent(Event, name="parcel.sent"):
    parcel: str


class Send(Command, name="parcel.send"):
    parcel: str


class Post(Gateway, name="post", concurrency=64):
    async def send(self, command: Send) -> Sent:
        return Sent(command.parcel)


def parcels(*, repaired: bool = False) -> type[ProcessManager]:
    """The process; `repaired` is the next version of its code, which takes every content."""

    class Parcel(ProcessManager, name="parcel", key="parcel"):
        weighed: bool = False
        stamps: int = 0

        @starts
        def opened(self, opened: Opened) -> None:
            """Nothing follows."""

        @folds
        def weight(self, weighed: Weighed) -> Parcel:
            if weighed.content == "folds to nonsense" and not repaired:
                return None  # type: ignore[return-value]  # that is the poison
            return self.evolve(weighed=True)

        @on
        def check(self, weighed: Weighed) -> Effects:
            if not repaired:
                yield from _POISON.get(weighed.content, _nothing)(weighed)

        @folds
        def stamp(self, stamped: Stamped) -> Parcel:
            return self.evolve(stamps=self.stamps + 1)

        @on
        def send(self, stamped: Stamped) -> Effects:
            if self.stamps == 1:
                yield Send(stamped.parcel)

        @ends(outcome="sent")
        def sent(self, sent: Sent) -> None:
            """It is on its way."""

    return Parcel


def contents(flows: int, poisonous: int) -> list[str]:
    """The contents of so many parcels; the poisonous ones lie evenly among them, each kind in turn."""
    found = [HARMLESS] * flows
    for number in range(poisonous):
        found[number * flows // poisonous] = POISONS[number % len(POISONS)]
    return found


def _nothing(weighed: Weighed) -> Effects:
    yield from ()


def _raises(weighed: Weighed) -> Effects:
    msg = "the scales are broken"
    raise ValueError(msg)


def _exits(weighed: Weighed) -> Effects:
    sys.exit("from inside a turn")


def _nonsense(weighed: Weighed) -> Any:  # noqa: ANN401 - that is the poison
    yield 42


def _too_much(weighed: Weighed) -> Effects:
    for _ in range(_TOO_MUCH):
        yield Send(weighed.parcel)


_POISON: dict[str, Callable[[Weighed], Effects]] = {
    "raises": _raises,
    "exits": _exits,
    "yields nonsense": _nonsense,
    "asks for too much": _too_much,
}
