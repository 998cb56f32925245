"""What the measurement of the dashboard runs beside itself: a daemon, and those who look at it.

    python -m tests.bench.dashboard_served serve JOURNAL     tells its address; each line `FIRST FLOWS` is a load
    python -m tests.bench.dashboard_served look ADDRESS 20   so many dashboards, open until the end of standard input

Of a load a line tells how many microseconds of the daemon's processor time a flow of it took.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import httpx
import trio

from procession import open_runtime
from procession.daemon.http.server import http_served, listening_at
from tests.bench import large, saga


async def serve(journal: Path) -> None:
    """Until the end of standard input."""
    with contextlib.closing(listening_at("127.0.0.1:0")) as listening:
        async with (
            open_runtime(journal, processes=[saga.Order], gateways=large.gateways()) as runtime,
            http_served(runtime, listening) as address,
        ):
            print(address, flush=True)
            while line := await trio.to_thread.run_sync(sys.stdin.readline):
                first, flows = map(int, line.split())
                _, took_cpu_s = await saga.all_at_once(runtime, range(first, first + flows))
                print(1e6 * took_cpu_s / flows, flush=True)


async def look(address: str, dashboards: int) -> None:
    """Ask as an open dashboard does: the whole once, then each second of it."""
    seen = [0] * dashboards
    limits = httpx.Limits(max_connections=dashboards + 1)
    async with (
        httpx.AsyncClient(base_url=address, timeout=None, trust_env=False, limits=limits) as client,
        trio.open_nursery() as nursery,
    ):
        for number in range(dashboards):
            await nursery.start(_look, client, seen, number)
        print("all look", flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()
    print(min(seen), flush=True)


async def _look(
    client: httpx.AsyncClient,
    seen: list[int],
    number: int,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    (await client.get("/v1/overview")).raise_for_status()
    async with client.stream("GET", "/v1/overview/stream") as stream:
        stream.raise_for_status()
        task_status.started()
        async for line in stream.aiter_lines():
            seen[number] += line.startswith("data: ")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        trio.run(serve, Path(sys.argv[2]))
    else:
        trio.run(look, sys.argv[2], int(sys.argv[3]))
