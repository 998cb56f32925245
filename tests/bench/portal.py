"""A call through the portal of an embedded runtime, beside the barest ways from one thread to another and back."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

from procession import Gateway, Runtime, embed
from tests.bench.figures import Figures, percentiles
from tests.bench.saga import Carrier, Order, Payments, Warehouse

_TURN = 100
"""So many calls of one kind, then of the next: all kinds meet the same machine."""


async def nothing(_: Runtime) -> None:
    """What takes no time itself."""
    await trio.lowlevel.checkpoint()


async def nothing_in_asyncio() -> None:
    """As above."""
    await asyncio.sleep(0)


def measure(folder: Path, calls: int) -> Figures:
    with (
        embed.start(folder / "portal.db", processes=[Order], gateways=_gateways()) as runtime,
        _loop() as loop,
        _echo() as echo,
    ):
        kinds: dict[str, Callable[[], object]] = {
            "portal": lambda: runtime.call(nothing),
            "loop": lambda: asyncio.run_coroutine_threadsafe(nothing_in_asyncio(), loop).result(),
            "thread": echo,
        }
        found: dict[str, list[float]] = {name: [] for name in kinds}
        turn = min(_TURN, calls)
        for _ in range(calls // turn):
            for name, call in kinds.items():
                found[name] += [_timed(call) for _ in range(turn)]
    figures = {f"{name}_us_p50": percentiles(times)[0] for name, times in found.items()}
    awaited = asyncio.run(_awaited(folder, calls))
    p50, _, p99 = percentiles(found["portal"])
    return {
        **figures,
        "portal_us_p99": p99,
        "awaited_us_p50": percentiles(awaited)[0],
        "ratio_to_loop": p50 / figures["loop_us_p50"],
    }


def _gateways() -> tuple[Gateway, ...]:
    return Warehouse(), Payments(), Carrier()


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return 1e6 * (time.perf_counter() - began)


async def _awaited(folder: Path, calls: int) -> list[float]:
    found = []
    async with embed.open_async(folder / "awaited.db", processes=[Order], gateways=_gateways()) as runtime:
        for _ in range(calls):
            began = time.perf_counter()
            await runtime.call(nothing)
            found.append(1e6 * (time.perf_counter() - began))
    return found


@contextmanager
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An asyncio loop in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@contextmanager
def _echo() -> Iterator[Callable[[], object]]:
    """A thread that takes an event from a queue and sets it."""
    asked: queue.SimpleQueue[threading.Event | None] = queue.SimpleQueue()

    def answer() -> None:
        while (event := asked.get()) is not None:
            event.set()

    def ask() -> None:
        event = threading.Event()
        asked.put(event)
        event.wait()

    thread = threading.Thread(target=answer)
    thread.start()
    yield ask
    asked.put(None)
    thread.join()
