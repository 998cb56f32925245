"""Checking archive files against their journal: whole, unchanged, and fitting into the gaps that they left."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from typing import Any

import attrs

from procession.journal.archive_file import ArchivedFlow, Index, digest_of, read_events, read_flows, read_index
from procession.journal.archive_folder import ArchiveFolder
from procession.journal.row_crc import event_crc, step_crc
from procession.journal.rows import Fault
from procession.journal.sqlite_archive import ArchiveRow, archives
from procession.journal.sqlite_read import journal_id
from procession.journal.sqlite_write import chain_start
from procession.journal_errors import ArchiveUnreadable

_FAULTS_MAX = 100
_PUT_BACK = "put the file back from a backup, into the folder beside the journal"

Run = tuple[int, int, int, int]
"""First and last place of a tombstone, how many rows it stands for, the chain's value after them."""


@attrs.define
class FileChecks:
    """All archive files, one after the other."""

    folder: ArchiveFolder
    _after: int = 0

    def check(self, connection: sqlite3.Connection) -> list[Fault] | None:
        """Check the next file; None once there is none."""
        row = next((row for row in archives(connection) if row.number > self._after), None)
        if row is None:
            return None
        self._after = row.number
        try:
            return list(_faults(connection, self.folder.file(row.number), row))[:_FAULTS_MAX]
        except ArchiveUnreadable as error:
            return [Fault("archive_file", f"{os.path.basename(error.path)}: {error.found}", _PUT_BACK)]
        except sqlite3.DatabaseError as error:
            return [Fault("archive_file", f"archive {row.number} can't be compared: {error}", "restore a backup")]


def _faults(connection: sqlite3.Connection, path: str, row: ArchiveRow) -> Iterator[Fault]:
    name = os.path.basename(path)
    if digest_of(path) != row.sha256:
        yield Fault("archive_file", f"{name} is not what was written: its SHA-256 differs", _PUT_BACK)
        return
    index = read_index(path)
    if (index.journal, index.number) != (journal_id(connection), row.number):
        yield Fault("archive_file", f"{name} is of another journal", _PUT_BACK)
        return
    handled: set[int] = set()
    yield from _steps_faults(connection, path, row, index, handled)
    yield from _events_faults(connection, path, row, index, handled)


def _steps_faults(
    connection: sqlite3.Connection, path: str, row: ArchiveRow, index: Index, handled: set[int]
) -> Iterator[Fault]:
    """The flows of a file and their steps; `handled` gets the positions of their events."""
    name = os.path.basename(path)
    steps = _Places(connection, "step", "seq", row.number)
    missing = dict(
        connection.execute("select flow, version from archived_flow where archive = ?", (row.number,)).fetchall()
    )
    for block in index.flows:
        for flow in read_flows(path, block):
            version = missing.pop(flow.row.id, None)
            yield from _flow_faults(name, flow, version)
            for step in flow.steps:
                handled.add(step.row.position)
                steps.add(step.seq, step.crc)
    yield from (Fault("archive_flow", f"{name} has no flow {flow}, which went into it", _PUT_BACK) for flow in missing)
    steps.close()
    for block in index.flows:
        for flow in read_flows(path, block):
            yield from (found for step in flow.steps if (found := steps.fault(name, step.seq, step.crc, step.row)))
    yield from steps.missing(name)


def _events_faults(
    connection: sqlite3.Connection, path: str, row: ArchiveRow, index: Index, handled: set[int]
) -> Iterator[Fault]:
    """The events of a file; `handled` must all be among them."""
    name = os.path.basename(path)
    events = _Places(connection, "event", "position", row.number)
    for block in index.events:
        for event in read_events(path, block):
            events.add(event.row.position, event.crc)
    events.close()
    for block in index.events:
        for event in read_events(path, block):
            handled.discard(event.row.position)
            found = events.fault(name, event.row.position, event.crc, event.row)
            if found:
                yield found
    yield from events.missing(name)
    yield from (
        Fault("archive_event", f"{name} has a step of event {position} and not the event", _PUT_BACK)
        for position in sorted(handled)[:_FAULTS_MAX]
    )


def _flow_faults(name: str, flow: ArchivedFlow, version: int | None) -> Iterator[Fault]:
    """Whether a flow is whole; `version` is what the journal says, None where it did not go with this file."""
    versions = [step.row.version for step in flow.steps]
    last = flow.row.version
    gapless = versions == list(range(last + 1 - len(versions), last + 1))
    if not gapless or version not in (None, last):
        found = f"{name} has flow {flow.row.id} with versions {versions[:3]} … {last}, the journal says {version}"
        yield Fault("archive_flow", found, _PUT_BACK)
    steps = {step.row.position for step in flow.steps}
    for command in flow.commands:
        if command.position not in steps:
            yield Fault("archive_flow", f"{name} has command {command.seq} and not its step", _PUT_BACK)


class _Places:
    """The rows of one chain that a file has, and the gaps in the journal that they must fill exactly."""

    def __init__(self, connection: sqlite3.Connection, table: str, place: str, archive: int) -> None:
        self._connection = connection
        self._table, self._place = table, place
        self._crc_of = {"event": event_crc, "step": step_crc}[table]
        self._runs: list[Run] = connection.execute(
            f"select first, last, number, crc from {table}_tombstone where archive = ? order by first", (archive,)
        ).fetchall()
        self._stored: dict[int, int] = {}
        self._before: dict[int, int] = {}
        self._found: list[str] = []

    def add(self, place: int, crc: int) -> None:
        """The file has this row, with this checksum."""
        self._stored[place] = crc

    def close(self) -> None:
        """All rows are known: find out what each one's checksum stands on."""
        places = sorted(self._stored)
        at = 0
        for first, last, number, crc in self._runs:
            while at < len(places) and places[at] < first:
                at += 1
            before, count = self._crc_before(first), 0
            while at < len(places) and places[at] <= last:
                self._before[places[at]] = before
                before = self._stored[places[at]]
                at, count = at + 1, count + 1
            if (count, before) != (number, crc):
                self._found.append(f"{number} {self._table}s from {first} to {last}, and has {count} or others")

    def _crc_before(self, first: int) -> int:
        """The chain's value before a place: of the row or tombstone just before it."""
        execute = self._connection.execute
        row = execute(
            f"select {self._place}, crc from {self._table} where {self._place} < ? order by {self._place} desc limit 1",
            (first,),
        ).fetchone()
        grave = execute(
            f"select last, crc from {self._table}_tombstone where first < ? order by first desc limit 1", (first,)
        ).fetchone()
        found: list[tuple[int, int]] = [each for each in (row, grave) if each is not None]
        if not found:
            start = chain_start(journal_id(self._connection))
            return start.event_crc if self._table == "event" else start.step_crc
        return max(found)[1]

    def fault(self, name: str, place: int, stored: int, row: tuple[Any, ...]) -> Fault | None:
        """What is wrong with one row that went; one that is still in the journal is checked there."""
        before = self._before.get(place)
        if before is None or self._crc_of(row, before, "surrogateescape") == stored:
            return None
        return Fault("archive_crc", f"{name}: {self._table} {place} is not what was written", _PUT_BACK)

    def missing(self, name: str) -> Iterator[Fault]:
        """Gaps that the file does not fill."""
        return (Fault(f"archive_{self._table}", f"{name} should have {found}", _PUT_BACK) for found in self._found)
