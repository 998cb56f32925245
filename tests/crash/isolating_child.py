"""The process in which bad flows live among others: an embedded runtime on a real file, under steady load.

    python -m tests.crash.isolating_child FOLDER FAULT load SEED FLOWS BAD_OF
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
from pathlib import Path

import attrs
import trio

from procession import Outside, Runtime, Settings, hosting, open_runtime
from procession.engine import turn_watch
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
from tests.crash.planting import by_name, plant, plant_named

LIMITS = Settings(flows=FlowsSettings(turn_returns_s=0.1))
WELL_BEFORE = 20
"""Flows that are well, begun with the one that is fatal."""
_PAUSE_S = 0.004
_WINDOW_S = 1.0
"""Windows with bad flows and without take turns, so that both see the same machine."""
_SETTLED_S = 0.4
"""Of each window, until what the one before began is over: those that begin in it count for neither."""
_WITH_BAD = (False, True, True, False)
WINDOWS = len(_WITH_BAD)
"""Of a round."""
_BEAT_S = 0.005
STALL_S = 0.1
_PAGE = 1000
_REST_S = 20.0
CPU_S = 4


@attrs.define
class Load:
    """What was published, and when."""

    begun_at: dict[str, tuple[float, int | None]] = attrs.field(factory=dict)
    """By key of a flow that is well: when its event was published, and in which window; None where that was new."""
    kinds: dict[str, str] = attrs.field(factory=dict)
    """By key of a bad flow: how it is bad."""
    window: int = 0
    stalls: list[tuple[int, float]] = attrs.field(factory=list)
    """Windows in which the loop stood still, and for how many seconds, without those in which it waited for a core."""


def with_bad(window: int) -> bool:
    """Whether there are bad flows in a window."""
    return _WITH_BAD[window % WINDOWS]


def _waited_for_a_core_s() -> float:
    """Of this thread, so far; Linux counts it."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


async def beat(load: Load) -> None:
    """Notice when the loop stands still."""
    now, waited = time.perf_counter(), _waited_for_a_core_s()
    while True:
        await trio.sleep(_BEAT_S)
        before, waited_before = now, waited
        now, waited = time.perf_counter(), _waited_for_a_core_s()
        stood_s = now - before - (waited - waited_before)
        if stood_s > STALL_S:
            load.stalls.append((load.window, stood_s))


async def publish(runtime: Runtime, load: Load, seed: int, flows: int, bad_of: int) -> None:
    """So many well flows at a steady pace; every other window, one more of so many is bad, of every kind in turn."""
    chance = random.Random(seed)
    kinds: list[str] = []
    began, number = time.perf_counter(), 0
    while number < flows or kinds:
        now = time.perf_counter()
        load.window = int((now - began) / _WINDOW_S)
        settled = (now - began) % _WINDOW_S > _SETTLED_S
        events: list[Begun | Told] = [Begun(f"well-{number}"), Told(f"well-{number}", WELL)]
        load.begun_at[f"well-{number}"] = (now, load.window if settled else None)
        if with_bad(load.window) and number % bad_of == 0:
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


async def load(folder: Path, seed: int, flows: int, bad_of: int) -> None:
    """Run it, let all come to rest, and print what is there."""
    desk, told = Desk(), Load()
    async with open_runtime(
        folder / "journal.db", processes=[Errand], gateways=[desk, Pit(), Shaft()], aggregates=[Book], settings=LIMITS
    ) as runtime:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(beat, told)
            await publish(runtime, told, seed, flows, bad_of)
            nursery.cancel_scope.cancel()
        with trio.move_on_after(_REST_S):
            await runtime.drain()
        found = {row.key: (row.status, row.reason) for row in await all_flows(runtime)}
    latencies = [
        (window, desk.done_at[key] - at)
        for key, (at, window) in told.begun_at.items()
        if window is not None and key in desk.done_at
    ]
    print(
        json.dumps(
            {
                "flows": found,
                "well": list(told.begun_at),
                "kinds": told.kinds,
                "latencies": latencies,
                "stalls": told.stalls,
            }
        )
    )


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
        folder / "journal.db", processes=[Errand], gateways=[Desk(), Pit(), Shaft()], aggregates=[Book]
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

    plant(Quarantine, "set_aside", let_be)


def stalls_when_it_sets_aside() -> None:
    """All flows wait while one is set aside."""
    whole = Quarantine.set_aside

    def slowly(self: Quarantine, flow: Flow, head: Delivery | None, handler: str, reason: str) -> None:
        time.sleep(_STALL_S)
        whole(self, flow, head, handler, reason)

    plant(Quarantine, "set_aside", slowly)


def names_late() -> None:
    """Whoever watches turns looks up seldom."""
    look = turn_watch._Watch._look  # noqa: SLF001 - that is the fault

    def seldom(self: turn_watch._Watch) -> None:
        time.sleep(_SELDOM_S)
        look(self)

    plant(turn_watch._Watch, "_look", seldom)  # noqa: SLF001 - as above


def forgets_who_was_suspected() -> None:
    """A start does not read what the one before wrote down."""

    def none(_: str) -> dict[Name, Suspect]:
        return {}

    plant(hosting, "read_suspects", none)


FAULTS = by_name(sets_nothing_aside, stalls_when_it_sets_aside, forgets_who_was_suspected, names_late)
_STALL_S = 0.12
_SELDOM_S = 5.0


def main() -> None:
    folder, fault, what, *given = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    plant_named(fault, FAULTS)
    if what == "load":
        limit_memory()
        trio.run(load, Path(folder), int(given[0]), int(given[1]), int(given[2]))
    else:
        if given[0] == TIME_IS_UP:
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
        trio.run(fatal, Path(folder), given[0])


if __name__ == "__main__":
    main()
