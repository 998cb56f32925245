"""What poisonous flows cost the others: their latency from publish to end, with poison and without."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import trio

from procession import Outside, Runtime, open_runtime
from tests.bench.figures import Figures, percentiles
from tests.bench.poison import HARMLESS, Opened, Post, Stamped, Weighed, contents, parcels

_SENDERS = 64


async def latencies_ms(path: Path, flows: Sequence[str]) -> list[float]:
    """Of each harmless flow, while so many senders each publish one flow after the other."""
    found: list[float] = []
    async with open_runtime(path, processes=[parcels()], gateways=[Post()]) as runtime:
        async with trio.open_nursery() as nursery:
            numbered = list(enumerate(flows))
            for sender in range(_SENDERS):
                nursery.start_soon(_send, runtime, numbered[sender::_SENDERS], found)
        await runtime.drain()
    assert len(found) == sum(content == HARMLESS for content in flows)
    return found


async def _send(runtime: Runtime, flows: Sequence[tuple[int, str]], found: list[float]) -> None:
    for number, content in flows:
        key = str(number)
        began = time.perf_counter()
        events = [Opened(key), Weighed(key, content), Stamped(key), Stamped(key)]
        await runtime.publish([Outside(event, f"{key}/{at}", "bench") for at, event in enumerate(events)])
        if content == HARMLESS:
            await runtime.flow("parcel", key).wait_ended(60)
            found.append(1000 * (time.perf_counter() - began))


def measure(folder: Path, *, flows: int = 10_000, poisonous: int = 100) -> Figures:
    """One pair: with and without poison."""
    logging.getLogger("procession.quarantine").setLevel(logging.ERROR)
    calm = trio.run(latencies_ms, folder / "calm.db", contents(flows, 0))
    poisoned = trio.run(latencies_ms, folder / "poisoned.db", contents(flows, poisonous))
    calm_p50, _, calm_p99 = percentiles(calm)
    p50, _, p99 = percentiles(poisoned)
    return {
        "calm_ms_p50": calm_p50,
        "calm_ms_p99": calm_p99,
        "poisoned_ms_p50": p50,
        "poisoned_ms_p99": p99,
        "p99_ratio": p99 / calm_p99,
    }
