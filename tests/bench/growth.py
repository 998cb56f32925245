"""What a journal costs as it grows: a saga on it, opening it, listing, loading a flow, every question of a start.

The number of flows that are still open is about the same in each journal, so what grows here grows with the past. The
sizes take turns, in each round the other way round, so that what the machine does meanwhile meets all alike.
"""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from procession import Outside, open_runtime
from procession.journal.journal import JournalReader
from procession.journal.rows import FlowQuery
from procession.journal.sqlite import open_sqlite
from procession.journal.sqlite_reader import read_sqlite
from procession.reading.timeline import read_timeline
from tests.bench import large, saga
from tests.bench.figures import Figures

SIZES = (1_000, 10_000, 100_000, 1_000_000)
LIVE_FLOWS = 1000
SAGA_FLOWS = 2000
_GROWTH_MAX = 0.01
"""A journal that a round would make larger by more than this is measured as a copy."""
_TIMES = 5
_LIMIT = 100

Question = Callable[[JournalReader], Awaitable[object]]


def sizes_upto(flows: int) -> list[int]:
    """The sizes below, and this one."""
    return [*(size for size in SIZES if size < flows), flows]


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
        "ls --older-than": listing(FlowQuery(started_before_us=2 * large.AT_US)),
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


def rounds(folder: Path, sizes: Sequence[int], number: int, saga_flows: int) -> Iterator[Figures]:
    """Figures by round and size, after a short run that warms the process up. Journals that are there are used."""
    for flows in sizes:
        if not _path(folder, flows).exists():
            with TemporaryDirectory(dir=folder) as making:  # a run that is interrupted leaves no half of a journal
                half = Path(making) / "large.db"
                trio.run(large.write, half, large.Large(flows, max(2, flows // LIVE_FLOWS)))
                half.rename(_path(folder, flows))
    with _at(folder, sizes[0], saga_flows) as path:
        trio.run(_cost, path, sizes[0], saga_flows // 4)
    for round_ in range(number):
        for flows in sizes if round_ % 2 == 0 else reversed(sizes):
            gc.collect()
            with _at(folder, flows, saga_flows) as path:
                found = trio.run(measure, path, flows, saga_flows)
            yield {"round": round_, **found}


def _path(folder: Path, flows: int) -> Path:
    return folder / f"growth_{flows}.db"


@contextmanager
def _at(folder: Path, flows: int, saga_flows: int) -> Iterator[Path]:
    path = _path(folder, flows)
    if 2 * saga_flows <= _GROWTH_MAX * flows:
        yield path
        return
    with TemporaryDirectory(dir=folder) as copies:
        yield Path(shutil.copy(path, copies))


async def measure(path: Path, flows: int, saga_flows: int) -> Figures:
    """What a flow costs, and milliseconds by question, the best of a few."""
    found: Figures = {"flows": flows, "bytes": path.stat().st_size}
    found |= await _cost(path, flows, saga_flows)
    found["open to read, ms"] = await _best_ms(lambda: _opened(path))
    found["open as owner, ms"] = await _best_ms(lambda: _owned(path))
    found["open the runtime, ms"] = await _best_ms(lambda: _run(path))
    reader = await read_sqlite(path)
    try:
        for name, question in questions(flows).items():
            found[f"{name}, ms"] = await _best_ms(partial(question, reader))
        found["show, ms"] = await _best_ms(partial(read_timeline, reader, "order", large.key_of(flows // 2 + 1)))
    finally:
        await reader.close()
    return found


async def _cost(path: Path, flows: int, saga_flows: int) -> Figures:
    """Microseconds for each of so many flows more, by the clock and of this process's own time.

    First flows whose keys and ids follow those that are there, as numbers of orders do; then such whose keys and ids
    lie anywhere among them, as random ones do.
    """

    def anywhere(number: int) -> Outside:
        among = number * 0x9E3779B97F4A7C15 % (1 << 64) % flows + 1
        key = f"{large.key_of(among)}-{number:07}"
        return Outside(saga.OrderPlaced(key, "article", 100), f"{key}/placed", "shop")

    found: Figures = {}
    async with open_runtime(path, processes=[saga.Order], gateways=large.gateways()) as runtime:
        for placing, placed in (("", saga.placed), ("scattered_", anywhere)):
            first = (await runtime.journal.heads()).flow + 1
            wall_s, cpu_s = await saga.all_at_once(runtime, range(first, first + saga_flows), placed)
            found[f"{placing}wall_us_per_flow"] = 1e6 * wall_s / saga_flows
            found[f"{placing}cpu_us_per_flow"] = 1e6 * cpu_s / saga_flows
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


def text(found: Sequence[Figures]) -> str:
    """A column for each size, a line for each figure; last, how much it grew from the first to the last."""
    lines = []
    for name in filter("round".__ne__, found[0]):
        values = [figures[name] for figures in found]
        times = f"{values[-1] / values[0]:10.1f} x" if values[0] else ""
        lines.append(f"{name:40}" + "".join(f"{value:16,.3f}" for value in values) + times)
    return "\n".join(lines)
