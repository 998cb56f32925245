"""Whatever the wall clock does: no timer is lost, fires before its time, or fires twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import attrs
import hypothesis
import pytest
import trio
import trio.testing
from hypothesis import strategies as st

from procession.journal.memory import MemoryJournal
from procession.primitives.codec import from_json
from tests.engine.tally import Armed, Opened, Tally, opened

_HOUR_S, _DAY_S = 3_600, 86_400
_YEAR_S = 365 * _DAY_S
_LOOKED_AT_S = 1.1
"""The wall clock is looked at once a second."""
_CENTURIES_S = 400 * _YEAR_S


class SetClock:
    """A wall clock that goes on with the time of the loop, and is set by the test."""

    drifts = True

    def __init__(self) -> None:
        self.offset_s = datetime(2026, 3, 29, 0, 59, 58, tzinfo=UTC).timestamp()  # before an hour that Berlin skips

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
class Wait:
    """Nothing happens for so long; on a machine that was suspended the loop's time stands, and a `Jump` follows."""

    for_s: float


@attrs.frozen
class Restart:
    """The process ends in order and another begins."""


Act = Arm | Jump | Wait | Restart
SPANS = st.one_of(st.integers(0, 120), st.sampled_from([_HOUR_S, _DAY_S, _YEAR_S]), st.integers(0, 40 * _YEAR_S))
ACTS = st.one_of(
    st.builds(Arm, SPANS),
    st.builds(Jump, st.tuples(SPANS, st.sampled_from([-1, 1])).map(lambda drawn: drawn[0] * drawn[1])),
    st.builds(Wait, st.floats(0, 90)),
    st.builds(Restart),
)


async def played(acts: Sequence[Act], journal: MemoryJournal, clock: SetClock) -> MemoryJournal:
    """Play the acts, then let everything come due."""
    armed = 0
    lives: list[list[Act]] = [[]]
    for act in (*acts, Restart(), Jump(_CENTURIES_S), Wait(_LOOKED_AT_S)):
        if isinstance(act, Restart):
            lives.append([])
        else:
            lives[-1].append(act)
    for life in lives:
        async with opened(journal, clock=clock) as runtime:
            await runtime.publish(Opened("a"), id="opened", source="test")
            for act in life:
                if isinstance(act, Arm):
                    await runtime.publish(Armed("a", f"{armed}", act.after_s))
                    armed += 1
                elif isinstance(act, Jump):
                    clock.offset_s = max(0.0, clock.offset_s + act.by_s)
                elif isinstance(act, Wait):
                    await trio.sleep(act.for_s)
                await runtime.drain()
            await runtime.flow(Tally, "a").summary()
        journal = journal.reopened()
    return journal


@pytest.mark.slow
@hypothesis.settings(max_examples=max(60, hypothesis.settings().max_examples))
@hypothesis.given(st.lists(ACTS, max_size=12))
def test_each_timer_fires_once_and_not_before_its_time(acts: list[Act]) -> None:
    async def main() -> None:
        journal = await played(acts, MemoryJournal(), SetClock())
        due_us: dict[str, int] = {}
        rang: list[str] = []
        for row in await journal.events(0, 1000):
            data = from_json(row.payload)
            if row.type == "tally.armed":
                due_us[data["timer"]] = row.recorded_us + data["after_s"] * 1_000_000
            elif row.type == "tally.rang":
                rang.append(data["timer"])
                assert row.recorded_us >= due_us[data["timer"]], "it fired before its time"
        assert sorted(rang) == sorted(due_us), "each fires, and once"

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
