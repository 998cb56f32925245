"""One flow at a time, while nothing else happens: its latency beside that of its four commits by raw sqlite3.

Between the two lies the bare hop: the same four commits by one aiosqlite connection, reached from trio as the journal
reaches its own, with no journal and no engine around them. All three take turns, flow by flow, so the disk is as quick
for the one as for the others.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path

import trio

from procession.journal import sqlite_schema
from procession.journal.sqlite_thread import Lane, LoopThread
from tests.bench import floor, saga
from tests.bench.figures import Figures, percentiles

STEPS_PER_FLOW = 4
_BUSY_S = 5.0

Hop = Callable[[floor.Group], Awaitable[None]]


def measure(folder: Path, flows: int) -> Figures:
    """One round: milliseconds for a whole flow, and for as many commits; with both percentiles' ratios."""
    first = folder / "first.db"
    trio.run(saga.one_after_another, first, flows, _no_pause)
    steps = floor.read_back(first)
    raw, hop = folder / "raw_idle.db", folder / "hop_idle.db"
    for path in (raw, hop):
        floor.make(path, first)
    idle_ms, raw_ms, hop_ms = trio.run(_by_turns, folder / "idle.db", flows, raw, hop, steps)
    for path in (raw, hop):
        floor.assert_same(path, first)
    p50, p95, p99 = percentiles(idle_ms)
    raw_p50, _, raw_p99 = percentiles(_fours(raw_ms))
    hop_p50, _, hop_p99 = percentiles(_fours(hop_ms))
    commits_ms = STEPS_PER_FLOW * percentiles(raw_ms)[0]
    return {
        "idle_ms_p50": p50,
        "idle_ms_p95": p95,
        "idle_ms_p99": p99,
        "raw_four_ms_p50": raw_p50,
        "raw_four_ms_p99": raw_p99,
        "hop_four_ms_p50": hop_p50,
        "hop_four_ms_p99": hop_p99,
        "idle_p50_ratio": p50 / raw_p50,
        "idle_p99_ratio": p99 / raw_p99,
        "hop_p50_ratio": hop_p50 / raw_p50,
        "hop_p99_ratio": hop_p99 / raw_p99,
        "idle_p50_of_hop": p50 / hop_p50,
        "idle_p99_of_hop": p99 / hop_p99,
        "idle_beyond_raw_ms": p50 - commits_ms,
    }


def _fours(commits_ms: Sequence[float]) -> list[float]:
    return [sum(commits_ms[at : at + STEPS_PER_FLOW]) for at in range(0, len(commits_ms), STEPS_PER_FLOW)]


async def _no_pause() -> None:
    pass


async def _by_turns(
    path: Path, flows: int, raw_path: Path, hop_path: Path, steps: Sequence[floor.Group]
) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds of each flow; of each commit by raw sqlite3; of each commit by a hop."""
    raw_ms: list[float] = []
    hop_ms: list[float] = []
    left = iter(steps)
    with closing(floor.opened(raw_path)) as raw:
        async with _hops(hop_path) as hop:

            async def as_many() -> None:
                groups = list(itertools.islice(left, STEPS_PER_FLOW))
                raw_ms.extend(1000 * took_s for took_s in floor.write_groups(raw, groups))
                hop_ms.extend([await _timed_ms(hop, group) for group in groups])

            idle_ms = await saga.one_after_another(path, flows, as_many)
    return idle_ms, raw_ms, hop_ms


async def _timed_ms(hop: Hop, group: floor.Group) -> float:
    began = time.perf_counter()
    await hop(group)
    return 1000 * (time.perf_counter() - began)


@asynccontextmanager
async def _hops(path: Path) -> AsyncIterator[Hop]:
    """One connection in a thread of its own, as a journal has; each group of rows is one hop into it."""
    thread, lane = LoopThread("bench"), Lane()
    thread.end_with(lane.close)
    try:
        await thread.call(lambda: lane.connect(sqlite_schema.uri_of(str(path), "mode=rw"), _BUSY_S))
        await thread.hop(lane, floor.prepare)
        yield lambda group: thread.hop(lane, partial(floor.write_group, group=group))
    finally:
        await thread.close()
