"""A module that planted flows call into: one helper of each kind reads the clock, its twin does not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

STARTED = time.time()
"""Read once, when the module is imported: another number in every process."""


def stamp() -> str:
    return f"{time.time()}"


def stamp_of(at: datetime) -> str:
    return f"{at.timestamp()}"


def deep_stamp() -> str:
    return "".join(part() for part in (stamp,))


def stamp_by_default(clock: Callable[[], float] = time.time) -> str:
    return str(clock())


def stamp_by_keyword(*, clock: Callable[[], float] = time.monotonic) -> str:
    return str(clock())


def stamp_at_definition(at: str = datetime.now(UTC).isoformat()) -> str:
    return at


def shout_by_default(text: str, how: Callable[[str], str] = str.upper) -> str:
    return how(text)


@cache
def home() -> str:
    return os.environ.get("HOME", "nowhere")


@cache
def shout(text: str) -> str:
    return text.upper()


class Watch:
    """Something with a clock inside."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.label = "watch"

    def now(self) -> str:
        return str(self.clock())


class Shelf:
    """Something that holds a watch: a chain of attributes leads to the clock."""

    watch = Watch(time.time)


SHELF = Shelf()
