"""Checking a SQLite journal: both CRC chains, and what can be rebuilt against what it is rebuilt from.

In slices, each one read transaction: a check runs beside an owner and pins nothing for long.
"""

# SQL in several lines is one string.
# ruff: noqa: ISC004

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from procession.journal.archive_folder import ArchiveFolder
from procession.journal.archive_verify import FileChecks
from procession.journal.rows import EventRow, Fault, StepRow
from procession.journal.sqlite_read import journal_id
from procession.journal.sqlite_write import chain_start, event_crc, read_tail, step_crc

SLICE_ROWS = 2000
_FAULTS_MAX = 100
_RESTORE = "restore a backup"
_REBUILD = "stop the owner and restore a backup; the events and steps are whole, so nothing that happened is lost"

Slice = Callable[[sqlite3.Connection], "list[Fault] | None"]
"""Checks one slice and remembers where it stood; None once there is nothing left to check."""


def checks(folder: ArchiveFolder) -> Iterator[Slice]:
    """All checks, in order; each is called until it returns None."""
    yield _once(_check_pages)
    yield _Chain("event", "position", EventRow._fields, event_crc).check
    yield _Chain("step", "seq", StepRow._fields, step_crc).check
    for code, cure, sql, last in _COMPARISONS:
        yield _Comparison(code, cure, sql, last).check
    yield FileChecks(folder).check


def _once(check: Slice) -> Slice:
    left = [check]

    def once(connection: sqlite3.Connection) -> list[Fault] | None:
        return left.pop()(connection) if left else None

    return once


def _check_pages(connection: sqlite3.Connection) -> list[Fault] | None:
    try:
        found = [row[0] for row in connection.execute(f"pragma integrity_check({_FAULTS_MAX})")]
    except sqlite3.DatabaseError as error:
        found = [str(error)]
    return [Fault("pages", text, _RESTORE) for text in found if text != "ok"]


@attrs.define
class _Chain:
    """The CRC chain of one table, from its first row to the end that the owner row names."""

    table: str
    place: str
    columns: tuple[str, ...]
    crc_of: Callable[[tuple[Any, ...], int, str], int]
    _after: int = 0
    _crc: int | None = None
    _ended: bool = False

    def check(self, connection: sqlite3.Connection) -> list[Fault] | None:
        if self._ended:
            return None
        # A flipped bit may leave no valid UTF-8: it is to be found by the chain, not by a decoder.
        connection.text_factory = _decoded
        try:
            return self._check(connection)
        except sqlite3.DatabaseError as error:
            self._ended = True
            return [Fault(f"{self.table}_unreadable", f"{self.table}s after {self._after}: {error}", _RESTORE)]
        finally:
            connection.text_factory = str

    def _check(self, connection: sqlite3.Connection) -> list[Fault]:
        faults: list[Fault] = []
        if self._crc is None:
            self._crc = chain_start(journal_id(connection)).event_crc
        for place, last, stored, values in self._slice(connection):
            if place <= self._after:
                found = f"{self.table} {place} stands where a tombstone says that there is none"
                faults.append(Fault(f"{self.table}_tombstone", found, _RESTORE))
            expected = stored if values is None else self.crc_of(values, self._crc, "surrogateescape")
            if expected != stored and len(faults) < _FAULTS_MAX:
                found = (
                    f"{self.table} {place} or what was before it is not what was written (crc {stored}, not {expected})"
                )
                faults.append(Fault(f"{self.table}_crc", found, _RESTORE))
            # On with what is stored: one flipped bit is one fault, not one for each row after it.
            self._after, self._crc = max(self._after, last), stored
        if self._ended:
            faults += self._check_end(connection)
        return faults

    def _slice(self, connection: sqlite3.Connection) -> Iterator[tuple[int, int, int, tuple[Any, ...] | None]]:
        """The next rows and tombstones, in order of place: where from, where to, the checksum, the row's values."""
        names = ", ".join(self.columns)
        rows = connection.execute(
            f"select {self.place}, crc, {names} from {self.table} where {self.place} > ? order by {self.place} limit ?",
            (self._after, SLICE_ROWS),
        ).fetchall()
        graves = connection.execute(
            f"select first, last, crc from {self.table}_tombstone where first > ? order by first limit ?",
            (self._after, SLICE_ROWS),
        ).fetchall()
        ends = [found[-1][0] for found in (rows, graves) if len(found) == SLICE_ROWS]
        self._ended = not ends
        until = min(ends, default=rows[-1][0] if rows else 0)
        until = max(until, graves[-1][0]) if graves and not ends else until
        whole = [(place, place, stored, tuple(values)) for place, stored, *values in rows if place <= until]
        gone = [(first, last, stored, None) for first, last, stored in graves if first <= until]
        yield from sorted([*whole, *gone], key=_place_of)

    def _check_end(self, connection: sqlite3.Connection) -> list[Fault]:
        tail = read_tail(connection)
        named = (tail.position, tail.event_crc) if self.table == "event" else (tail.step_seq, tail.step_crc)
        if named == (self._after, self._crc):
            return []
        found = f"{self.table}s end at {self._after}, the last commit ended at {named[0]}"
        return [Fault(f"{self.table}_tail", found, _RESTORE)]


def _place_of(found: tuple[int, int, int, tuple[Any, ...] | None]) -> int:
    return found[0]


def _decoded(content: bytes) -> str:
    return content.decode(errors="surrogateescape")


@attrs.define
class _Comparison:
    """A question whose every row is a fault, asked for one slice of a table's keys after the other."""

    code: str
    cure: str
    sql: str
    """With `:after` and `:until`; its only column is the text of what was found."""
    last: str
    """The highest key, as a question."""
    _after: int = 0
    _ended: bool = False

    def check(self, connection: sqlite3.Connection) -> list[Fault] | None:
        if self._ended:
            return None
        try:
            last = connection.execute(self.last).fetchone()[0] or 0
            if self._after >= last:
                return None
            span = {"after": self._after, "until": self._after + SLICE_ROWS}
            self._after += SLICE_ROWS
            rows: Sequence[tuple[Any, ...]] = connection.execute(self.sql, span).fetchmany(_FAULTS_MAX)
        except sqlite3.DatabaseError as error:
            self._ended = True
            return [Fault(self.code, f"can't be compared: {error}", _RESTORE)]
        return [Fault(self.code, row[0], self.cure) for row in rows]


_LAST_EVENT = "select max(position) from event"
_LAST_STEP = "select max(seq) from step"
_LAST_FLOW = "select max(id) from flow"
_LAST_COMMAND = "select max(seq) from command"

_COMPARISONS: tuple[tuple[str, str, str, str], ...] = (
    (
        "routing",
        _REBUILD,
        "select printf('event %d for %s %s is handled, waiting and set aside %d times in all, not once',"
        " position, process, key, found) from ("
        " select event.position, named.key as process, keyed.value as key,"
        " (select count(*) from step where step.flow = flow.id and step.position = event.position)"
        " + (select count(*) from delivery where delivery.flow = flow.id and delivery.position = event.position)"
        " + (select count(*) from unhandled where unhandled.position = event.position"
        "    and unhandled.process = named.key and unhandled.key = keyed.value) as found"
        " from event cross join json_each(event.keys) as named cross join json_each(named.value) as keyed"
        " left join flow on flow.process = named.key and flow.key = keyed.value"
        " where event.position > :after and event.position <= :until) as routed where found <> 1"
        " and not (found = 0 and exists (select 1 from archived_flow as gone join flow on flow.id = gone.flow"
        " where flow.process = routed.process and flow.key = routed.key))",
        _LAST_EVENT,
    ),
    (
        "flow_version",
        _REBUILD,
        "select printf('flow %d is at version %d, its %d steps end at version %d', id, version, steps, last) from ("
        " select id, version, gone, gone + (select count(*) from step where step.flow = whose.id) as steps,"
        " max(gone, (select coalesce(max(step.version), 0) from step where step.flow = whose.id)) as last from ("
        " select id, version, (select coalesce(max(archived.version), 0) from archived_flow as archived"
        " where archived.flow = flow.id) as gone from flow where id > :after and id <= :until) as whose)"
        " where version <> last or version <> steps",
        _LAST_FLOW,
    ),
    (
        "step_alone",
        _RESTORE,
        "select printf('step %d has no flow or no event', seq) from step where seq > :after and seq <= :until"
        " and (not exists (select 1 from flow where flow.id = step.flow)"
        " or not exists (select 1 from event where event.position = step.position))",
        _LAST_STEP,
    ),
    (
        "command_step",
        _REBUILD,
        "select printf('command %d is not what its step yielded', seq) from command"
        " where seq > :after and seq <= :until"
        " and not exists (select 1 from step where step.flow = command.flow and step.position = command.position"
        " and json_extract(step.effects, '$[' || command.idx || '].command') = command.type"
        " and json_extract(step.effects, '$[' || command.idx || '].id') = lower(hex(command.id)))",
        _LAST_COMMAND,
    ),
    (
        "command_missing",
        _REBUILD,
        "select printf('effect %d of step %d is a command that is not kept', effect.key, step.seq)"
        " from step cross join json_each(step.effects) as effect where step.seq > :after and step.seq <= :until"
        " and json_extract(effect.value, '$.command') is not null and not exists (select 1 from command"
        " where command.flow = step.flow and command.position = step.position and command.idx = effect.key)",
        _LAST_STEP,
    ),
    (
        "timer_step",
        _REBUILD,
        "select printf('timer %s of flow %d was not set by a step of a running flow', name, flow) from timer"
        " where flow > :after and flow <= :until and not exists (select 1 from flow as whose"
        " cross join step on step.flow = whose.id cross join json_each(step.effects) as effect"
        " where whose.id = timer.flow and whose.status not in ('ended', 'cancelled')"
        " and json_extract(effect.value, '$.timer') = timer.name"
        " and json_extract(effect.value, '$.id') = lower(hex(timer.id)))",
        "select max(flow) from timer",
    ),
    (
        "archived_rest",
        _REBUILD,
        "select printf('flow %d was archived up to version %d, and something of that is still here', flow, version)"
        " from archived_flow as gone where flow > :after and flow <= :until"
        " and (exists (select 1 from step where step.flow = gone.flow and step.version <= gone.version)"
        " or exists (select 1 from command where command.flow = gone.flow)"
        " or exists (select 1 from timer where timer.flow = gone.flow))",
        "select max(flow) from archived_flow",
    ),
    (
        "archived_count",
        _REBUILD,
        "select printf('tombstones stand for %d events and %d steps, counted were %d and %d', e, s, ce, cs)"
        " from (select"
        " (select coalesce(sum(number), 0) from event_tombstone) as e,"
        " (select coalesce(sum(number), 0) from step_tombstone) as s,"
        " (select coalesce(sum(number), 0) from archived_count where kind = 'event') as ce,"
        " (select coalesce(sum(number), 0) from archived_count where kind = 'step') as cs"
        " where :after < :until) where e <> ce or s <> cs",
        "select 1",
    ),
    (
        "delivery_alone",
        _REBUILD,
        "select printf('a delivery of event %d to flow %d has no flow, no event, or a step already', position, flow)"
        " from delivery where flow > :after and flow <= :until"
        " and (not exists (select 1 from flow as whose where whose.id = delivery.flow)"
        " or not exists (select 1 from event where event.position = delivery.position)"
        " or exists (select 1 from step where step.flow = delivery.flow and step.position = delivery.position))",
        "select max(flow) from delivery",
    ),
)
