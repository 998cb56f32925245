"""Carrying the rows of a damaged journal over into a new one: what its checksums prove, and what else can be read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, get_args

import attrs

from procession.journal.damaged_file import DamagedFile, Source
from procession.journal.proven_chain import Gap, ProvenChain, Row
from procession.journal.row_crc import SEALED, UNPROVED, event_crc, step_crc
from procession.journal.rows import (
    CommandRow,
    CommandState,
    ConcernRow,
    DeliveryRow,
    DeliveryState,
    EventRow,
    FlowRow,
    FlowStatus,
    StepRow,
    TimerRow,
    TypeRow,
    UnhandledReason,
    UnhandledRow,
)
from procession.journal.sqlite_archive import ArchiveRow
from procession.journal.sqlite_write import chain_start

LOST = 0
"""Number of the archive of a tombstone for rows that are nowhere any more."""

_BATCH_ROWS = 5000
_GRAVE = ("first", "last", "number", "crc", "archive")
_TABLES = {
    "flow": Source("flow", (*FlowRow._fields, "crc"), "id", "id"),
    "command": Source("command", (*CommandRow._fields, "crc"), "seq", "seq"),
    "timer": Source("timer", TimerRow._fields, "flow", "flow, name"),
    "delivery": Source("delivery", DeliveryRow._fields, "flow", "flow, position"),
    "unhandled": Source("unhandled", UnhandledRow._fields, "position", "position, process, key"),
    "type": Source("type", (*TypeRow._fields, "crc"), "", "kind, name, version"),
    "concern": Source("concern", (*ConcernRow._fields, "crc"), "", "process, type"),
    "archive": Source(
        "archive",
        ArchiveRow._fields,
        "number",
        "number",
    ),
    "archived_flow": Source("archived_flow", ("flow", "archive", "version"), "flow", "flow, archive"),
    "archived_id": Source("archived_id", ("source", "source_id", "position", "digest"), "", "source, source_id"),
    "archived_count": Source("archived_count", ("kind", "name", "number"), "", "kind, name"),
}
_UNTIL = {
    "flow": "select max(flow) from step",
    "command": "select max(seq) from step",
    "timer": "select max(id) from flow",
    "delivery": "select max(id) from flow",
    "unhandled": "select max(position) from event",
}
"""About where the last rows of a table are, asked of what was carried over before."""
_WORDS: dict[str, tuple[int, tuple[Any, ...]]] = {
    "flow": (4, get_args(FlowStatus)),
    "command": (7, get_args(CommandState)),
    "delivery": (2, get_args(DeliveryState)),
    "unhandled": (3, get_args(UnhandledReason)),
    "archived_count": (0, ("event", "command", "step")),
}
"""By table, a column that holds one of a few words."""


@attrs.define
class Carried:
    """What was carried over."""

    gaps: dict[str, tuple[Gap, ...]]
    """Of `event` and `step`: places of which nothing could be proved."""
    damaged: set[str]
    """Other tables of which something could not be read, or was refused."""
    refused: dict[str, int]
    """By table, rows that could be read and can't be right."""


def carry_over(damaged: DamagedFile, new: sqlite3.Connection, progress: Callable[[str, int], None]) -> Carried:
    """Copy into an empty journal, in many transactions; it is of no use before the flows in it are judged."""
    carried = Carried({}, set(), {})
    ends = []
    for table in _CHAINS:
        proof = _Proof(damaged, table)
        carried.refused[table] = _insert(new, table, len(proof.source.columns), proof.rows(), progress)
        gaps = proof.chain.gaps
        carried.gaps[table] = tuple(gaps)
        lost = [(gap.first, gap.last, 0, gap.crc, LOST) for gap in gaps]
        _insert(new, f"{table}_tombstone", len(_GRAVE), [*proof.graves, *lost], progress)
        if f"{table}_tombstone" in damaged.lost:
            carried.damaged.add(f"{table}_tombstone")
        ends += [proof.chain.last, proof.chain.crc]
    for table, source in _TABLES.items():
        _carry_table(damaged, new, source, carried, progress)
        if table in damaged.lost or carried.refused.get(table):
            carried.damaged.add(table)
    _write_owner(new, _ended(damaged), ends)
    return carried


_CHAINS: dict[str, tuple[str, tuple[str, ...], Callable[[tuple[Any, ...], int, str], int]]] = {
    "event": ("position", EventRow._fields, event_crc),
    "step": ("seq", StepRow._fields, step_crc),
}


class _Proof:
    """The rows of a chained table that are as they were written."""

    def __init__(self, damaged: DamagedFile, table: str) -> None:
        self.place, self.fields, crc_of = _CHAINS[table]
        self.leading = () if self.place in self.fields else (self.place,)
        self.source = Source(table, (*self.leading, *self.fields, "crc"), self.place, self.place)
        self.graves = _graves(damaged, table)
        self.chain = ProvenChain(chain_start(damaged.id).event_crc, _unfailing(crc_of))
        owner = _ended(damaged)
        self._end = None if owner is None else (owner[:2] if table == "event" else owner[2:4])
        self._damaged = damaged

    def rows(self) -> Iterator[tuple[Any, ...]]:
        skipped = len(self.leading)
        read = self._damaged.rows(self.source, 0 if self._end is None else self._end[0])
        # A row of another table, on a page that was written here, may be too short to have a checksum.
        rows: Iterator[Row] = ((row[0], row[-1], row[skipped:-1]) for row in read if isinstance(row[-1], int))
        for at, crc, values in self.chain.walk(rows, self.graves, self._end):
            yield (*(at,) * skipped, *values, crc)


def gaps_of(damaged: DamagedFile, table: str) -> list[Gap]:
    """Places of `event` or `step` of which nothing can be proved; nothing is copied."""
    proof = _Proof(damaged, table)
    for _ in proof.rows():
        pass
    return proof.chain.gaps


def _carry_table(
    damaged: DamagedFile,
    new: sqlite3.Connection,
    source: Source,
    carried: Carried,
    progress: Callable[[str, int], None],
) -> None:
    until = _UNTIL.get(source.table)
    last = (new.execute(until).fetchone()[0] or 0) if until else 0
    column, words = _WORDS.get(source.table, (0, ()))
    wrong = 0

    def sound() -> Iterator[tuple[Any, ...]]:
        nonlocal wrong
        for row in damaged.rows(source, last):
            if words and row[column] not in words:
                wrong += 1
            elif source.table not in SEALED:
                yield row
            elif (proved := _proved(source.table, row))[-1] != UNPROVED or source.table != "type":
                yield proved
            else:
                wrong += 1  # the next start records the type again

    refused = _insert(new, source.table, len(source.columns), _ordered(source, sound()), progress)
    if wrong + refused:
        carried.refused[source.table] = wrong + refused


def _proved(table: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row with the checksum that fits it; with none where it is not as it was written."""
    values, crc = row[:-1], row[-1]
    if crc is None:  # of an older schema
        return (*values, SEALED[table].crc_of(values))
    return row if SEALED[table].fits(values, crc) else (*values, UNPROVED)


def _ordered(source: Source, rows: Iterable[tuple[Any, ...]]) -> Iterable[tuple[Any, ...]]:
    if source.table != "type":
        return rows
    # The one table whose columns stand in another order than the fields of its rows.
    return ((kind, name, version, shape, crc) for name, version, kind, shape, crc in rows)


def _owner(damaged: DamagedFile) -> tuple[Any, ...] | None:
    names = "position, event_crc, step_seq, step_crc, epoch, pid, host, started_us, renewed_us"
    try:
        row: tuple[Any, ...] | None = damaged.connection.execute(f"select {names} from owner where one = 1").fetchone()
    except sqlite3.Error:
        damaged.lost["owner"] = [(0, 0)]
        return None
    numbers = () if row is None else (*row[:6], *row[7:])
    return row if row is not None and all(isinstance(number, int) for number in numbers) else None


def _ended(damaged: DamagedFile) -> tuple[Any, ...] | None:
    """The same, as far as the journal ever came: what only its head file tells of is lost, and keeps its place."""
    row = _owner(damaged)
    if damaged.behind is None or not damaged.behind.older:
        return row
    head = damaged.behind.head
    pid, host, started_us = (0, "unknown", 0) if row is None else row[5:8]
    return (*head.tail, head.epoch, pid, host, started_us, head.renewed_us)


def _write_owner(new: sqlite3.Connection, owner: tuple[Any, ...] | None, ends: list[int]) -> None:
    epoch, pid, host, started_us, renewed_us = (1, 0, "unknown", 0, 0) if owner is None else owner[4:]
    # It ended in order, whatever its original did: whoever opens it has no crash to count.
    new.execute(
        "insert into owner values (1, ?, ?, ?, ?, ?, 1, 0, ?, ?, ?, ?, 0)",
        (epoch, pid, _clean(host), started_us, renewed_us, *ends),
    )


def _clean(text: object) -> str:
    return str(text).encode(errors="replace").decode()


def _graves(damaged: DamagedFile, table: str) -> list[tuple[int, int, int, int, int]]:
    name = f"{table}_tombstone"
    return [
        row
        for row in damaged.rows(Source(name, _GRAVE, "first", "first"))
        if all(isinstance(number, int) for number in row) and row[0] <= row[1]
    ]


def _unfailing(crc_of: Callable[[tuple[Any, ...], int, str], int]) -> Callable[[tuple[Any, ...], int, str], int]:
    """A checksum that fits nothing where the values are of other types than any row has."""

    def found(values: tuple[Any, ...], before: int, errors: str) -> int:
        try:
            return crc_of(values, before, errors)
        except (TypeError, ValueError, OverflowError):
            return -1

    return found


def _insert(
    new: sqlite3.Connection,
    table: str,
    width: int,
    rows: Iterable[tuple[Any, ...]],
    progress: Callable[[str, int], None],
) -> int:
    """Insert rows, many in a transaction. Returns how many the new journal refused."""
    statement = f"insert into {table} values ({', '.join('?' * width)})"
    refused, done, left = 0, 0, iter(rows)
    while batch := list(islice(left, _BATCH_ROWS)):
        new.execute("begin")
        for row in batch:
            try:
                new.execute(statement, row)
            except (sqlite3.IntegrityError, UnicodeEncodeError, OverflowError):
                refused += 1
        new.execute("commit")
        done += len(batch)
        progress(table, done)
    return refused
