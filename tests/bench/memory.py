"""What flows cost that wait for an event, each with one timer set: the memory of a process that has them all.

Each figure comes from a process of its own: an empty runtime, one that has just published and handled so many flows,
and one that opened the journal that they are in. What one flow more costs is the slope from half of them to all: the
cache is full in both.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import trio

from procession import Effects, Event, Outside, ProcessManager, after, ends, open_runtime, starts
from tests.bench.figures import Figures

_BATCH = 500
_ROOT = Path(__file__).parents[2]


class OfferMade(Event, name="offer.made"):
    offer: str
    amount_cents: int


class OfferAnswered(Event, name="offer.answered"):
    offer: str


class OfferExpired(Event, name="offer.expired"):
    offer: str


class Offer(ProcessManager, name="offer", key="offer"):
    @starts
    def made(self, made: OfferMade) -> Effects:
        yield after(timedelta(days=30), OfferExpired(made.offer))

    @ends
    def over(self, event: OfferAnswered | OfferExpired) -> None:
        """Nothing is waited for any more."""


async def flows_in_memory(path: Path, flows: int) -> int:
    """Resident bytes of this process, after so many more flows began to wait."""
    async with open_runtime(path, processes=[Offer]) as runtime:
        for at in range(0, flows, _BATCH):
            await runtime.publish(
                [
                    Outside(OfferMade(f"{number:08}", number), f"{number:08}", "bench")
                    for number in range(at, min(at + _BATCH, flows))
                ]
            )
        await runtime.drain()
        await trio.sleep(0.2)
        gc.collect()
        return resident_bytes()


def resident_bytes() -> int:
    """The memory that this process occupies, as the system counts it."""
    said = subprocess.run(["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, text=True, check=True)
    return 1024 * int(said.stdout)


def _in_process(path: Path, flows: int) -> int:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *sys.path])}
    said = subprocess.run(
        [sys.executable, "-m", "tests.bench.memory", str(path), str(flows)],
        capture_output=True,
        text=True,
        check=True,
        cwd=_ROOT,
        env=environment,
    )
    return int(said.stdout)


def measure(folder: Path, *, flows: int = 100_000) -> Figures:
    """One round."""
    with tempfile.TemporaryDirectory(dir=folder) as empty:
        base = _in_process(Path(empty) / "empty.db", 0)
    full = folder / "memory.db"
    half = _in_process(folder / "half.db", flows // 2)
    published, reopened = _in_process(full, flows), _in_process(full, 0)
    return {
        "flows": flows,
        "bytes_per_flow_more": (published - half) / (flows - flows // 2),
        "bytes_per_flow_reopened": (reopened - base) / flows,
        "empty_mb": base / 1e6,
        "after_publishing_mb": (published - base) / 1e6,
        "after_reopening_mb": (reopened - base) / 1e6,
    }


if __name__ == "__main__":
    print(trio.run(flows_in_memory, Path(sys.argv[1]), int(sys.argv[2])))
