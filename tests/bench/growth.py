"""What a journal costs as it grows: opening it, listing, loading a flow, and every question that is asked at a start.

The number of flows that are still open is the same in each journal, so what grows here grows with the past.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from procession import open_runtime
from procession.journal.journal import JournalReader
from procession.journal.rows import Commit, FlowQuery
from procession.journal.sqlite import open_sqlite
from procession.journal.sqlite_reader import read_sqlite
from tests.bench import large, saga
from tests.bench.figures import Figures

LIVE_FLOWS = 1000
_TIMES = 5
_LIMIT = 100

Question = Callable[[JournalReader], Awaitable[object]]


def questions(flows: int) -> dict[str, Question]:
    """What operators, the engine and its start ask of a journal with so many flows."""
    middle = large.key_of(flows // 2 + 1)

    def listing(query: FlowQuery) -> Question:
        return lambda journal: journal.flows(query, 0, _LIMIT)

    return {
        "ls": listing(FlowQuery()),
        "ls --process": listing(FlowQuery(process="order")),
        "ls --status active": listing(FlowQuery(status=("active",))),
        "ls --status quarantined": listing(FlowQuery(status=("quarantined",))),
        "ls --process --status quarantined": listing(FlowQuery(process="order", status=("quarantined",))),
        "ls --status ended": listing(FlowQuery(status=("ended",))),
        "ls --outcome that is rare": listing(FlowQuery(outcome="unpaid")),
        "ls --key": listing(FlowQuery(key=middle)),
        "ls --process --key": listing(FlowQuery(process="order", key=middle)),
        "ls --prefix": listing(FlowQuery(key_prefix=middle[:-1])),
        "ls --older-than": listing(FlowQuery(started_before_us=large.AT_US + 1)),
        "load": lambda journal: journal.load("order", middle, 100),
        "look_up": lambda journal: journal.look_up(
            [("shop", f"{middle}/placed"), ("shop", "new")], [("order", middle), ("order", "new")]
        ),
        "commands of a flow": lambda journal: journal.commands(flows // 2, 0, 100),
        "events, a page in the middle": lambda journal: journal.events(2 * flows, 500),
        "heads": lambda journal: journal.heads(),
        "types_in_use": lambda journal: journal.types_in_use(),
        "concerns": lambda journal: journal.concerns(),
        "flows with pending deliveries": lambda journal: journal.flows_with_deliveries("pending", 0, 200),
        "open commands": lambda journal: journal.open_commands("payments", 1 << 62, 200),
        "timers, the first page": lambda journal: journal.timers((0, 0, ""), 200),
    }


async def measure(path: Path, flows: int) -> Figures:
    """Milliseconds by question, the best of a few; the journal is made where it is not there."""
    if not path.exists():
        await large.write(path, large.Large(flows, max(2, flows // LIVE_FLOWS)))
    found: Figures = {"flows": flows, "bytes": path.stat().st_size}
    found["open to read, ms"] = await _best_ms(lambda: _opened(path))
    found["open as owner, ms"] = await _best_ms(lambda: _owned(path))
    found["open the runtime, ms"] = await _best_ms(lambda: _run(path))
    reader = await read_sqlite(path)
    try:
        for name, question in questions(flows).items():
            found[f"{name}, ms"] = await _best_ms(lambda asked=question: asked(reader))  # type: ignore[misc]  # bound now
    finally:
        await reader.close()
    found["commit of 256 new flows, no sync, ms"] = await _commit_ms(path, flows)
    return found


async def _best_ms(work: Callable[[], Awaitable[object]]) -> float:
    times = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        await work()
        times.append(1000 * (time.perf_counter() - began))
    return min(times)


async def _opened(path: Path) -> None:
    await (await read_sqlite(path)).close()


async def _owned(path: Path) -> None:
    await (await open_sqlite(path, clock_us=lambda: large.AT_US)).close_clean()


async def _run(path: Path) -> None:
    async with open_runtime(path, processes=[saga.Order], gateways=large.gateways()):
        pass


async def _commit_ms(path: Path, flows: int) -> float:
    """Writing where the indexes are large; without the sync, whose time says nothing about the journal."""
    journal = await open_sqlite(path, clock_us=lambda: large.AT_US, synchronous="NORMAL")
    try:
        heads = await journal.heads()
        commits: list[Commit] = list(large.more(heads, 256, _TIMES))
        times = []
        for commit in commits:
            began = time.perf_counter()
            await journal.commit(commit)
            times.append(1000 * (time.perf_counter() - began))
        await journal.close_clean()
    finally:
        await journal.close()
    return min(times)


def run(folder: Path, sizes: list[int]) -> list[Figures]:
    """One journal for each size."""
    return [trio.run(measure, folder / f"growth_{flows}.db", flows) for flows in sizes]


def text(found: list[Figures]) -> str:
    """A column for each size, a line for each question; last, how much it grew from the first to the last."""
    lines = []
    for name in found[0]:
        values = [figures[name] for figures in found]
        times = f"{values[-1] / values[0]:10.1f} x" if values[0] else ""
        lines.append(f"{name:40}" + "".join(f"{value:16,.3f}" for value in values) + times)
    return "\n".join(lines)
