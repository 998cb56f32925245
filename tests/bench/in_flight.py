"""Throughput by the number of flows in flight: what one flow alone, a few, and very many of them reach."""

from __future__ import annotations

import time
from pathlib import Path

import trio

from procession import Runtime, open_runtime
from tests.bench import saga
from tests.bench.figures import Figures

WIDTHS = (1, 16, 128, 1024)


async def _throughput(path: Path, flows: int, width: int) -> float:
    """Flows a second, with so many in flight at any time."""
    async with open_runtime(
        path, processes=[saga.Order], gateways=[saga.Warehouse(), saga.Payments(), saga.Carrier()]
    ) as runtime:
        began = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for first in range(width):
                nursery.start_soon(_one_after_another, runtime, range(first, flows, width))
        return flows / (time.perf_counter() - began)


async def _one_after_another(runtime: Runtime, numbers: range) -> None:
    for number in numbers:
        await runtime.publish([saga.placed(number)])
        await runtime.flow(saga.Order, f"{number:06}").wait_ended(60)


def measure(folder: Path, *, flows: int = 4000) -> Figures:
    """One round: fewer flows where few are in flight, so that each width takes a second or two."""
    return {
        f"flows_per_s_{width}": trio.run(
            _throughput, folder / f"width-{width}.db", max(width, min(flows, 300 * width)), width
        )
        for width in WIDTHS
    }
