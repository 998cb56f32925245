"""The wall clock of a simulation: it follows trio's clock, and jumps when it is told to."""

from __future__ import annotations

import attrs
import trio

_START_US = 1_700_000_000_000_000


@attrs.define(eq=False)
class SimulatedClock:
    """Wall-clock time that is data."""

    drifts: bool
    """It may jump: timers look at it every second."""
    ahead_us: int = 0

    def now_us(self) -> int:
        """Microseconds since 1970 in UTC."""
        return _START_US + self.ahead_us + int(trio.current_time() * 1_000_000)

    def jump(self, seconds: float) -> None:
        """Somebody sets the clock, forwards or backwards."""
        self.ahead_us += int(seconds * 1_000_000)
