"""A runtime with an HTTP facade for tests: real Hypercorn on loopback, asked by httpx."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable

import attrs
import httpx
import trio

from procession import (
    Aggregate,
    Attempt,
    Command,
    Effects,
    Event,
    Gateway,
    ProcessManager,
    Projector,
    Refusal,
    Runtime,
    Settings,
    Store,
    applies,
    decides,
    ends,
    on,
    open_runtime,
    projects,
    starts,
)
from procession.daemon.http.server import http_served, listening_at
from procession.http_settings import HttpSettings
from procession.journal.journal import Journal
from procession.journal.memory import MemoryJournal
from procession.settings import CommitSettings, IntakeSettings, ShutdownSettings


class ParcelSent(Event, name="parcel.sent"):
    parcel: str
    grams: int = 0
    note: str = ""


class ParcelCarried(Event, name="parcel.carried"):
    parcel: str


class ParcelOpened(Event, name="parcel.opened"):
    parcel: str


class Carry(Command, name="parcel.carry"):
    parcel: str


class Parcel(ProcessManager, name="parcel", key="parcel"):
    @starts
    def carry(self, sent: ParcelSent) -> Effects:
        yield Carry(sent.parcel)

    @on
    def look(self, opened: ParcelOpened) -> None:
        raise RuntimeError("it is not what it says")

    @ends
    def arrived(self, carried: ParcelCarried) -> None: ...


class NoRoom(Refusal, name="shelf.no_room"):
    free: int


class ParcelShelved(Event, name="shelf.shelved"):
    shelf: str


class PutOnShelf(Command, name="shelf.put"):
    shelf: str
    parcels: int = 1


class Shelf(Aggregate, name="shelf", key="shelf"):
    full: bool = False

    @applies
    def shelved(self, shelved: ParcelShelved) -> Shelf:
        return self.evolve(full=True)

    @decides
    def put(self, command: PutOnShelf) -> ParcelShelved | NoRoom:
        return NoRoom(0) if self.full else ParcelShelved(command.shelf)


class ParcelCount(Projector, name="parcel_count", version=1):
    tables = ("create table parcels (parcel text primary key)",)

    @projects
    def sent(self, sent: ParcelSent, store: Store) -> None:
        store.execute("insert or ignore into parcels values (?)", (sent.parcel,))


class Carriers(Gateway, name="carriers", concurrency=4):
    async def carry(self, command: Carry, attempt: Attempt) -> ParcelCarried:
        if command.parcel.startswith("heavy"):
            await trio.sleep_forever()
        return ParcelCarried(command.parcel)


@attrs.frozen
class Served:
    """A runtime that is served, and a client at its address."""

    runtime: Runtime
    client: httpx.AsyncClient
    address: str
    closing: trio.Event
    """Set by a test: nothing more is taken, and the server ends."""
    closed: trio.Event


@contextlib.asynccontextmanager
async def served(
    journal: Journal | None = None,
    http: HttpSettings | None = None,
    grace_s: float = 2,
    intake: IntakeSettings | None = None,
) -> AsyncIterator[Served]:
    """Serve a runtime for as long as the block."""
    settings = Settings(
        http=http or HttpSettings(),
        shutdown=ShutdownSettings(grace_s=grace_s),
        intake=intake or IntakeSettings(),
        commit=CommitSettings(outcome_wait_s=0.1, probe_interval_s=0.01),
    )
    journal = journal or MemoryJournal()
    async with (
        open_runtime(
            journal,
            processes=[Parcel],
            gateways=[Carriers()],
            aggregates=[Shelf],
            projectors=[ParcelCount],
            settings=settings,
        ) as runtime,
        serving(runtime) as found,
    ):
        yield found


@contextlib.asynccontextmanager
async def serving(runtime: Runtime) -> AsyncIterator[Served]:
    """Serve an open runtime."""
    closing, closed = trio.Event(), trio.Event()
    addresses: list[str] = []
    ready = trio.Event()

    async def serve() -> None:
        with contextlib.closing(listening_at("127.0.0.1:0")) as listening:
            async with http_served(runtime, listening) as address:
                addresses.append(address)
                ready.set()
                await closing.wait()
        closed.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        await ready.wait()
        # The server closes what is idle for 5 s; who asks again on a busy machine meets that else.
        limits = httpx.Limits(keepalive_expiry=2)
        async with httpx.AsyncClient(base_url=addresses[0], timeout=30, trust_env=False, limits=limits) as client:
            yield Served(runtime, client, addresses[0], closing, closed)
        closing.set()


async def raw(served: Served, request: bytes) -> bytes:
    """What the server answers to bytes that no client would send."""
    host, port = served.address.removeprefix("http://").rsplit(":", 1)
    stream = await trio.open_tcp_stream(host, int(port))
    async with stream:
        await stream.send_all(request)
        with contextlib.suppress(trio.BrokenResourceError):
            return await stream.receive_some(65_536)
    return b""


def cloud_event(kind: str, id: str, data: dict[str, object]) -> dict[str, object]:
    return {"specversion": "1.0", "id": id, "source": "test", "type": kind, "data": data}


def faults_of(response: httpx.Response) -> list[str]:
    """The paths of the fields that a problem blames."""
    fields: Iterable[dict[str, str]] = response.json()["fields"]
    return [field["path"] for field in fields]
