"""Reading a journal again: into typed events, as rows, and flows folded from their steps; beside a bare cursor.

The floor is a plain sqlite3 cursor over four columns of the events, all rows, with nothing done to them.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import trio

from procession import Event, Outside, ProcessManager, Runtime, Settings, ends, folds, open_runtime, starts
from procession.actors.mailbox import Mailbox
from procession.engine.flow import Flow
from procession.engine.guard import UNGUARDED
from procession.engine.loader import TOGETHER_MAX
from procession.engine.rehydrate import Rehydrator
from procession.journal.sqlite_reader import SqliteReader, read_sqlite
from procession.primitives.fingerprint import fingerprint
from procession.primitives.registration import build_registry
from procession.telemetry.names import Counters
from tests.bench.figures import Figures

_BATCH = 500
_PAGE = 4096
EVENTS_PER_FLOW = 4


class TripBegan(Event, name="trip.began"):
    trip: str
    from_place: str


class PlaceReached(Event, name="trip.place_reached"):
    trip: str
    place: str
    after_s: int


class TripEnded(Event, name="trip.ended"):
    trip: str


class Trip(ProcessManager, name="trip", key="trip"):
    places: int = 0

    @starts
    def begin(self, began: TripBegan) -> None:
        """It begins."""

    @folds
    def count(self, reached: PlaceReached) -> Trip:
        return self.evolve(places=self.places + 1)

    @ends
    def end(self, ended: TripEnded) -> None:
        """It is over."""


def _events(number: int) -> list[Outside]:
    trip = f"{number:08}"
    events: list[Event] = [TripBegan(trip, "Utrecht")]
    events += [PlaceReached(trip, f"place {at}", 60 * at) for at in range(1, EVENTS_PER_FLOW)]
    return [Outside(event, f"{trip}/{at}", "bench") for at, event in enumerate(events)]


async def _fill(path: Path, flows: int) -> None:
    async with open_runtime(path, processes=[Trip]) as runtime:
        for at in range(0, flows, _BATCH // EVENTS_PER_FLOW):
            numbers = range(at, min(at + _BATCH // EVENTS_PER_FLOW, flows))
            await runtime.publish([event for number in numbers for event in _events(number)])
        await runtime.drain()


def _floor_per_s(path: Path, events: int) -> float:
    with closing(sqlite3.connect(path)) as connection:
        began = time.perf_counter()
        found = 0
        cursor = connection.execute("select position, type, payload, recorded_us from event order by position")
        while rows := cursor.fetchmany(_PAGE):
            found += len(rows)
        took_s = time.perf_counter() - began
    assert found == events, f"{found} events of {events}"
    return events / took_s


async def _typed_per_s(runtime: Runtime, events: int) -> float:
    began = time.perf_counter()
    after = found = 0
    while page := await runtime.events(after, limit=_PAGE):
        after, found = page[-1].position, found + len(page)
    assert found == events, f"{found} events of {events}"
    return events / (time.perf_counter() - began)


async def _read(path: Path, flows: int) -> Figures:
    events = flows * EVENTS_PER_FLOW
    async with open_runtime(path, processes=[Trip]) as runtime:
        typed = await _typed_per_s(runtime, events)
    reader = await read_sqlite(str(path))
    try:
        columns = await _columns_per_s(reader, events)
        rehydrated = await _rehydrated_per_s(reader, flows)
    finally:
        await reader.close()
    return {"typed_per_s": typed, "columns_per_s": columns, "rehydrated_per_s": rehydrated}


async def _columns_per_s(reader: SqliteReader, events: int) -> float:
    began = time.perf_counter()
    after = found = 0
    while page := await reader.columns(("position", "type", "payload", "recorded_us"), after, _PAGE):
        after, found = page[-1][0], found + len(page)
    assert found == events, f"{found} events of {events}"
    return events / (time.perf_counter() - began)


async def _rehydrated_per_s(reader: SqliteReader, flows: int) -> float:
    """Events a second, with as many flows in one question as the engine asks for."""
    registry, settings = build_registry([Trip], []), Settings()
    definition = registry.processes["trip"]
    counters = Counters()
    marks = {"trip": fingerprint(definition)}
    rehydrator = Rehydrator(
        registry,
        reader,
        counters,
        marks,
        slice_steps=settings.flows.load_slice_steps,
        snapshot_every=settings.flows.snapshot_every_steps,
        guard=UNGUARDED,
    )
    flow_of = [Flow(definition=definition, key=f"{number:08}", mailbox=Mailbox(1)) for number in range(flows)]
    began = time.perf_counter()
    for at in range(0, flows, TOGETHER_MAX):
        await rehydrator.load_many(flow_of[at : at + TOGETHER_MAX])
    took_s = time.perf_counter() - began
    assert counters.flows_loaded == flows, f"{counters.flows_loaded} flows were folded, of {flows}"
    assert all(flow.state == Trip(EVENTS_PER_FLOW - 1) for flow in flow_of), "folded to something else"
    return flows * EVENTS_PER_FLOW / took_s


def measure(folder: Path, *, flows: int = 10_000) -> Figures:
    """One round."""
    path = folder / "replay.db"
    trio.run(_fill, path, flows)
    floor = _floor_per_s(path, flows * EVENTS_PER_FLOW)
    found = trio.run(_read, path, flows)
    return {
        "floor_per_s": floor,
        **found,
        "typed_ratio": found["typed_per_s"] / floor,
        "columns_ratio": found["columns_per_s"] / floor,
    }
