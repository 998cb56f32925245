"""What Prometheus costs: one scrape of twenty processes and ten gateways, and one observation of a histogram."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import trio

from procession import open_runtime
from procession.daemon.http.metrics import exposition
from procession.telemetry.measures import measures_of
from tests.bench.figures import Figures
from tests.fixtures.many import OUTCOMES, Wanted, many

OBSERVATIONS = 200_000


def measure(folder: Path, scrapes: int) -> Figures:
    """Milliseconds of a scrape (all, and what of it is in the loop), its series, microseconds of an observation."""
    return {**trio.run(_scrape, folder / "many.db", scrapes), "observe_us": _observe_us()}


async def _scrape(path: Path, scrapes: int) -> Figures:
    processes, gateways = many()
    loop_ms, text_ms, text = [], [], b""
    async with open_runtime(path, processes=processes, gateways=gateways) as runtime:
        await runtime.publish([Wanted(f"key-{outcome}", outcome) for outcome in OUTCOMES])
        await runtime.drain()
        for _ in range(scrapes):
            began = time.process_time()
            families = await runtime.metrics()
            read = time.process_time()
            text, _media = exposition(families, "")
            loop_ms.append((read - began) * 1_000)
            text_ms.append((time.process_time() - read) * 1_000)
    series = sum(not line.startswith(b"#") for line in text.splitlines())
    loop, written = statistics.median(loop_ms), statistics.median(text_ms)
    return {"scrape_ms": loop + written, "in_loop_ms": loop, "series": float(series)}


def _observe_us() -> float:
    observe = measures_of({}, []).commit.observe
    values = [0.0001 * (number % 100) for number in range(OBSERVATIONS)]
    began = time.process_time()
    for value in values:
        observe(value)
    return (time.process_time() - began) / OBSERVATIONS * 1_000_000
