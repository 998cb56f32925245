"""Projecting the loan log from a journal on the disk, beside raw sqlite3 that does the same statements.

Each round opens a journal that holds the log, on which no process works, and waits until the projection holds all.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import trio

from flows.loan_application import (
    AAccepted,
    AActivated,
    AApproved,
    ACancelled,
    ADeclined,
    AFinalized,
    APartlySubmitted,
    APreaccepted,
    ARegistered,
    ASubmitted,
    OAccepted,
    OCancelled,
    OCreated,
    ODeclined,
    OSelected,
    OSent,
    OSentBack,
    WorkCompleted,
    WorkScheduled,
    WorkStarted,
)
from flows.loan_pipeline import LoanPipeline
from procession import Event, Outside, Projector, Rows, Store, open_runtime, projects, projects_columns
from procession.primitives.codec import from_json
from procession.primitives.registration import build_registry
from tests.bench.figures import Figures
from tests.flows.loan_log import loan_log

_BATCH = 1_000
_PAGE = 5_000
_ROW = "insert into heard values (?, 1) on conflict (case_id) do update set events = events + 1"
_TABLE = "create table heard (case_id text primary key, events integer not null) strict, without rowid"
_EVENTS: tuple[type[Event], ...] = (
    ASubmitted,
    APartlySubmitted,
    APreaccepted,
    AAccepted,
    AFinalized,
    AApproved,
    ADeclined,
    ACancelled,
    ARegistered,
    AActivated,
    OSelected,
    OCreated,
    OSent,
    OSentBack,
    OAccepted,
    ODeclined,
    OCancelled,
    WorkScheduled,
    WorkStarted,
    WorkCompleted,
)
AnyOfTheLog = (
    ASubmitted
    | APartlySubmitted
    | APreaccepted
    | AAccepted
    | AFinalized
    | AApproved
    | ADeclined
    | ACancelled
    | ARegistered
    | AActivated
    | OSelected
    | OCreated
    | OSent
    | OSentBack
    | OAccepted
    | ODeclined
    | OCancelled
    | WorkScheduled
    | WorkStarted
    | WorkCompleted
)


class Typed(Projector, name="typed"):
    """How many events there are of each application, by typed events."""

    tables = (_TABLE,)

    @projects
    def heard(self, event: AnyOfTheLog, store: Store) -> None:
        store.execute(_ROW, (event.case_id,))


class Columns(Projector, name="columns"):
    """The same by columns only."""

    tables = (_TABLE,)

    @projects_columns(*_EVENTS, columns=("data.case_id",))
    def heard(self, rows: Rows, store: Store) -> None:
        store.executemany(_ROW, rows)


@attrs.frozen
class Took:
    """What something took: on the wall, and of the processor, which others on the machine do not change."""

    wall_s: float
    cpu_s: float


class _Watch:
    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def stop(self) -> Took:
        return Took(time.perf_counter() - self._began[0], time.process_time() - self._began[1])


def measure(folder: Path, log: str | None, applications: int) -> Figures:
    """Events a second: typed, by columns, the loan pipeline; typed and columns beside raw sqlite3, in turns."""
    journal = folder / "log.db"
    lines = read_log(log) if log else loan_log(applications).events
    write_journal(journal, lines)
    events, count = len(lines), "select sum(events) from heard"
    raw_typed = raw(folder / "raw_typed.db", journal, one_by_one)
    typed = trio.run(projected, folder / "typed", journal, Typed, count, events)
    raw_columns = raw(folder / "raw_columns.db", journal, page_by_page)
    columns = trio.run(projected, folder / "columns", journal, Columns, count, events)
    submitted = sum(line["type"] == "bpic2012.A_SUBMITTED" for line in lines)
    came = "select entered from stages where stage = 'submitted'"
    pipeline = trio.run(projected, folder / "pipeline", journal, LoanPipeline, came, submitted)
    return {
        "events": events,
        "typed_per_s": events / typed.wall_s,
        "raw_typed_per_s": events / raw_typed.wall_s,
        "typed_ratio": raw_typed.wall_s / typed.wall_s,
        "typed_cpu_ratio": raw_typed.cpu_s / typed.cpu_s,
        "columns_per_s": events / columns.wall_s,
        "raw_columns_per_s": events / raw_columns.wall_s,
        "columns_ratio": raw_columns.wall_s / columns.wall_s,
        "columns_cpu_ratio": raw_columns.cpu_s / columns.cpu_s,
        "pipeline_per_s": events / pipeline.wall_s,
    }


def read_log(path: str) -> Sequence[dict[str, Any]]:
    """CloudEvents, one JSON object a line, gzip."""
    with gzip.open(path) as lines:
        return [json.loads(line) for line in lines]


async def projected(folder: Path, journal: Path, projector: type[Projector], check: str, expected: int) -> Took:
    """Until a new projection of the journal holds all of it; opening the runtime is not counted."""
    folder.mkdir()
    async with open_runtime(
        journal, processes=[], events=_EVENTS, projectors=[projector], projections=folder
    ) as runtime:
        watch = _Watch()
        head = (await runtime.journal.heads()).position
        ((found,),) = await runtime.query(projector, check, at_least=head, timeout_s=600)
        took = watch.stop()
    assert found == expected, f"{found} of {expected} events"
    return took


def raw(path: Path, journal: Path, fold: Callable[[sqlite3.Connection, Sequence[Any]], None]) -> Took:
    """The same read and the same statements, with as many rows in a transaction."""
    with closing(sqlite3.connect(path, isolation_level=None)) as store, closing(sqlite3.connect(journal)) as reader:
        store.execute("pragma journal_mode = wal")
        store.execute("pragma synchronous = normal")
        store.execute(_TABLE)
        watch = _Watch()
        for page in pages(reader):
            store.execute("begin")
            fold(store, page)
            store.execute("commit")
        return watch.stop()


def pages(reader: sqlite3.Connection) -> Iterator[list[Any]]:
    after = 0
    while page := reader.execute(
        "select position, type, version, id, payload from event where position > ? order by position limit ?",
        (after, _PAGE),
    ).fetchall():
        yield page
        after = page[-1][0]


def one_by_one(store: sqlite3.Connection, page: Sequence[Any]) -> None:
    cursor = store.cursor()
    for row in page:
        cursor.execute(_ROW, (from_json(row[4])["case_id"],))


def page_by_page(store: sqlite3.Connection, page: Sequence[Any]) -> None:
    store.executemany(_ROW, [(from_json(row[4])["case_id"],) for row in page])


def write_journal(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    """A journal that holds the log; no process works on it."""
    trio.run(_write, path, lines)


async def _write(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    registry = build_registry([], [], _EVENTS)
    async with open_runtime(path, processes=[], events=_EVENTS) as runtime:
        for at in range(0, len(lines), _BATCH):
            events = [
                Outside(
                    registry.codec.structure(registry.event_class(str(line["type"])), line["data"]),
                    str(line["id"]),
                    str(line["source"]),
                )
                for line in lines[at : at + _BATCH]
            ]
            await runtime.publish(events)
