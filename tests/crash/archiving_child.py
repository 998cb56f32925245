"""The process that archives all that has ended, and is killed; with a fault planted where one is named.

    python -m tests.crash.archiving_child FAULT JOURNAL SLICE_S PAUSE_S FILE_FLOWS_MAX

FAULT is `-` for none. Prints how many flows have gone, before and after each transaction.
"""

# A script prints; and what is replaced is no name for users.
# ruff: noqa: T201, SLF001

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from procession.engine.clock import SystemClock
from procession.engine.lone_act import log_act
from procession.journal import archiver, sqlite_archive
from procession.journal.archive_file import TRAILER_BYTES, ArchivedEvent, ArchivedFlow, ArchiveWriter
from procession.journal.archive_folder import ArchiveFolder
from procession.journal.archived import Archived
from procession.journal.archiver import Archiver
from procession.journal.sqlite import open_sqlite
from procession.journal.sqlite_archive import ArchiveQuery, ArchiveRow, Gone
from procession.primitives.event import JournalArchived
from tests.crash.planting import by_name, plant, plant_named

_UNNAMED = 1_000_000
"""A file of this number is none that the journal names."""


async def archive(path: Path, slice_s: float, pause_s: float, file_flows_max: int) -> None:
    """One life: archive all that has ended."""
    journal = await open_sqlite(path, clock_us=SystemClock().now_us)

    async def log(row: ArchiveRow) -> None:
        await log_act(
            journal, SystemClock(), JournalArchived(row.number, row.flows, row.events, "test", "to be killed")
        )

    try:
        print(0, flush=True)
        run = Archiver(journal, SystemClock().now_us(), slice_s, pause_s, file_flows_max, on_progress=_tell, log=log)
        run.before_slice = lambda: _tell(run.done)
        await run.run(ArchiveQuery(SystemClock().now_us()))
        await journal.close_clean()
    finally:
        await journal.close()


def _tell(done: Archived) -> None:
    print(done.flows, flush=True)


def _after_each_file(also: Callable[[Archiver, int], None]) -> None:
    """Once all of a file has gone, unless the process dies before."""
    move = Archiver._move

    async def and_more(run: Archiver, row: ArchiveRow, stopped: Callable[[], bool]) -> None:
        await move(run, row, stopped)
        also(run, row.number)

    plant(Archiver, "_move", and_more)


def _written_as(
    flows: Callable[[ArchivedFlow], ArchivedFlow], events: Callable[[ArchivedEvent], ArchivedEvent]
) -> None:
    """Files have something else than the journal, and what compares them does not see it."""
    flows_of, events_at = sqlite_archive.flows_of, sqlite_archive.events_at
    for on in (archiver, sqlite_archive):
        plant(on, "flows_of", lambda connection, ids: [*map(flows, flows_of(connection, ids))])
        plant(on, "events_at", lambda connection, positions: [*map(events, events_at(connection, positions))])


def names_files_last() -> None:
    """A file has its name once its rows have gone from the journal, not before."""
    file, publish = ArchiveFolder.file, ArchiveFolder.publish

    def named_or_not(folder: ArchiveFolder, number: int) -> str:
        unnamed = file(folder, _UNNAMED + number)
        return unnamed if Path(unnamed).exists() else file(folder, number)

    def unnamed(folder: ArchiveFolder, number: int, writer: ArchiveWriter) -> bytes:
        return publish(folder, _UNNAMED + number, writer)

    def name(run: Archiver, number: int) -> None:
        Path(run.journal.archives.file(number)).rename(file(run.journal.archives, number))

    plant(ArchiveFolder, "file", named_or_not)
    plant(ArchiveFolder, "publish", unnamed)
    _after_each_file(name)


def begins_files_anew() -> None:
    """What a kill left of a file is put into another file, too."""
    archives = sqlite_archive.archives

    def as_if_whole(connection: sqlite3.Connection) -> list[ArchiveRow]:
        return [row._replace(whole=1) for row in archives(connection)]

    plant(archiver, "archives", as_if_whole)


def cuts_files() -> None:
    """A file loses its last line once its rows have gone."""

    def cut(run: Archiver, number: int) -> None:
        path = Path(run.journal.archives.file(number))
        os.truncate(path, path.stat().st_size - TRAILER_BYTES)

    _after_each_file(cut)


def forgets_ids() -> None:
    """The ids of events that went are not kept."""
    move_events = sqlite_archive.move_events

    def forgetful(connection: sqlite3.Connection, number: int, path: str, events: Sequence[ArchivedEvent]) -> Gone:
        gone = move_events(connection, number, path, events)
        connection.execute("delete from archived_id")
        return gone

    plant(archiver, "move_events", forgetful)


def leaves_events() -> None:
    """Events stay in the journal where all their flows have gone."""
    plant(archiver, "move_events", lambda *_: Gone())


def forgets_attempts() -> None:
    """A file says of each command that it was never tried."""

    def untried(flow: ArchivedFlow) -> ArchivedFlow:
        return flow._replace(commands=tuple(command._replace(attempts=0) for command in flow.commands))

    _written_as(untried, lambda event: event)


def rounds_times() -> None:
    """A file has the times of events in whole seconds."""

    def rounded(event: ArchivedEvent) -> ArchivedEvent:
        row = event.row
        return event._replace(row=row._replace(recorded_us=row.recorded_us // 1_000_000 * 1_000_000))

    _written_as(lambda flow: flow, rounded)


def counts_at_the_end() -> None:
    """How many went is counted once all of a run has gone."""
    count, run_all = sqlite_archive._count, Archiver.run
    kept: list[tuple[str, dict[str, int]]] = []

    def keep(_: sqlite3.Connection, kind: str, numbers: dict[str, int]) -> None:
        kept.append((kind, numbers))

    async def and_count(run: Archiver, query: ArchiveQuery) -> Archived:
        done = await run_all(run, query)
        await run.journal.transact(lambda connection: [count(connection, *one) for one in kept])
        return done

    plant(sqlite_archive, "_count", keep)
    plant(Archiver, "run", and_count)


FAULTS = by_name(
    names_files_last,
    begins_files_anew,
    cuts_files,
    forgets_ids,
    leaves_events,
    forgets_attempts,
    rounds_times,
    counts_at_the_end,
)

if __name__ == "__main__":
    _fault, _journal, _slice_s, _pause_s, _file_flows_max = sys.argv[1:]
    plant_named(_fault, FAULTS)
    trio.run(archive, Path(_journal), float(_slice_s), float(_pause_s), int(_file_flows_max))
