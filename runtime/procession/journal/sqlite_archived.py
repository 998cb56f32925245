"""Reading what lies partly in a SQLite journal and partly in its archive files, as if all were still in the journal.

What the engine asks while it works (`load`, `look_up`, `deliveries`, `open_commands`) is not here: an archived flow has
ended, and nothing of it is ever loaded again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from heapq import merge
from typing import Any

import attrs

from procession.journal import sqlite_read
from procession.journal.archive_file import ArchivedFlow
from procession.journal.archive_folder import ArchiveFolder
from procession.journal.rows import EventRow, JournalCounts, OpenCommand, Stepped


def events(
    connection: sqlite3.Connection,
    folder: ArchiveFolder,
    after_position: int,
    limit: int,
    types: Sequence[str],
    until_position: int | None,
) -> list[EventRow]:
    """See `JournalReader.events`; so for all that follow."""
    archived: list[EventRow] = []
    for row in _archived_events(connection, folder, after_position, types, until_position):
        archived.append(row)
        if len(archived) == limit:
            until_position = row.position
            break
    live = sqlite_read.events(connection, after_position, limit, types, until_position)
    return list(merge(live, archived, key=_position_of))[:limit] if archived else live


def columns(
    connection: sqlite3.Connection,
    folder: ArchiveFolder,
    names: Sequence[str],
    after_position: int,
    limit: int,
    types: Sequence[str],
    until_position: int | None,
) -> list[tuple[Any, ...]]:
    gone = next(_archived_events(connection, folder, after_position, types, until_position), None)
    if gone is None:
        return sqlite_read.columns(connection, names, after_position, limit, types, until_position)
    rows = events(connection, folder, after_position, limit, types, until_position)
    return [tuple(getattr(row, name) for name in names) for row in rows]


def _position_of(row: EventRow) -> int:
    return row.position


def _archived_events(
    connection: sqlite3.Connection,
    folder: ArchiveFolder,
    after_position: int,
    types: Sequence[str],
    until_position: int | None,
) -> Iterator[EventRow]:
    runs = connection.execute(
        "select first, last, archive from event_tombstone where last > ? and first >="
        " coalesce((select first from event_tombstone where first <= ? order by first desc limit 1), 0)"
        " and archive > 0 order by first",  # number 0 is no file: what a salvage could not keep
        (after_position, after_position),
    )
    journal_id: bytes | None = None
    for first, last, archive in runs:
        if until_position is not None and first > until_position:
            return
        if journal_id is None:
            journal_id = sqlite_read.journal_id(connection)
        until = last if until_position is None else min(last, until_position)
        for event in folder.events_between(archive, journal_id, max(first, after_position + 1), until, types):
            yield event.row


def steps(
    connection: sqlite3.Connection, folder: ArchiveFolder, flow: int, after_version: int, limit: int
) -> list[Stepped]:
    live = sqlite_read.steps(connection, flow, after_version, limit)
    if live and live[0].step.version == after_version + 1:
        return live  # versions have no gap: nothing before these is missing
    archived: list[Stepped] = []
    for number, found in _parts(connection, folder, flow, after_version):
        rows = [step.row for step in found.steps if step.row.version > after_version]
        handled = _events_at(connection, folder, number, [row.position for row in rows])
        archived += [Stepped(row, handled[row.position]) for row in rows]
    return (archived + live)[:limit]


def steps_of(
    connection: sqlite3.Connection, folder: ArchiveFolder, flows: Sequence[int], after_version: int, limit: int
) -> list[Stepped]:
    found: list[Stepped] = []
    for flow in flows:
        found += steps(connection, folder, flow, after_version, limit - len(found))
        if len(found) >= limit:
            break
        after_version = 0
    return found


def commands(
    connection: sqlite3.Connection, folder: ArchiveFolder, flow: int, after_seq: int, limit: int
) -> list[OpenCommand]:
    archived: list[OpenCommand] = []
    for number, found in _parts(connection, folder, flow, 0):
        effects = {step.row.position: step.row.effects or "[]" for step in found.steps}
        rows = [row for row in found.commands if row.seq > after_seq]
        asked = _events_at(connection, folder, number, [row.position for row in rows])
        for row in rows:
            event = asked[row.position]
            name = (found.row.process, found.row.key)
            archived.append(OpenCommand(row, *name, effects[row.position], event.correlation or event.id, event.trace))
    return (archived + sqlite_read.commands(connection, flow, after_seq, limit))[:limit]


def _parts(
    connection: sqlite3.Connection, folder: ArchiveFolder, flow: int, after_version: int
) -> Iterator[tuple[int, ArchivedFlow]]:
    """What archive files have of a flow, the oldest first: mostly one."""
    rows = connection.execute(
        "select archive from archived_flow where flow = ? and version > ? order by archive", (flow, after_version)
    ).fetchall()
    for (number,) in rows:
        found = folder.flow(number, sqlite_read.journal_id(connection), flow)
        if found is not None:  # a file without it is what `verify` reports
            yield number, found


def _events_at(
    connection: sqlite3.Connection, folder: ArchiveFolder, number: int, positions: Sequence[int]
) -> dict[int, EventRow]:
    """Events of a file, by position; every event of its flows is in it, gone from the journal or not."""
    journal_id = sqlite_read.journal_id(connection)
    return {
        position: event.row
        for position in dict.fromkeys(positions)
        for event in folder.events_between(number, journal_id, position, position)
    }


def counts(connection: sqlite3.Connection) -> JournalCounts:
    live = sqlite_read.counts(connection)
    gone: dict[str, dict[str, int]] = {"event": {}, "command": {}, "step": {}}
    for kind, name, number in connection.execute("select kind, name, number from archived_count"):
        gone[kind][name] = number
    return attrs.evolve(
        live,
        events=live.events + sum(gone["event"].values()),
        events_by_type=_added(live.events_by_type, gone["event"]),
        steps=live.steps + sum(gone["step"].values()),
        commands=_added(live.commands, gone["command"]),
    )


def _added(live: dict[str, int], gone: dict[str, int]) -> dict[str, int]:
    return {name: live.get(name, 0) + gone.get(name, 0) for name in dict.fromkeys((*live, *gone))}
