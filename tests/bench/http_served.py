"""What wrk asks: the facade over a runtime on a file, or a bare Starlette echo on the same Hypercorn.

    python -m tests.bench.http_served echo|product FOLDER

A line tells the address; the end of standard input ends it.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from procession import Effects, Event, ProcessManager, end, open_runtime, starts
from procession.daemon.http.server import http_served, listening_at


class NoteTaken(Event, name="note.taken"):
    note_id: str
    text: str


class Note(ProcessManager, name="note", key="note_id"):
    @starts
    def taken(self, taken: NoteTaken) -> Effects:
        yield end("filed")


async def echo(request: Request) -> Response:
    """What came goes back."""
    return Response(await request.body(), media_type="application/json")


@contextlib.asynccontextmanager
async def echoing() -> AsyncIterator[str]:
    configuration = Config()
    configuration.bind = ["127.0.0.1:0"]
    configuration.errorlog = None
    app = Starlette(routes=[Route("/v1/events", echo, methods=["POST"])])
    async with trio.open_nursery() as nursery:
        (address,) = await nursery.start(partial(serve, app, configuration))  # type: ignore[arg-type]  # their ASGI types differ
        yield address
        nursery.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def product(folder: Path) -> AsyncIterator[str]:
    with contextlib.closing(listening_at("127.0.0.1:0")) as listening:
        async with (
            open_runtime(folder / "journal.db", processes=[Note]) as runtime,
            http_served(runtime, listening) as address,
        ):
            yield address
            print(runtime.counters()["procession_flows_ended"], flush=True)


async def main(what: str, folder: Path) -> None:
    async with echoing() if what == "echo" else product(folder) as address:
        print(address, flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)


if __name__ == "__main__":
    trio.run(main, sys.argv[1], Path(sys.argv[2]))
