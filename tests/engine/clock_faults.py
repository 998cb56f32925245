"""Ways in which timers are built wrong for a clock that is set, each planted by a small patch of a real part."""

# What is broken here is private.
# ruff: noqa: SLF001

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import trio

from procession.engine.clock import Clock
from procession.engine.flow import Flow
from procession.engine.timers import Timers
from procession.journal.rows import ArmedTimer, TimerRow

Plant = Callable[[pytest.MonkeyPatch], None]


def _made_then(patch: pytest.MonkeyPatch, change: Callable[[Timers], None]) -> None:
    made = Timers.__init__

    def init(self: Timers, *given: Any, **named: Any) -> None:  # noqa: ANN401 - whatever it takes
        made(self, *given, **named)
        change(self)

    patch.setattr(Timers, "__init__", init)


def waits_by_the_loops_clock(patch: pytest.MonkeyPatch) -> None:
    """How long to wait is computed once, and the wall clock is not looked at meanwhile."""

    def blind(made: Timers) -> None:
        assert hasattr(made, "_check_interval_s")
        made._check_interval_s = math.inf

    _made_then(patch, blind)


class _NeverBack:
    drifts = True

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._latest_us = 0

    def now_us(self) -> int:
        self._latest_us = max(self._latest_us, self._clock.now_us())
        return self._latest_us


def takes_no_notice_of_a_clock_set_back(patch: pytest.MonkeyPatch) -> None:
    """Timers compare with the latest time that they ever saw."""

    def blind(made: Timers) -> None:
        made._clock = _NeverBack(made._clock)

    _made_then(patch, blind)


def keeps_what_it_fired(patch: pytest.MonkeyPatch) -> None:
    """The row of a timer outlives the commit of its event."""
    fire = Timers._fire

    def fire_and_keep(self: Timers, timer: ArmedTimer) -> None:
        fire(self, timer)
        del self._ledger.filling.commit.timers[timer.row.flow, timer.row.name]

    patch.setattr(Timers, "_fire", fire_and_keep)


def drops_what_is_overdue_at_a_start(patch: pytest.MonkeyPatch) -> None:
    """What came due while nobody ran is taken for done."""
    load, load_all = Timers._load, Timers.load

    async def without_overdue(self: Timers) -> None:
        begun_us = self._clock.now_us()

        def only_later(other: Timers, timer: ArmedTimer) -> None:
            if timer.row.due_us > begun_us:
                load(other, timer)

        with pytest.MonkeyPatch.context() as meanwhile:
            meanwhile.setattr(Timers, "_load", only_later)
            await load_all(self)

    patch.setattr(Timers, "load", without_overdue)


def fires_overdue_ones_as_they_were_armed(patch: pytest.MonkeyPatch) -> None:
    """All that is overdue at a start is due at once, in whatever order."""
    load_all = Timers.load

    async def all_at_once(self: Timers) -> None:
        await load_all(self)
        now_us = self._clock.now_us()
        self._heap = [due._replace(due_us=0) if due.due_us <= now_us else due for due in self._heap]
        heapq.heapify(self._heap)

    patch.setattr(Timers, "load", all_at_once)


def begins_before_it_has_caught_up(patch: pytest.MonkeyPatch) -> None:
    """Work is taken at a start before what is overdue was fired."""
    fire_due, run = Timers.fire_due, Timers.run
    running: set[int] = set()

    async def later(self: Timers) -> None:
        if id(self) in running:
            await fire_due(self)

    async def run_later(self: Timers) -> None:
        await trio.sleep(1)
        running.add(id(self))
        await run(self)

    patch.setattr(Timers, "fire_due", later)
    patch.setattr(Timers, "run", run_later)


def reckons_in_local_time(patch: pytest.MonkeyPatch) -> None:
    """A deadline is so much later by the clock on the wall of the place, which skips an hour and has one twice."""
    arm = Timers.arm

    def arm_locally(self: Timers, flow: Flow, row: TimerRow) -> None:
        now_us = self._clock.now_us()
        local = datetime.fromtimestamp(now_us / 1_000_000)  # noqa: DTZ006 - this is the fault
        due = local + timedelta(microseconds=row.due_us - now_us)
        arm(self, flow, row._replace(due_us=round(due.timestamp() * 1_000_000)))

    patch.setattr(Timers, "arm", arm_locally)
