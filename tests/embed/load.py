"""The documented FastAPI service under load, with SIGTERM in the middle: what was acknowledged is in the journal.

python -m tests.embed.load --rate 200 --seconds 60
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from pathlib import Path

import attrs
import httpx
import trio

from procession.journal.sqlite_reader import read_sqlite
from tests.embed.documented import Server, free_port, serving, wait_until_it_listens, write_files

_SHUTDOWN_S = 2.0
_REQUEST_S_MAX = 10.0


@attrs.define
class Account:
    """What the client saw."""

    sent: int = 0
    acknowledged: list[str] = attrs.field(factory=list)
    """Ids that were answered with success."""
    refused: int = 0
    """Answered with something else, or not at all: while nobody served."""
    latencies_ms: list[float] = attrs.field(factory=list)
    shutdowns_s: list[float] = attrs.field(factory=list)
    """From SIGTERM to the end of the process, each under load."""
    lost: list[str] = attrs.field(factory=list)
    """Acknowledged, and not in the journal."""

    def told(self) -> str:
        served = sorted(self.latencies_ms)
        return (
            f"{self.sent} requests, {len(self.acknowledged)} acknowledged, {self.refused} refused or not served,"
            f" {len(self.lost)} lost\n"
            f"shutdowns: {', '.join(f'{took_s:.2f} s' for took_s in self.shutdowns_s)}, goal: under {_SHUTDOWN_S:g}\n"
            f"latency: p50 {statistics.median(served):.1f} ms, p99 {served[int(len(served) * 0.99)]:.1f} ms"
        )


async def one_request(client: httpx.AsyncClient, number: int, account: Account) -> None:
    order_id = f"order-{number}"
    began = time.perf_counter()
    account.sent += 1
    try:
        answer = await client.post(f"/orders/{order_id}")
    except httpx.HTTPError:
        account.refused += 1
        return
    if answer.status_code == 202:
        account.acknowledged.append(order_id)
        account.latencies_ms.append(1000 * (time.perf_counter() - began))
    else:
        account.refused += 1


async def request_steadily(url: str, rate_per_s: float, account: Account, stop: asyncio.Event) -> None:
    """So many a second, whatever becomes of those before."""
    began = time.perf_counter()
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=50)
    async with (
        httpx.AsyncClient(base_url=url, timeout=_REQUEST_S_MAX, limits=limits) as client,
        asyncio.TaskGroup() as tasks,
    ):
        for number in itertools.count():
            if stop.is_set():
                return
            await asyncio.sleep(max(0.0, began + number / rate_per_s - time.perf_counter()))
            tasks.create_task(one_request(client, number, account))


async def serve_and_stop(folder: Path, port: int, account: Account, seconds: float) -> None:
    """Serve, be under load for as long, and be ended by SIGTERM under load."""
    arguments = ("service:app", "--host", "127.0.0.1", "--port", "PORT", "--no-access-log")
    with serving(folder, "uvicorn", *arguments, port=port) as server:
        await asyncio.to_thread(wait_until_it_listens, server)
        await asyncio.sleep(seconds)
        account.shutdowns_s.append(await asyncio.to_thread(server.terminate))
        _check_log(server)


def _check_log(server: Server) -> None:
    assert "Traceback" not in server.said(), server.said()


async def load(folder: Path, rate_per_s: float, seconds: float) -> Account:
    """Two services after each other, each ended under load: the second half meets what the first one left."""
    account, port, stop = Account(), free_port(), asyncio.Event()
    write_files(folder)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(request_steadily(f"http://127.0.0.1:{port}", rate_per_s, account, stop))
        await serve_and_stop(folder, port, account, seconds / 2)
        await serve_and_stop(folder, port, account, seconds / 2)
        stop.set()
    known = trio.run(order_ids, folder / "orders.db")
    account.lost = [order_id for order_id in account.acknowledged if order_id not in known]
    return account


async def order_ids(path: Path) -> set[str]:
    """The ids that the journal knows, read from its file."""
    reader = await read_sqlite(path)
    found: set[str] = set()
    position = 0
    while rows := await reader.events(position, 1000, ["order.placed"]):
        found.update(row.source_id or "" for row in rows)
        position = rows[-1].position
    await reader.close()
    return found


def run(rate_per_s: float, seconds: float) -> Account:
    with tempfile.TemporaryDirectory(prefix="procession-load-") as folder:
        return asyncio.run(load(Path(folder), rate_per_s, seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description="Load the documented FastAPI service, and end it in the middle.")
    parser.add_argument("--rate", type=float, default=200, help="requests a second")
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    account = run(given.rate, given.seconds)
    print(account.told())
    if account.lost or max(account.shutdowns_s) >= _SHUTDOWN_S:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
