"""What a wall clock may do while timers are armed, played on virtual time; and what is said of the timers after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import attrs
import trio

from procession.journal.memory import MemoryJournal
from procession.journal.rows import EventRow
from procession.primitives.codec import from_json
from tests.engine.tally import Armed, Opened, Tally, opened

HOUR_S, DAY_S = 3_600, 86_400
YEAR_S = 365 * DAY_S
LOOKED_AT_S = 1.1
"""The wall clock is looked at once a second."""
_CENTURIES_S = 400 * YEAR_S
_ROWS_MAX = 10_000
SPRING = datetime(2026, 3, 29, 0, 59, 58, tzinfo=UTC).timestamp()
"""Before an hour that Berlin skips."""
AUTUMN = datetime(2026, 10, 25, 0, 59, 58, tzinfo=UTC).timestamp()
"""Before an hour that Berlin has twice."""
BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
"""For the variable `TZ`."""


class SetClock:
    """A wall clock that goes on with the time of the loop, and is set by the test."""

    drifts = True

    def __init__(self, start_s: float = SPRING) -> None:
        self.offset_s = start_s

    def now_us(self) -> int:
        return int((self.offset_s + trio.current_time()) * 1_000_000)


@attrs.frozen
class Arm:
    """A timer, so far ahead."""

    after_s: int


@attrs.frozen
class Jump:
    """The wall clock is set on or back."""

    by_s: int


@attrs.frozen
class Suspend:
    """The machine sleeps and wakes: the loop's time stood, the wall clock went on."""

    for_s: int


@attrs.frozen
class Wait:
    """Nothing happens for so long."""

    for_s: float


@attrs.frozen
class Restart:
    """The process ends in order, and another begins after so long."""

    after_s: int = 0


Act = Arm | Jump | Suspend | Wait | Restart


class _Rang(NamedTuple):
    timer: str
    position: int
    at_us: int


class _Timers(NamedTuple):
    """What a journal tells of timers."""

    armed: dict[str, int]
    """By timer: the position of the event for which it was armed."""
    due_us: dict[str, int]
    rang: list[_Rang]

    @classmethod
    def of(cls, rows: Sequence[EventRow]) -> _Timers:
        found = cls({}, {}, [])
        for row in rows:
            data = from_json(row.payload)
            if row.type == "tally.armed":
                found.armed[data["timer"]] = row.position
                found.due_us[data["timer"]] = row.recorded_us + data["after_s"] * 1_000_000
            elif row.type == "tally.rang":
                found.rang.append(_Rang(data["timer"], row.position, row.recorded_us))
        return found

    def overdue(self, at_us: int) -> list[str]:
        """Those that were due by then and have not fired, in the order of their deadlines."""
        fired = {rang.timer for rang in self.rang}
        left = [timer for timer, due_us in self.due_us.items() if due_us <= at_us and timer not in fired]
        return sorted(left, key=self.due_us.__getitem__)


async def played(acts: Sequence[Act], start_s: float = SPRING) -> list[str]:
    """Play the acts, then let everything come due: every breach of what is promised of timers, as a sentence."""
    clock, journal = SetClock(start_s), MemoryJournal()
    found: list[str] = []
    armed = 0
    for life in _lives((*acts, Restart(), Suspend(_CENTURIES_S), Restart())):
        clock.offset_s += life.after_s
        before = await journal.events(0, _ROWS_MAX)
        overdue = _Timers.of(before).overdue(clock.now_us())
        async with opened(journal, clock=clock) as runtime:
            await runtime.publish(Opened("a"), id="opened", source="test")
            for act in life.acts:
                if isinstance(act, Arm):
                    await runtime.publish(Armed("a", f"{armed}", act.after_s))
                    armed += 1
                elif isinstance(act, Jump | Suspend):
                    clock.offset_s = max(0.0, clock.offset_s + (act.by_s if isinstance(act, Jump) else act.for_s))
                looked_at_us = clock.now_us()
                if isinstance(act, Wait | Suspend):
                    await trio.sleep(act.for_s if isinstance(act, Wait) else LOOKED_AT_S)
                await runtime.drain()
                if isinstance(act, Suspend) or (isinstance(act, Wait) and act.for_s >= LOOKED_AT_S):
                    late = _Timers.of(await journal.events(0, _ROWS_MAX)).overdue(looked_at_us)
                    found += [f"timer {timer} was due and had not fired a second later" for timer in late]
            await runtime.flow(Tally, "a").summary()
        journal = journal.reopened()
        found += _at_start(overdue, (await journal.events(0, _ROWS_MAX))[len(before) :])
    return [*found, *_of_all(_Timers.of(await journal.events(0, _ROWS_MAX)))]


class _Life(NamedTuple):
    after_s: int
    acts: list[Act]


def _lives(acts: Sequence[Act]) -> list[_Life]:
    lives = [_Life(0, [])]
    for act in acts:
        if isinstance(act, Restart):
            lives.append(_Life(act.after_s, []))
        else:
            lives[-1].acts.append(act)
    return lives


def _at_start(overdue: list[str], since: Sequence[EventRow]) -> Iterator[str]:
    """What was overdue when a process began comes before all else."""
    first = {rang.timer for rang in _Timers.of(since[: len(overdue)]).rang}
    yield from (
        f"timer {timer} was overdue at a start and came after something newer"
        for timer in overdue
        if timer not in first
    )


def _of_all(timers: _Timers) -> Iterator[str]:
    """No timer is lost, early, fired twice, or out of order."""
    times = Counter(rang.timer for rang in timers.rang)
    for timer in timers.armed:
        if times[timer] != 1:
            yield f"timer {timer} fired {times[timer]} times"
    for number, rang in enumerate(timers.rang):
        due_us = timers.due_us[rang.timer]
        if rang.at_us < due_us:
            yield f"timer {rang.timer} fired {(due_us - rang.at_us) / 1_000_000:g} s before its time"
        for later in timers.rang[number + 1 :]:
            if timers.armed[later.timer] < rang.position and timers.due_us[later.timer] < due_us:
                yield f"timer {later.timer} was due before timer {rang.timer} and fired after it"
