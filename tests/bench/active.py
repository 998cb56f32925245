"""What flows cost that are in memory: those at rest in the cache, and those that wait for an attempt that is running.

Each figure is the slope between two processes, the one with twice as many flows as the other, so that what a runtime
costs anyway falls out. The settings let them all stay: by default `flows.cached_max` at rest and `flows.awake_max` at
work are the most there are, and the attempts of a gateway are as many as its concurrency.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import trio

from procession import (
    Command,
    Effects,
    Event,
    Gateway,
    Outside,
    ProcessManager,
    Runtime,
    Settings,
    ends,
    open_runtime,
    starts,
)
from procession.settings import FlowsSettings, GatewaysSettings
from tests.bench import memory
from tests.bench.figures import Figures

ATTEMPTS_MAX = 10_000
_ROOM = 2 * ATTEMPTS_MAX
_BATCH = 500
_ROOT = Path(__file__).parents[2]


class ParcelWeighed(Event, name="parcel.weighed"):
    parcel: str
    grams: int


class ParcelCarried(Event, name="parcel.carried"):
    parcel: str


class Carry(Command, name="parcel.carry"):
    parcel: str
    grams: int


class Carried(ProcessManager, name="carried", key="parcel"):
    @starts
    def weighed(self, weighed: ParcelWeighed) -> Effects:
        yield Carry(weighed.parcel, weighed.grams)

    @ends
    def carried(self, carried: ParcelCarried) -> None:
        """It is there."""


class Porters(Gateway, name="porters", concurrency=ATTEMPTS_MAX, timeout_s=3600):
    """They never arrive."""

    flows: int
    all_there: trio.Event

    async def carry(self, command: Carry) -> ParcelCarried:
        if command.grams == self.flows:
            self.all_there.set()
        await trio.sleep_forever()


def _settings() -> Settings:
    return Settings(flows=FlowsSettings(cached_max=_ROOM), gateways=GatewaysSettings(commands_loaded_max=_ROOM))


async def attempted(path: Path, flows: int) -> None:
    """Have so many flows wait for an attempt that is running, and tell what the process occupies."""
    porters = Porters(flows, trio.Event())
    async with open_runtime(path, processes=[Carried], gateways=[porters], settings=_settings()) as runtime:
        await _publish(runtime, [ParcelWeighed(f"{number:08}", number) for number in range(1, flows + 1)])
        await porters.all_there.wait()
        _tell_and_leave(runtime)


async def cached(path: Path, flows: int) -> None:
    """Have so many flows rest in the cache, and tell what the process occupies."""
    async with open_runtime(path, processes=[memory.Offer], settings=_settings()) as runtime:
        await _publish(runtime, [memory.OfferMade(f"{number:08}", number) for number in range(flows)])
        await runtime.drain()
        _tell_and_leave(runtime)


async def _publish(runtime: Runtime, events: Sequence[Event]) -> None:
    for at in range(0, len(events), _BATCH):
        batch = events[at : at + _BATCH]
        await runtime.publish([Outside(event, f"{at + n:08}", "bench") for n, event in enumerate(batch)])


def _tell_and_leave(runtime: Runtime) -> None:
    """No attempt is waited for: the process is over."""
    evicted = runtime.counters()["procession_flows_evicted"]
    assert not evicted, f"{evicted} flows left the cache, which has room for {_ROOM}"
    gc.collect()
    print(memory.resident_bytes(), flush=True)
    os._exit(0)


KINDS = {"attempted": attempted, "cached": cached}


def measure(folder: Path, *, flows: int = ATTEMPTS_MAX) -> Figures:
    """One round: bytes for a flow of each kind, the slope from half of them to all."""
    found: Figures = {}
    for kind in KINDS:
        half, all_ = (_resident(folder / f"{kind}-{number}.db", kind, number) for number in (flows // 2, flows))
        found[f"{kind}_bytes_per_flow"] = (all_ - half) / (flows - flows // 2)
    return found


def _resident(path: Path, kind: str, flows: int) -> int:
    said = subprocess.run(
        [sys.executable, "-m", "tests.bench.active", kind, str(path), str(flows)],
        capture_output=True,
        text=True,
        check=True,
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *sys.path])},
    )
    return int(said.stdout)


if __name__ == "__main__":
    trio.run(KINDS[sys.argv[1]], Path(sys.argv[2]), int(sys.argv[3]))
