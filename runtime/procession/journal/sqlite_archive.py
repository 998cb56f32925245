"""Moving flows that ended from a SQLite journal to an archive file: each function is one read or one transaction.

A file is whole and durable before anything goes from the journal, and what goes is compared with it row by row. So a
process that dies at any instant leaves each row in the journal, in a file, or in both.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import attrs

from procession.journal.archive_file import ArchivedEvent, ArchivedFlow, ArchivedStep
from procession.journal.row_crc import COMMAND_COLUMNS, FLOW_COLUMNS, command_of, flow_of
from procession.journal.rows import CommandRow, EventRow, FlowRow, StepRow
from procession.journal.sqlite_read import joined
from procession.journal_errors import ArchiveUnreadable

_ENDED = (
    "flow.status in ('ended', 'cancelled')"
    " and not exists (select 1 from archived_flow as gone where gone.flow = flow.id and gone.version = flow.version)"
    " and not exists (select 1 from command where command.flow = flow.id and +command.state = 'open')"
    " and not exists (select 1 from delivery where delivery.flow = flow.id)"
    " and not exists (select 1 from timer where timer.flow = flow.id)"
)
"""What makes a flow ready to go, beside its age: nothing of it is open, and it has something that has not gone."""

_STEP = ", ".join(StepRow._fields)
_EVENT = ", ".join(EventRow._fields)


@attrs.frozen
class ArchiveQuery:
    """Which flows go."""

    ended_before_us: int
    process: str | None = None


class Candidate(NamedTuple):
    """A flow that may go."""

    id: int
    steps: int


class ArchiveRow(NamedTuple):
    """What the journal keeps of an archive file."""

    number: int
    sha256: bytes
    bytes: int
    flows: int
    steps: int
    commands: int
    events: int
    last_command: int
    made_us: int
    moved: int
    """Blocks of the file whose rows have gone, as far as they may."""
    whole: int
    """0 while there are more of them."""


_ARCHIVE = ", ".join(ArchiveRow._fields)


class Gone(NamedTuple):
    """How much one transaction took out."""

    flows: int = 0
    events: int = 0


def candidates(
    connection: sqlite3.Connection, query: ArchiveQuery, after_flow: int, until_flow: int
) -> list[Candidate]:
    """Flows that may go, between two ids, in order."""
    process, parameters = "", [after_flow, until_flow, query.ended_before_us]
    if query.process is not None:
        process, parameters = " and flow.process = ?", [*parameters, query.process]  # type: ignore[list-item]  # bound
    rows = connection.execute(
        "select flow.id, flow.version - coalesce((select max(gone.version) from archived_flow as gone"
        " where gone.flow = flow.id), 0) from flow not indexed where flow.id > ? and flow.id <= ?"
        f" and flow.updated_us < ?{process} and {_ENDED} order by flow.id",
        parameters,
    )
    return list(map(Candidate._make, rows))


def archives(connection: sqlite3.Connection) -> list[ArchiveRow]:
    """Every archive file that the journal names, in order."""
    return list(map(ArchiveRow._make, connection.execute(f"select {_ARCHIVE} from archive order by number")))


def flows_of(connection: sqlite3.Connection, flows: Sequence[int]) -> list[ArchivedFlow]:
    """Flows as a file is to have them."""
    marks = ", ".join("?" * len(flows))
    rows = [
        flow_of(row)
        for row in connection.execute(
            f"select {FLOW_COLUMNS} from flow where id in ({marks}) order by id", flows
        ).fetchall()
    ]
    steps = _steps_of(connection, flows)
    commands: dict[int, list[CommandRow]] = {}
    stored = connection.execute(f"select {COMMAND_COLUMNS} from command where flow in ({marks}) order by seq", flows)
    for row in stored.fetchall():
        command = command_of(row)
        commands.setdefault(command.flow, []).append(command)
    return [ArchivedFlow(row, tuple(steps.get(row.id, ())), tuple(commands.get(row.id, ()))) for row in rows]


def positions_of(connection: sqlite3.Connection, flows: Sequence[ArchivedFlow]) -> set[int]:
    """Positions of all events that concern these flows, handled or not."""
    positions = {step.row.position for flow in flows for step in flow.steps}
    unhandled = joined(
        connection,
        "unhandled.position",
        "unhandled on unhandled.process = asked.column1 and unhandled.key = asked.column2",
        [(flow.row.process, flow.row.key) for flow in flows],
    )
    positions.update(position for (position,) in unhandled)
    return positions


def _steps_of(connection: sqlite3.Connection, flows: Sequence[int]) -> dict[int, list[ArchivedStep]]:
    marks = ", ".join("?" * len(flows))
    found: dict[int, list[ArchivedStep]] = {}
    rows = connection.execute(
        f"select seq, {_STEP}, crc from step where flow in ({marks}) order by flow, version", flows
    )
    for row in rows:
        step = ArchivedStep(row[0], StepRow._make(row[1:-1]), row[-1])
        found.setdefault(step.row.flow, []).append(step)
    return found


def events_at(connection: sqlite3.Connection, positions: Sequence[int]) -> list[ArchivedEvent]:
    """The events at these positions, in order; those that went with an earlier file are left out."""
    marks = ", ".join("?" * len(positions))
    rows = connection.execute(
        f"select {_EVENT}, crc from event where position in ({marks}) order by position", positions
    )
    return [ArchivedEvent(EventRow._make(row[:-1]), row[-1]) for row in rows]


def record(connection: sqlite3.Connection, row: ArchiveRow) -> None:
    """A file is durable: name it. From here on rows may go."""
    connection.execute("insert into archive values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


def mark(connection: sqlite3.Connection, number: int, moved: int, *, whole: bool) -> None:
    """So many blocks of a file are done with."""
    connection.execute("update archive set moved = ?, whole = ? where number = ?", (moved, whole, number))


def move_flows(connection: sqlite3.Connection, number: int, path: str, flows: Sequence[ArchivedFlow]) -> Gone:
    """Take the steps and commands of flows that a file has out of the journal.

    A flow that has changed since the file was made stays whole: a later file will have it.

    Raises:
        ArchiveUnreadable: the file has other rows than the journal; nothing went.
    """
    ids = [flow.row.id for flow in flows]
    marks = ", ".join("?" * len(ids))
    ready = {
        row[0]: FlowRow._make(row[:-1])
        for row in connection.execute(f"select {FLOW_COLUMNS} from flow where id in ({marks}) and {_ENDED}", ids)
    }
    going = [flow for flow in flows if ready.get(flow.row.id) == flow.row]
    if not going:
        return Gone()
    ids = [flow.row.id for flow in going]
    if flows_of(connection, ids) != going:
        raise ArchiveUnreadable(path, f"it has other steps or commands of flows {ids[0]} to {ids[-1]} than the journal")
    bury(connection, "step", "seq", number, sorted((step.seq, step.crc) for flow in going for step in flow.steps))
    each = [(flow,) for flow in ids]
    connection.executemany("delete from command where flow = ?", each)
    connection.executemany("delete from snapshot where flow = ?", each)
    connection.executemany(
        "insert into archived_flow values (?, ?, ?)", [(flow.row.id, number, flow.row.version) for flow in going]
    )
    _count(connection, "step", {"": sum(len(flow.steps) for flow in going)})
    _count(connection, "command", Counter(command.state for flow in going for command in flow.commands))
    return Gone(flows=len(going))


def move_events(connection: sqlite3.Connection, number: int, path: str, events: Sequence[ArchivedEvent]) -> Gone:
    """Take those events of a file out of the journal that no flow needs which is still there. Their ids stay.

    Raises:
        ArchiveUnreadable: the file has other events than the journal; nothing went.
    """
    archived = {event.row.position: event for event in events}
    stored = events_at(connection, list(archived))
    differing = [event for event in stored if archived[event.row.position] != event]
    if differing:
        raise ArchiveUnreadable(path, f"it has another event at {differing[0].row.position} than the journal")
    going = _needed_no_more(connection, [event.row for event in stored])
    gone = [event for event in stored if event.row.position in going]
    if not gone:
        return Gone()
    connection.executemany(
        "insert into archived_id values (?, ?, ?, ?)",
        [
            (row.source, row.source_id, row.position, row.digest)
            for row, _ in gone
            if row.source is not None and row.source_id is not None
        ],
    )
    bury(connection, "event", "position", number, [(row.position, crc) for row, crc in gone])
    _count(connection, "event", Counter(row.type for row, _ in gone))
    return Gone(events=len(gone))


def _needed_no_more(connection: sqlite3.Connection, rows: Sequence[EventRow]) -> set[int]:
    """Positions of events whose every flow has gone, or recorded that it would never handle them.

    An event for which a process was named later than it was accepted (`since`) stays: which of its flows handled it is
    not written on the event.
    """
    concerned: dict[str, list[tuple[str, int]]] = {}
    for process, kind, since in connection.execute("select process, type, since from concern"):
        concerned.setdefault(kind, []).append((process, since))
    named: dict[int, list[tuple[str, str]]] = {}
    for row in rows:
        keys: dict[str, list[str]] = json.loads(row.keys)
        later = any(
            since < row.position and process not in keys for process, since in concerned.get(row.type, ())
        ) and not row.type.startswith(_OWN)
        if keys and not later:
            named[row.position] = [(process, key) for process in keys for key in keys[process]]
    gone = {
        (process, key)
        for process, key in joined(
            connection,
            "flow.process, flow.key",
            "flow on flow.process = asked.column1 and flow.key = asked.column2"
            " where exists (select 1 from archived_flow where archived_flow.flow = flow.id)",
            list({name for names in named.values() for name in names}),
        )
    }
    held = _held(connection, [position for position, names in named.items() if gone.intersection(names)])
    waiting = {
        position: [name for name in names if name not in gone or (position, name) in held]
        for position, names in named.items()
    }
    return {position for position, names in waiting.items() if not names or _unhandled(connection, position, names)}


def _held(connection: sqlite3.Connection, positions: list[int]) -> set[tuple[int, tuple[str, str]]]:
    """Which flows have a step of these events, or are to get them, after an earlier part of each was archived.

    Flows go before events, so what is left of them needs its events.
    """
    found = connection.execute(
        "select asked.value, flow.process, flow.key from json_each(?) as asked"
        " cross join event on event.position = asked.value"
        " cross join json_each(event.keys) as named cross join json_each(named.value) as keyed"
        " cross join flow on flow.process = named.key and flow.key = keyed.value"
        " where exists (select 1 from step where step.flow = flow.id and step.position = asked.value)"
        " or exists (select 1 from delivery where delivery.flow = flow.id and delivery.position = asked.value)",
        (json.dumps(positions),),
    )
    return {(position, (process, key)) for position, process, key in found}


_OWN = "procession."
"""Events of the runtime's own are addressed, never routed to a process that comes later."""


def _unhandled(connection: sqlite3.Connection, position: int, names: Iterable[tuple[str, str]]) -> bool:
    rows = connection.execute("select process, key from unhandled where position = ?", (position,)).fetchall()
    return set(names) <= set(rows)


def _count(connection: sqlite3.Connection, kind: str, numbers: dict[str, int]) -> None:
    connection.executemany(
        "insert into archived_count values (?, ?, ?)"
        " on conflict (kind, name) do update set number = number + excluded.number",
        [(kind, name, number) for name, number in numbers.items() if number],
    )


def bury(connection: sqlite3.Connection, table: str, place: str, archive: int, gone: Sequence[tuple[int, int]]) -> None:
    """Put tombstones where rows go, and let the rows go: `gone` has their places and checksums, in order.

    A tombstone stands for a longest run: it takes up its neighbours of the same file that nothing lies between.
    """
    at = 0
    while at < len(gone):
        begin = at
        while at + 1 < len(gone) and gone[at + 1][0] == gone[at][0] + 1:
            at += 1
        first, (last, crc) = gone[begin][0], gone[at]
        _bury_run(connection, table, place, (first, last, at + 1 - begin, crc, archive))
        at += 1


def _bury_run(connection: sqlite3.Connection, table: str, place: str, run: tuple[int, int, int, int, int]) -> None:
    first, last, number, crc, archive = run
    execute = connection.execute
    before: Any = execute(
        f"select first, last, number, archive from {table}_tombstone where first < ? order by first desc limit 1",
        (first,),
    ).fetchone()
    after: Any = execute(
        f"select first, last, number, crc, archive from {table}_tombstone where first > ? order by first limit 1",
        (last,),
    ).fetchone()
    between = f"select 1 from {table} where {place} > ? and {place} < ? limit 1"
    whole_first, whole_last = first, last
    if before is not None and before[3] == archive and not execute(between, (before[1], first)).fetchone():
        whole_first, number = before[0], number + before[2]
    if after is not None and after[4] == archive and not execute(between, (last, after[0])).fetchone():
        execute(f"delete from {table}_tombstone where first = ?", (after[0],))
        whole_last, number, crc = after[1], number + after[2], after[3]
    execute(
        f"insert or replace into {table}_tombstone values (?, ?, ?, ?, ?)",
        (whole_first, whole_last, number, crc, archive),
    )
    execute(f"delete from {table} where {place} between ? and ?", (first, last))
