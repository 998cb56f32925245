"""Reading a SQLite journal: each question as one function over one read transaction, in a connection's thread."""

# SQL in several lines is one string.

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from procession.journal.row_crc import COMMAND_COLUMNS, FLOW_COLUMNS, command_of, flow_of, whole
from procession.journal.rows import (
    ArmedTimer,
    CommandRow,
    ConcernRow,
    Delivered,
    DeliveryRow,
    DeliveryState,
    EventRow,
    FlowRow,
    Heads,
    JournalCounts,
    LoadedFlow,
    LookUp,
    OpenCommand,
    OwnerInfo,
    SnapshotRow,
    Standing,
    Stepped,
    StepRow,
    TimerRow,
    TypeRow,
    UnhandledRow,
)


def _columns(table: str, names: tuple[str, ...]) -> str:
    return ", ".join(f"{table}.{name}" for name in names)


_EVENT = _columns("event", EventRow._fields)
_STEP = _columns("step", StepRow._fields)
_SNAPSHOT = _columns("snapshot", SnapshotRow._fields)
_TIMER = _columns("timer", TimerRow._fields)
_DELIVERY = _columns("delivery", DeliveryRow._fields)

_STEPS = (
    f"select {_STEP}, {_EVENT}"
    " from (select * from step where flow = ? and version > ? order by version limit ?) as step"
    " join event on event.position = step.position order by step.version"
)
_TRACE = (
    "(select first.trace from step as began join event as first on first.position = began.position"
    " where began.seq = (select min(seq) from step where step.flow = flow.id))"
)
"""Of the event that a flow handled first: the index of steps alone tells which that is."""
_ID_BYTES = 16
_COMMANDS = (
    f"select {COMMAND_COLUMNS}, {FLOW_COLUMNS}, step.effects, coalesce(event.correlation, event.id), {_TRACE}"
    " from command join flow on flow.id = command.flow"
    " join step on step.flow = command.flow and step.position = command.position"
    " join event on event.position = command.position"
)


def journal_id(connection: sqlite3.Connection) -> bytes:
    """The id that the journal was made with."""
    found = connection.execute("select id from journal where one = 1").fetchone()
    if found is None or type(found[0]) is not bytes or len(found[0]) != _ID_BYTES:
        raise sqlite3.DatabaseError("the row with the journal's id can't be read")
    return bytes(found[0])


def heads(connection: sqlite3.Connection) -> Heads:
    """See `JournalReader.heads`; so for all that follow."""
    position, flow, command, archived, last_command = connection.execute(
        "select coalesce((select max(position) from event), 0), coalesce((select max(id) from flow), 0),"
        " coalesce((select max(seq) from command), 0),"
        " coalesce((select last from event_tombstone order by first desc limit 1), 0),"
        " coalesce((select max(last_command) from archive), 0)"
    ).fetchone()
    return Heads(max(position, archived), flow, max(command, last_command), archived)


_CHUNKS = (1, 4, 16, 64, 256)


def look_up(connection: sqlite3.Connection, ids: Sequence[tuple[str, str]], flows: Sequence[tuple[str, str]]) -> LookUp:
    event_columns = "event.source, event.source_id, event.position, event.digest"
    known_ids = {
        (source, source_id): (position, digest)
        for source, source_id, position, digest in joined(
            connection, event_columns, "event on event.source = asked.column1 and event.source_id = asked.column2", ids
        )
    }
    if len(known_ids) < len(ids) and has_archived_ids(connection):
        known_ids.update(archived_ids(connection, [name for name in ids if name not in known_ids]))
    named = "flow on flow.process = asked.column1 and flow.key = asked.column2"
    known_flows = map(flow_of, list(joined(connection, FLOW_COLUMNS, named, flows)))
    return LookUp(known_ids, {(row.process, row.key): row for row in known_flows})


def has_archived_ids(connection: sqlite3.Connection) -> bool:
    """Whether there are ids of events that went; asked first, it costs nothing where there are none."""
    return connection.execute("select 1 from archived_id limit 1").fetchone() is not None


def archived_ids(
    connection: sqlite3.Connection, ids: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], tuple[int, bytes]]:
    """Those of these ids whose events went, with position and digest."""
    found = joined(
        connection,
        "gone.source, gone.source_id, gone.position, gone.digest",
        "archived_id as gone on gone.source = asked.column1 and gone.source_id = asked.column2",
        ids,
    )
    return {(source, source_id): (position, digest) for source, source_id, position, digest in found}


def joined(
    connection: sqlite3.Connection, columns: str, join: str, pairs: Sequence[tuple[str, str]]
) -> Iterator[tuple[Any, ...]]:
    """What is found of many pairs: in a few statements of a few sizes, which costs a third of one for each pair."""
    place = 0
    while place < len(pairs):
        chunk = pairs[place : place + _CHUNKS[-1]]
        place += len(chunk)
        size = next(size for size in _CHUNKS if size >= len(chunk))
        padded = [*chunk, *[chunk[-1]] * (size - len(chunk))]
        values = ", ".join(["(?, ?)"] * size)
        yield from connection.execute(
            f"select {columns} from (values {values}) as asked cross join {join}",
            [part for pair in padded for part in pair],
        )


def load(connection: sqlite3.Connection, process: str, key: str, steps_max: int) -> LoadedFlow:
    asked = f"select {_TRACE}, {FLOW_COLUMNS} from flow where process = ? and key = ?"
    found = connection.execute(asked, (process, key)).fetchone()
    if found is None:
        return LoadedFlow(None, None, [])
    row = flow_of(found[1:])
    kept = connection.execute(f"select {_SNAPSHOT} from snapshot where flow = ?", (row.id,)).fetchone()
    snapshot = None if kept is None else SnapshotRow._make(kept)
    after = 0 if snapshot is None else snapshot.version
    return LoadedFlow(row, snapshot, steps(connection, row.id, after, steps_max), found[0])


def steps(connection: sqlite3.Connection, flow: int, after_version: int, limit: int) -> list[Stepped]:
    width = len(StepRow._fields)
    return [
        Stepped(StepRow._make(row[:width]), EventRow._make(row[width:]))
        for row in connection.execute(_STEPS, (flow, after_version, limit))
    ]


def deliveries(
    connection: sqlite3.Connection, flow: int, after_position: int, limit: int, states: Sequence[DeliveryState]
) -> list[Delivered]:
    width = len(DeliveryRow._fields)
    rows = connection.execute(
        f"select {_DELIVERY}, {_EVENT} from delivery join event on event.position = delivery.position"
        f" where delivery.flow = ? and delivery.position > ? and +delivery.state in ({_marks(states)})"
        " order by delivery.position limit ?",
        (flow, after_position, *states, limit),
    )
    return [Delivered(DeliveryRow._make(row[:width]), EventRow._make(row[width:])) for row in rows]


def flows_with_deliveries(
    connection: sqlite3.Connection, state: DeliveryState, after_flow: int, limit: int
) -> list[FlowRow]:
    rows = connection.execute(
        f"select {FLOW_COLUMNS} from"
        " (select distinct flow from delivery where state = ? and flow > ? order by flow limit ?)"
        " as found join flow on flow.id = found.flow order by flow.id",
        (state, after_flow, limit),
    ).fetchall()
    return list(map(flow_of, rows))


def open_commands(
    connection: sqlite3.Connection, gateway: str, due_us_max: int, limit: int, known: Sequence[int]
) -> list[OpenCommand]:
    # Which they are, the index alone tells: what is known costs no look at its rows.
    rows = connection.execute(
        f"{_COMMANDS} where command.seq in (select seq from command where state = 'open' and gateway = ?"
        " and due_us <= ? and seq not in (select value from json_each(?)) order by due_us, seq limit ?)"
        " order by command.due_us, command.seq",
        (gateway, due_us_max, json.dumps(known), limit),
    )
    found: list[OpenCommand] = []
    with closing(rows):
        for row in rows:
            one = _open_command(row)
            if found and one.effects == found[-1].effects:
                one = one._replace(effects=found[-1].effects)  # many commands of one step hold its effects once
            found.append(one)
    return found


def command(connection: sqlite3.Connection, command_id: bytes) -> OpenCommand | None:
    found = connection.execute(f"{_COMMANDS} where command.id = ?", (command_id,)).fetchone()
    return None if found is None else _open_command(found)


def commands(connection: sqlite3.Connection, flow: int, after_seq: int, limit: int) -> list[OpenCommand]:
    rows = connection.execute(
        f"{_COMMANDS} where command.flow = ? and command.seq > ? order by command.seq limit ?", (flow, after_seq, limit)
    ).fetchall()
    return list(map(_open_command, rows))


def _open_command(row: tuple[Any, ...]) -> OpenCommand:
    width = len(CommandRow._fields) + 1
    return OpenCommand(command_of(row[:width]), *flow_of(row[width:-3])[1:3], *row[-3:])


def timers(connection: sqlite3.Connection, after: tuple[int, int, str], limit: int) -> list[ArmedTimer]:
    width = len(TimerRow._fields)
    rows = connection.execute(
        f"select {_TIMER}, {FLOW_COLUMNS}, {_TRACE} from timer join flow on flow.id = timer.flow"
        " where (timer.due_us, timer.flow, timer.name) > (?, ?, ?)"
        " order by timer.due_us, timer.flow, timer.name limit ?",
        (*after, limit),
    ).fetchall()
    return [ArmedTimer(TimerRow._make(row[:width]), *flow_of(row[width:-1])[1:3], row[-1]) for row in rows]


def timers_of(connection: sqlite3.Connection, flow: int, limit: int = -1) -> list[TimerRow]:
    asked = f"select {_TIMER} from timer where flow = ? order by due_us, name limit ?"
    return list(map(TimerRow._make, connection.execute(asked, (flow, limit))))


def standing_of(connection: sqlite3.Connection, flows: Sequence[int], timers_max: int) -> list[Standing]:
    states: tuple[DeliveryState, ...] = ("pending", "waiting", "quarantined")
    return [
        Standing(
            timers_of(connection, flow, timers_max),
            next(iter(deliveries(connection, flow, 0, 1, states)), None),
        )
        for flow in flows
    ]


def events(
    connection: sqlite3.Connection, after_position: int, limit: int, types: Sequence[str], until_position: int | None
) -> list[EventRow]:
    return list(map(EventRow._make, _events(connection, _EVENT, after_position, limit, types, until_position)))


def columns(
    connection: sqlite3.Connection,
    names: Sequence[str],
    after_position: int,
    limit: int,
    types: Sequence[str],
    until_position: int | None,
) -> list[tuple[Any, ...]]:
    assert set(names) <= set(EventRow._fields), f"columns of events are {', '.join(EventRow._fields)}"
    return _events(connection, ", ".join(names), after_position, limit, types, until_position)


def _events(
    connection: sqlite3.Connection,
    names: str,
    after_position: int,
    limit: int,
    types: Sequence[str],
    until_position: int | None,
) -> list[tuple[Any, ...]]:
    where, values = ["position > ?"], [after_position]
    parameters: list[object] = list(values)
    if types:
        where.append(f"type in ({_marks(types)})")
        parameters += types
    if until_position is not None:
        where.append("position <= ?")
        parameters.append(until_position)
    return connection.execute(
        f"select {names} from event where {' and '.join(where)} order by position limit ?", (*parameters, limit)
    ).fetchall()


def unhandled(
    connection: sqlite3.Connection, process: str | None, key: str | None, after_position: int, limit: int
) -> list[UnhandledRow]:
    where: list[str] = ["position > ?"]
    parameters: list[object] = [after_position]
    for value, condition in ((process, "process = ?"), (key, "key = ?")):
        if value is not None:
            where.append(condition)
            parameters.append(value)
    asked = f"select position, process, key, reason from unhandled where {' and '.join(where)}"
    order = " order by position, process, key"
    rows = connection.execute(f"{asked}{order} limit ?", (*parameters, limit)).fetchall()
    if rows and len(rows) == limit:
        # The next page begins after the last position, so the rows of that one must not be torn apart.
        last = rows[-1][0]
        whole = connection.execute(f"{asked} and position = ?{order}", (*parameters, last)).fetchall()
        rows = [row for row in rows if row[0] != last] + whole
    return list(map(UnhandledRow._make, rows))


_AGGREGATES = "select name from type where kind = 'aggregate'"
_COUNTED = "select process, status, count(*) from flow"


def counts(connection: sqlite3.Connection) -> JournalCounts:
    count = connection.execute
    by_type = dict(count("select type, count(*) from event group by type").fetchall())
    return JournalCounts(
        events=sum(by_type.values()),
        events_by_type=by_type,
        steps=count("select count(*) from step").fetchone()[0],
        flows=_nested(connection, f"{_COUNTED} where process not in ({_AGGREGATES}) group by process, status"),
        aggregates=_nested(connection, f"{_COUNTED} where process in ({_AGGREGATES}) group by process, status"),
        outcomes=_nested(
            connection,
            "select process, outcome, count(*) from flow where outcome is not null group by process, outcome",
        ),
        commands=dict(count("select state, count(*) from command group by state").fetchall()),
        timers=count("select count(*) from timer").fetchone()[0],
        deliveries=dict(count("select state, count(*) from delivery group by state").fetchall()),
        unhandled=_nested(connection, "select process, reason, count(*) from unhandled group by process, reason"),
    )


def _nested(connection: sqlite3.Connection, sql: str) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for outer, inner, count in connection.execute(sql):
        found.setdefault(outer, {})[inner] = count
    return found


def types(connection: sqlite3.Connection) -> list[TypeRow]:
    rows = connection.execute(
        "select name, version, kind, shape, crc from type order by kind, name, version"
    ).fetchall()
    return list(map(TypeRow._make, whole("type", rows)))


def concerns(connection: sqlite3.Connection) -> list[ConcernRow]:
    rows = connection.execute("select process, type, since, crc from concern order by 1, 2").fetchall()
    return list(map(ConcernRow._make, whole("concern", rows)))


def owner(connection: sqlite3.Connection) -> OwnerInfo | None:
    """The owner row; whether the lock is held is for the caller to find out."""
    found = connection.execute(
        "select pid, host, started_us, epoch, unclean_starts from owner where one = 1"
    ).fetchone()
    if found is None:
        return None
    pid, host, started_us, epoch, unclean_starts = found
    return OwnerInfo(pid, host, started_us, epoch, unclean_starts, running=False)


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


class Room(NamedTuple):
    """How much of a journal's file is in use."""

    used_bytes: int
    free_bytes: int


def room(connection: sqlite3.Connection) -> Room:
    """How much of the file is in use; what is free will be used first by what comes."""
    pages, free, size = (
        connection.execute(f"pragma {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return Room((pages - free) * size, free * size)
