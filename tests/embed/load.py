"""The documented FastAPI service under load, with SIGTERM in the middle: what was acknowledged is in the journal.

python -m tests.embed.load --rate 200 --seconds 60
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import asyncio
import itertools
import re
import statistics
import tempfile
import time
from pathlib import Path

import attrs
import trio

from procession.journal.sqlite_reader import read_sqlite
from tests.embed.documented import Server, listens, serving, wait_until_it_listens, write_files
from tests.ports import free_port

_SHUTDOWN_S = 2.0
_REQUEST_S_MAX = 10.0
_CONNECTIONS_MAX = 200


@attrs.define
class Account:
    """What the client saw."""

    sent: int = 0
    acknowledged: list[str] = attrs.field(factory=list)
    """Ids that were answered with success."""
    held_back: int = 0
    """Not sent, as every connection was waiting."""
    seconds: float = 0
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
            f"{self.sent} requests in {self.seconds:.1f} s ({self.sent / self.seconds:.0f}/s),"
            f" {self.held_back} held back by the client,"
            f" {len(self.acknowledged)} acknowledged, {self.refused} refused or not served,"
            f" {len(self.lost)} lost\n"
            f"shutdowns: {', '.join(f'{took_s:.2f} s' for took_s in self.shutdowns_s)}, goal: under {_SHUTDOWN_S:g}\n"
            f"latency: p50 {statistics.median(served):.1f} ms, p99 {served[int(len(served) * 0.99)]:.1f} ms"
        )


class Client:
    """One connection that is kept: a client that costs more than the service would be what is measured."""

    def __init__(self, port: int, account: Account) -> None:
        self._port = port
        self._account = account
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def place(self, number: int) -> None:
        """One request; what becomes of it goes to the account."""
        order_id = f"order-{number}"
        began = time.perf_counter()
        self._account.sent += 1
        try:
            async with asyncio.timeout(_REQUEST_S_MAX):
                status = await self._post(f"/orders/{order_id}")
        except (OSError, EOFError, TimeoutError):
            self.drop()
            status = 0
        if status == 202:
            self._account.acknowledged.append(order_id)
            self._account.latencies_ms.append(1000 * (time.perf_counter() - began))
        else:
            self._account.refused += 1

    async def _post(self, path: str) -> int:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        status, length = int(head.split()[1]), re.search(r"content-length: (\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        if "connection: close" in head:
            self.drop()
        return status

    def drop(self) -> None:
        """Close the connection; the next request makes a new one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def request_steadily(port: int, rate_per_s: float, account: Account, stop: asyncio.Event) -> None:
    """So many a second, whatever becomes of those before, as long as there is a connection that is free."""
    while not await asyncio.to_thread(listens, port):  # noqa: ASYNC110 - it is another process
        await asyncio.sleep(0.05)
    clients = [Client(port, account) for _ in range(_CONNECTIONS_MAX)]
    free = clients.copy()
    began = time.perf_counter()

    async def place(client: Client, number: int) -> None:
        await client.place(number)
        free.append(client)

    async with asyncio.TaskGroup() as tasks:
        for number in itertools.count():
            if stop.is_set():
                break
            await asyncio.sleep(max(0.0, began + number / rate_per_s - time.perf_counter()))
            if free:
                tasks.create_task(place(free.pop(), number))
            else:
                account.held_back += 1
        account.seconds = time.perf_counter() - began
    for client in clients:
        client.drop()


async def serve_and_stop(folder: Path, port: int, account: Account, seconds: float, acknowledged_min: int) -> None:
    """Serve, be under load for as long, or until so many are acknowledged, and be ended by SIGTERM under load."""
    arguments = ("service:app", "--host", "127.0.0.1", "--port", "PORT", "--no-access-log")
    with serving(folder, "uvicorn", *arguments, port=port) as server:
        await asyncio.to_thread(wait_until_it_listens, server)
        await asyncio.sleep(seconds)
        while len(account.acknowledged) < acknowledged_min:  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.05)
        account.shutdowns_s.append(await asyncio.to_thread(server.terminate))
        _check_log(server)


def _check_log(server: Server) -> None:
    assert "Traceback" not in server.said(), server.said()


async def load(folder: Path, rate_per_s: float, seconds: float, acknowledged_min: int) -> Account:
    """Two services after each other, each ended under load: the second half meets what the first one left."""
    account, port, stop = Account(), free_port(), asyncio.Event()
    write_files(folder)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(request_steadily(port, rate_per_s, account, stop))
        await serve_and_stop(folder, port, account, seconds / 2, acknowledged_min // 2)
        await serve_and_stop(folder, port, account, seconds / 2, acknowledged_min)
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


def run(rate_per_s: float, seconds: float, acknowledged_min: int = 0) -> Account:
    """The load on a service of its own; longer where fewer were acknowledged by then."""
    with tempfile.TemporaryDirectory(prefix="procession-load-") as folder:
        return asyncio.run(load(Path(folder), rate_per_s, seconds, acknowledged_min))


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
