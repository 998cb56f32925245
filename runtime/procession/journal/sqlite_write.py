"""Writing to a SQLite journal: one commit as one transaction, in the thread of the one connection that writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar
from zlib import crc32

from procession.journal.row_crc import NAMES, SEALED, command_crc, event_crc, flow_crc, step_crc
from procession.journal.rows import Commit, EventRow, StepRow
from procession.journal.sqlite_read import archived_ids, has_archived_ids, journal_id

T = TypeVar("T")


class Tail(NamedTuple):
    """The ends of both chains."""

    position: int
    event_crc: int
    step_seq: int
    step_crc: int


class Tenure(NamedTuple):
    """What distinguishes one owner from the next."""

    epoch: int
    pid: int
    host: str
    started_us: int


class Refused(Exception):  # noqa: N818 - never leaves this package
    """The data of a commit does not fit what is stored."""


class Overtaken(Exception):  # noqa: N818 - as above
    """The owner row has another epoch."""


def chain_start(journal_id: bytes) -> Tail:
    """The ends of both chains of an empty journal."""
    start = crc32(journal_id)
    return Tail(0, start, 0, start)


def read_tail(connection: sqlite3.Connection) -> Tail:
    """The ends of both chains as the owner row has them; of a journal that had no owner yet, their beginnings."""
    row = connection.execute("select position, event_crc, step_seq, step_crc from owner where one = 1").fetchone()
    return chain_start(journal_id(connection)) if row is None else Tail._make(row)


_INSERT_EVENT = "insert into event values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_STEP = "insert into step values (?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_FLOW = (
    "insert into flow values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do update set version = excluded.version,"
    " status = excluded.status, outcome = excluded.outcome, reason = excluded.reason,"
    " started_us = excluded.started_us, updated_us = excluded.updated_us, crc = excluded.crc where version = 0"
)
_UPDATE_FLOW = (
    "update flow set version = ?, status = ?, outcome = ?, reason = ?, started_us = ?, updated_us = ?, crc = ?"
    " where id = ? and version = ?"
)
_WITHDRAW = (
    "insert into unhandled select delivery.position, flow.process, flow.key, 'withdrawn'"
    " from delivery join flow on flow.id = delivery.flow where delivery.flow = ? and delivery.timer = ?"
)
_RESUME = "update delivery set state = 'pending' where flow = ? and +state in ('waiting', 'quarantined')"
_UPSERT_DELIVERY = (
    "insert into delivery values (?, ?, ?, ?, ?) on conflict (flow, position) do update set"
    " state = excluded.state, timer = excluded.timer, marked = excluded.marked"
)
_INSERT_COMMAND = "insert into command values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_CHANGE_COMMAND = "update command set state = ?, attempts = ?, due_us = ?, log = ?, crc = ? where seq = ? and state = ?"
_UPSERT_TIMER = (
    "insert into timer values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (flow, name) do update set id = excluded.id,"
    " due_us = excluded.due_us, type = excluded.type, version = excluded.version, payload = excluded.payload,"
    " correlation = excluded.correlation"
)
_RENEW = (
    "update owner set renewed_us = ?, position = ?, event_crc = ?, step_seq = ?, step_crc = ?"
    " where one = 1 and epoch = ?"
)


def write(  # noqa: C901, PLR0912 - one straight list, in the order of the contract
    connection: sqlite3.Connection, tail: Tail, epoch: int, commit: Commit, clock_us: Callable[[], int]
) -> Tail:
    """Write a commit; durable on return, as far as `synchronous` says. Returns the new ends of the chains.

    Raises:
        Refused, sqlite3.IntegrityError, …: rolled back: the data was refused.
        Overtaken: rolled back.
        sqlite3.OperationalError: the outcome is unknown.
    """
    events, tail = _chained_events(commit.events, tail)
    steps, tail = _chained_steps(commit.steps, tail)
    inserts, updates = _split_flows(commit)
    connection.execute("begin immediate")
    try:
        renewed = connection.execute(_RENEW, (clock_us(), *tail, epoch))
        if renewed.rowcount != 1:
            raise Overtaken
        many = connection.executemany
        if commit.types or commit.concerns:
            _write_names(connection, commit)
        if events:
            many(_INSERT_EVENT, events)
            _check_ids(connection, commit.events)
        if inserts:
            _all_changed(many(_INSERT_FLOW, inserts), inserts, "a flow row is not at the version that its steps follow")
        if updates:
            _all_changed(many(_UPDATE_FLOW, updates), updates, "a flow row is not at the version that its steps follow")
        if steps:
            many(_INSERT_STEP, steps)
        if commit.unhandled:
            many("insert into unhandled values (?, ?, ?, ?)", commit.unhandled)
        if commit.resumed or commit.withdrawn or commit.deliveries:
            _write_deliveries(connection, commit)
        if commit.commands:
            many(_INSERT_COMMAND, [(*row, command_crc(row)) for row in commit.commands])
        if commit.command_changes:
            _change_commands(connection, commit)
        if commit.timers_ended or commit.timers:
            _write_timers(connection, commit)
        if commit.snapshots:
            many("insert or replace into snapshot values (?, ?, ?, ?)", commit.snapshots)
        connection.execute("commit")
    finally:
        if connection.in_transaction:
            connection.execute("rollback")
    return tail


def _check_ids(connection: sqlite3.Connection, events: list[EventRow]) -> None:
    """An id is unique also beside those whose events went to an archive."""
    if not has_archived_ids(connection):
        return
    named = [(row.source, row.source_id) for row in events if row.source is not None and row.source_id is not None]
    for (source, source_id), (position, _) in archived_ids(connection, named).items():
        raise Refused(f"event {source_id} of source {source} exists at position {position}")


def _chained_events(events: list[EventRow], tail: Tail) -> tuple[list[tuple[Any, ...]], Tail]:
    position, crc = tail.position, tail.event_crc
    chained: list[tuple[Any, ...]] = []
    for row in events:
        if row[0] <= position:
            raise Refused(f"position {row[0]} does not follow position {position}")
        position = row[0]
        crc = event_crc(row, crc)
        chained.append((*row, crc))
    return chained, tail._replace(position=position, event_crc=crc)


def _chained_steps(steps: list[StepRow], tail: Tail) -> tuple[list[tuple[Any, ...]], Tail]:
    seq, crc = tail.step_seq, tail.step_crc
    chained: list[tuple[Any, ...]] = []
    for row in steps:
        seq += 1
        crc = step_crc(row, crc)
        chained.append((seq, *row, crc))
    return chained, tail._replace(step_seq=seq, step_crc=crc)


def first_versions(commit: Commit) -> dict[int, int]:
    """By flow, the version that its steps in this commit follow.

    Raises:
        Refused: steps have a gap, or their flow row is missing or not at the last of them.
    """
    before: dict[int, int] = {}
    last: dict[int, int] = {}
    for row in commit.steps:
        flow, version = row[0], row[1]
        previous = last.get(flow)
        if previous is None:
            before[flow] = version - 1
        elif previous != version - 1:
            raise Refused(f"version {version} of flow {flow} does not follow version {previous}")
        last[flow] = version
    for flow, version in last.items():
        stands = commit.flows.get(flow)
        if stands is None or stands[3] != version:
            raise Refused(f"the row of flow {flow} is not at version {version}, that of its last step")
    return before


def _split_flows(commit: Commit) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Rows that may be new, and changes of rows that must be there, at the version that the steps follow."""
    before = first_versions(commit)
    inserts: list[tuple[Any, ...]] = []
    updates: list[tuple[Any, ...]] = []
    for row in commit.flows.values():
        follows = before.get(row[0], row[3])
        if follows == 0:
            inserts.append((*row, flow_crc(row)))
        else:
            updates.append((*row[3:], flow_crc(row), row[0], follows))
    return inserts, updates


def _all_changed(cursor: sqlite3.Cursor, rows: Sequence[object], refused: str) -> None:
    if cursor.rowcount != len(rows):
        raise Refused(refused)


def _write_names(connection: sqlite3.Connection, commit: Commit) -> None:
    connection.executemany(
        "insert into type (name, version, kind, shape, crc) values (?, ?, ?, ?, ?)",
        [(*row, SEALED["type"].crc_of(row)) for row in commit.types],
    )
    connection.executemany(
        "insert or replace into concern values (?, ?, ?, ?)",
        [(*row, SEALED["concern"].crc_of(row)) for row in commit.concerns],
    )
    connection.execute(f"update owner set names = {NAMES}")


def _write_deliveries(connection: sqlite3.Connection, commit: Commit) -> None:
    if commit.resumed:
        connection.executemany(_RESUME, [(flow,) for flow in commit.resumed])
    gone = [key for key, row in commit.deliveries.items() if row is None]
    if gone:
        connection.executemany("delete from delivery where flow = ? and position = ?", gone)
    if commit.withdrawn:
        connection.executemany(_WITHDRAW, commit.withdrawn)
        connection.executemany("delete from delivery where flow = ? and timer = ?", commit.withdrawn)
    if len(gone) < len(commit.deliveries):
        connection.executemany(_UPSERT_DELIVERY, [row for row in commit.deliveries.values() if row is not None])


def _change_commands(connection: sqlite3.Connection, commit: Commit) -> None:
    # The checksum is that of the whole row as it was known, so that what was damaged in the file does not get one.
    changes = [
        (state, attempts, due_us, log, command_crc((*row[:7], state, attempts, due_us, log)), row[0], row[7])
        for row, state, attempts, due_us, log in commit.command_changes
    ]
    _all_changed(
        connection.executemany(_CHANGE_COMMAND, changes), changes, "a command is not in the state that a change follows"
    )


def _write_timers(connection: sqlite3.Connection, commit: Commit) -> None:
    if commit.timers_ended:
        connection.executemany("delete from timer where flow = ?", [(flow,) for flow in commit.timers_ended])
    gone = [key for key, row in commit.timers.items() if row is None]
    if gone:
        connection.executemany("delete from timer where flow = ? and name = ?", gone)
    if len(gone) < len(commit.timers):
        connection.executemany(_UPSERT_TIMER, [row for row in commit.timers.values() if row is not None])


def take_over(
    connection: sqlite3.Connection, journal_id: bytes, tenure: Tenure, unclean_period_us: int
) -> tuple[Tail, int]:
    """Write the owner row of a new owner. Returns the ends of the chains, and the epoch."""
    connection.execute("begin immediate")
    try:
        last = connection.execute(
            "select epoch, started_us, renewed_us, clean, unclean_starts from owner where one = 1"
        ).fetchone()
        if last is None:
            tail, epoch = chain_start(journal_id), 1
            connection.execute(
                "insert into owner values (1, 1, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, 0)",
                (*tenure[1:], tenure.started_us, *tail),
            )
        else:
            tail, epoch = read_tail(connection), last[0] + 1
            unclean = unclean_starts(*last[1:], now_us=tenure.started_us, period_us=unclean_period_us)
            connection.execute(
                "update owner set epoch = ?, pid = ?, host = ?, started_us = ?, renewed_us = ?, clean = 0,"
                " unclean_starts = ? where one = 1",
                (epoch, *tenure[1:], tenure.started_us, unclean),
            )
        connection.execute("commit")
    finally:
        if connection.in_transaction:
            connection.execute("rollback")
    return tail, epoch


def unclean_starts(started_us: int, renewed_us: int, clean: int, before: int, *, now_us: int, period_us: int) -> int:
    """How many ends in a row were unclean, each within the period of the start that found it.

    A run that lasted longer than the period begins a new row: what ended it was not what ended the runs before.
    """
    if clean or now_us - renewed_us > period_us:
        return 0
    return 1 + (before if renewed_us - started_us <= period_us else 0)


def barrier(connection: sqlite3.Connection, epoch: int, now_us: int) -> Tail:
    """A durable commit of nothing but the owner row: what can be read after it is what a crash would leave."""
    connection.execute("begin immediate")
    try:
        renewed = connection.execute("update owner set renewed_us = ? where one = 1 and epoch = ?", (now_us, epoch))
        if renewed.rowcount != 1:
            raise Overtaken
        tail = read_tail(connection)
        connection.execute("commit")
    finally:
        if connection.in_transaction:
            connection.execute("rollback")
    return tail


def transact(
    connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T], epoch: int, now_us: int
) -> tuple[T, int]:
    """Do something in a transaction of its own, where the journal is still this owner's.

    Returns what the work returns, and how many rows changed. Raises as `write` does, and what the work raises; rolled
    back then.
    """
    before = connection.total_changes
    connection.execute("begin immediate")
    try:
        renewed = connection.execute("update owner set renewed_us = ? where one = 1 and epoch = ?", (now_us, epoch))
        if renewed.rowcount != 1:
            raise Overtaken
        result = work(connection)
        connection.execute("commit")
    finally:
        if connection.in_transaction:
            connection.execute("rollback")
    return result, connection.total_changes - before


def leave(connection: sqlite3.Connection, epoch: int, now_us: int) -> None:
    """Record a clean end, where the journal is still this owner's."""
    connection.execute("update owner set clean = 1, renewed_us = ? where one = 1 and epoch = ?", (now_us, epoch))


def compact(connection: sqlite3.Connection) -> None:
    """Write the whole file anew without what is free in it, and give the rest back to the disk.

    Needs room for what stays, twice: SQLite writes it beside, then through the write-ahead log.
    """
    connection.execute("pragma temp_store = file")  # it would be memory, and a journal may be larger than that
    try:
        connection.execute("vacuum")
        connection.execute("pragma wal_checkpoint(truncate)").fetchone()
    finally:
        connection.execute("pragma temp_store = memory")


def checkpoint(connection: sqlite3.Connection) -> None:
    """Move the write-ahead log into the file, as far as no reader is in the way."""
    connection.execute("pragma wal_checkpoint(passive)").fetchone()
