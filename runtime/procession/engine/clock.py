"""Wall-clock time, through one object: what the journal records and deadlines compare with."""

from __future__ import annotations

import time
from typing import Protocol

import trio


class Clock(Protocol):
    """Where the engine gets the time from."""

    drifts: bool
    """Whether it may jump against trio's clock, so that timers must look at it again and again."""

    def now_us(self) -> int:
        """Microseconds since 1970 in UTC."""
        ...


class SystemClock:
    """The machine's clock. It may jump, forwards and backwards."""

    drifts = True

    def now_us(self) -> int:
        """Microseconds since 1970 in UTC."""
        return time.time_ns() // 1000


class TrioClock:
    """Follows trio's clock from a fixed start: virtual time in tests."""

    drifts = False

    def __init__(self, start_us: int = 1_700_000_000_000_000) -> None:
        self._start_us = start_us
        self._origin: float | None = None

    def now_us(self) -> int:
        """Microseconds since 1970 in UTC, moved by trio's clock."""
        if self._origin is None:
            self._origin = trio.current_time()
        return self._start_us + int((trio.current_time() - self._origin) * 1_000_000)
