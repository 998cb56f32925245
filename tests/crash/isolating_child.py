"""The process in which bad flows live among others: an embedded runtime on a real file, under steady load.

    python -m tests.crash.isolating_child FOLDER FAULT load SEED SECONDS
    python -m tests.crash.isolating_child FOLDER FAULT fatal KIND

`load` prints what it measured as JSON. `fatal` meets one flow that ends the process, and prints nothing.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import json
import logging
import random
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import trio

from procession import Outside, Runtime, Settings, hosting, open_runtime
from procession.engine.flow import Delivery, Flow
from procession.engine.quarantine import Quarantine
from procession.engine.turn_watch import Name, Suspect
from procession.journal.rows import FlowQuery, FlowRow
from procession.settings import FlowsSettings
from tests.crash.isolating_flows import (
    GIGABYTE,
    IN_GATEWAYS,
    IN_THREADS,
    IN_TURNS,
    TIME_IS_UP,
    WELL,
    Begun,
    Book,
    Desk,
    Errand,
    Pit,
    Shaft,
    Told,
)

LIMITS = Settings(flows=FlowsSettings(turn_returns_s=0.1))
WELL_BEFORE = 20
"""Flows that are well, begun with the one that is fatal."""
_PAUSE_S = 0.004
_WINDOW_S = 0.4
"""Windows with bad flows and without take turns, so that both see the same machine."""
_BAD_EVERY = 6
_PAGE = 1000
_REST_S = 20.0
CPU_S = 4


@attrs.define
class Load:
    """What was published, and when."""

    begun_at: dict[str, tuple[float, bool]] = attrs.field(factory=dict)
    """By key of a flow that is well: when its event was published, and whether bad ones were about."""
    kinds: dict[str, str] = attrs.field(factory=dict)
    """By key of a bad flow: how it is bad."""


async def publish(runtime: Runtime, load: Load, seed: int, seconds: float) -> None:
    """Well flows at a steady pace; bad ones of every kind among them, in every other window."""
    chance = random.Random(seed)
    kinds: list[str] = []
    began, number = time.perf_counter(), 0
    while time.perf_counter() < began + seconds or kinds:
        now = time.perf_counter()
        bad = int((now - began) / _WINDOW_S) % 2 == 1
        events: list[Begun | Told] = [Begun(f"well-{number}"), Told(f"well-{number}", WELL)]
        load.begun_at[f"well-{number}"] = (now, bad)
        if bad and number % _BAD_EVERY == 0:
            if not kinds:
                kinds = [*IN_TURNS, *IN_GATEWAYS, *IN_THREADS]
                chance.shuffle(kinds)
            kind, key = kinds.pop(), f"bad-{number}"
            load.kinds[key] = kind
            events += [Begun(key), Told(key, kind)]
        await runtime.publish([outside(event) for event in events], wait=False)
        number += 1
        await trio.sleep(_PAUSE_S)


def outside(event: Begun | Told) -> Outside:
    """Under an id of its own."""
    return Outside(event, f"{event.errand} {type(event).__name__}", "lab")


async def load(folder: Path, seed: int, seconds: float) -> None:
    """Run it, let all come to rest, and print what is there."""
    desk, told = Desk(), Load()
    async with open_runtime(
        folder / "journal.db", processes=[Errand], gateways=[desk, Pit(), Shaft()], aggregates=[Book], settings=LIMITS
    ) as runtime:
        await publish(runtime, told, seed, seconds)
        with trio.move_on_after(_REST_S):
            await runtime.drain()
        flows = {row.key: (row.status, row.reason) for row in await all_flows(runtime)}
    latencies = [(bad, desk.done_at[key] - at) for key, (at, bad) in told.begun_at.items() if key in desk.done_at]
    print(json.dumps({"flows": flows, "well": list(told.begun_at), "kinds": told.kinds, "latencies": latencies}))


async def all_flows(runtime: Runtime) -> list[FlowRow]:
    """Every flow, in order."""
    found: list[FlowRow] = []
    while page := await runtime.journal.flows(FlowQuery(), found[-1].id if found else 0, _PAGE):
        found += page
    return found


async def fatal(folder: Path, kind: str) -> None:
    """Flows that are well, and among them one that stops or ends the process; then all come to rest."""
    keys = [f"well-{number}" for number in range(WELL_BEFORE)]
    async with open_runtime(
        folder / "journal.db", processes=[Errand], gateways=[Desk(), Pit(), Shaft()], aggregates=[Book], settings=LIMITS
    ) as runtime:
        events: list[Begun | Told] = [one for key in keys for one in (Begun(key), Told(key, WELL))]
        events += [Begun("bad"), Told("bad", kind)]
        await runtime.publish([outside(event) for event in events])
        await runtime.drain()


def limit_memory() -> None:
    """A gigabyte more than there is now can't be had."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + GIGABYTE - 1, hard))


def sets_nothing_aside() -> None:
    """A flow whose turn fails goes on as if that event had never come."""

    def let_be(_: Quarantine, __: Flow, ___: Delivery | None, ____: str, _____: str) -> None:
        """Nobody hears of it."""

    setattr(Quarantine, "set_aside", let_be)  # noqa: B010 - that is the fault


def stalls_when_it_sets_aside() -> None:
    """All flows wait while one is set aside."""
    whole = Quarantine.set_aside

    def slowly(self: Quarantine, flow: Flow, head: Delivery | None, handler: str, reason: str) -> None:
        time.sleep(_STALL_S)
        whole(self, flow, head, handler, reason)

    setattr(Quarantine, "set_aside", slowly)  # noqa: B010 - that is the fault


def forgets_who_was_suspected() -> None:
    """A start does not read what the one before wrote down."""

    def none(_: str) -> dict[Name, Suspect]:
        return {}

    setattr(hosting, "read_suspects", none)  # noqa: B010 - that is the fault


FAULTS: dict[str, Callable[[], None]] = {
    planted.__name__: planted for planted in (sets_nothing_aside, stalls_when_it_sets_aside, forgets_who_was_suspected)
}
_STALL_S = 0.1


def main() -> None:
    folder, fault, what, *given = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    if fault != "-":
        FAULTS[fault]()
    if what == "load":
        limit_memory()
        trio.run(load, Path(folder), int(given[0]), float(given[1]))
    else:
        if given[0] == TIME_IS_UP:
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
        trio.run(fatal, Path(folder), given[0])


if __name__ == "__main__":
    main()
