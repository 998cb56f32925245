"""Checking a SQLite journal: both CRC chains, and what can be rebuilt against what it is rebuilt from.

In slices, each one read transaction: a check runs beside an owner and pins nothing for long.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from procession.journal.archive_folder import ArchiveFolder
from procession.journal.archive_verify import FileChecks
from procession.journal.row_crc import SEALED, SLICE_ROWS, Sealed, decoded, event_crc, step_crc
from procession.journal.rows import EventRow, Fault, StepRow
from procession.journal.snapshot_seal import is_sealed
from procession.journal.sqlite_follows import COMPARISONS, RESTORE, Keys
from procession.journal.sqlite_read import journal_id
from procession.journal.sqlite_schema import altered
from procession.journal.sqlite_write import chain_start, read_tail

_SNAPSHOTS = 200
_FLOW_MAX = (1 << 63) - 1
_FAULTS_MAX = 100
_SAVE = "restore a backup, or save all that is whole by `procession salvage`"
_MADE_ANEW = "nothing is lost: it is thrown away when its flow is loaded; look whether the disk is failing"

Slice = Callable[[sqlite3.Connection], "list[Fault] | None"]
"""Checks one slice and remembers where it stood; None once there is nothing left to check."""


def checks(folder: ArchiveFolder) -> Iterator[Slice]:
    """All checks, in order; each is called until it returns None."""
    yield _once(_check_pages)
    yield _once(_check_schema)
    yield _Chain("event", "position", EventRow._fields, event_crc).check
    yield _Chain("step", "seq", StepRow._fields, step_crc).check
    for sealed in SEALED.values():
        yield _Seals(sealed).check
    for code, cure, sql, keys in COMPARISONS:
        yield _Comparison(code, cure, sql, keys).check
    yield _Snapshots().check
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
    return [Fault("pages", text, RESTORE) for text in found if text != "ok"]


def _check_schema(connection: sqlite3.Connection) -> list[Fault] | None:
    connection.text_factory = decoded
    try:
        return [Fault("schema", f"{name} is not defined as it was", _SAVE) for name in altered(connection)]
    except sqlite3.DatabaseError as error:
        return [Fault("schema", f"can't be read: {error}", _SAVE)]
    finally:
        connection.text_factory = str


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
        connection.text_factory = decoded
        try:
            return self._check(connection)
        except sqlite3.DatabaseError as error:
            self._ended = True
            return [Fault(f"{self.table}_unreadable", f"{self.table}s after {self._after}: {error}", RESTORE)]
        finally:
            connection.text_factory = str

    def _check(self, connection: sqlite3.Connection) -> list[Fault]:
        faults: list[Fault] = []
        if self._crc is None:
            self._crc = chain_start(journal_id(connection)).event_crc
        before = self._after
        for place, last, stored, values in self._slice(connection):
            if place <= self._after:
                found = f"{self.table} {place} stands where a tombstone says that there is none"
                faults.append(Fault(f"{self.table}_tombstone", found, RESTORE))
            expected = stored if values is None else self.crc_of(values, self._crc, "surrogateescape")
            if expected != stored and len(faults) < _FAULTS_MAX:
                found = (
                    f"{self.table} {place} or what was before it is not what was written (crc {stored}, not {expected})"
                )
                faults.append(Fault(f"{self.table}_crc", found, RESTORE))
            # On with what is stored: one flipped bit is one fault, not one for each row after it.
            self._after, self._crc = max(self._after, last), stored
        if not self._ended and self._after == before:
            raise sqlite3.DatabaseError("rows stand where they do not belong")
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
        over = connection.execute(
            f"select last, crc from {self.table}_tombstone where first <= ? order by first desc limit 1", (self._after,)
        ).fetchone()
        if over is not None and over[0] > self._after:  # an owner has archived what lies before and behind this place
            yield self._after + 1, over[0], over[1], None
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
        return [Fault(f"{self.table}_tail", found, RESTORE)]


def _place_of(found: tuple[int, int, int, tuple[Any, ...] | None]) -> int:
    return found[0]


@attrs.define
class _Seals:
    """The checksum that each row of a table has of its own."""

    sealed: Sealed
    _after: int | None = -1

    def check(self, connection: sqlite3.Connection) -> list[Fault] | None:
        if self._after is None:
            return None
        code = f"{self.sealed.table}_crc"
        connection.text_factory = decoded
        try:
            rows, self._after = self.sealed.slice(connection, self._after)
        except sqlite3.DatabaseError as error:
            self._after = None
            return [Fault(code, f"can't be read: {error}", RESTORE)]
        finally:
            connection.text_factory = str
        damaged = [values for *values, crc in rows if not self.sealed.fits(tuple(values), crc)]
        return [Fault(code, f"{self._named(values)} is not what was written", _SAVE) for values in damaged]

    def _named(self, values: list[Any]) -> str:
        key = [str(values[self.sealed.fields.index(name)]) for name in self.sealed.key]
        return f"the row of {self.sealed.table} {' '.join(key)}".encode(errors="backslashreplace").decode()


@attrs.define
class _Comparison:
    """A question whose every row is a fault, asked for one slice of a table's keys after the other."""

    code: str
    cure: str
    sql: str
    """With `:after` and `:until`; its only column is the text of what was found."""
    keys: Keys | None
    """Whose keys it goes through; None: it is asked once."""
    _after: int = 0
    _ended: bool = False

    def check(self, connection: sqlite3.Connection) -> list[Fault] | None:
        if self._ended:
            return None
        try:
            until = self._until(connection)
            if until is None:
                return None
            span = {"after": self._after, "until": until}
            self._after, self._ended = until, self.keys is None
            rows: Sequence[tuple[Any, ...]] = connection.execute(self.sql, span).fetchmany(_FAULTS_MAX)
        except sqlite3.DatabaseError as error:
            self._ended = True
            return [Fault(self.code, f"can't be compared: {error}", RESTORE)]
        return [Fault(self.code, row[0], self.cure) for row in rows]

    def _until(self, connection: sqlite3.Connection) -> int | None:
        """The last key of the next slice: by keys that are there, since a damaged one may be as high as numbers go."""
        if self.keys is None:
            return 1
        table, column = self.keys.table, self.keys.column
        sql = f"select {column} as k from {table} where {column} > ? order by {column} limit ?"
        found = connection.execute(f"select max(k) from ({sql})", (self._after, SLICE_ROWS)).fetchone()[0]
        if found is not None and (type(found) is not int or found <= self._after):
            raise sqlite3.DatabaseError("rows stand where they do not belong")
        return None if found is None else int(found)


@attrs.define
class _Snapshots:
    """The checksum that each snapshot has in its fingerprint; those of before it had one are taken as they are."""

    _after: int = -1

    def check(self, connection: sqlite3.Connection) -> list[Fault] | None:
        connection.text_factory = decoded
        try:
            rows = connection.execute(
                "select flow, version, fingerprint, state from snapshot where flow > ? order by flow limit ?",
                (self._after, _SNAPSHOTS),
            ).fetchall()
        except sqlite3.DatabaseError as error:
            rows = []
            if self._after < _FLOW_MAX:
                self._after = _FLOW_MAX
                return [Fault("snapshot", f"can't be read: {error}", _MADE_ANEW)]
        finally:
            connection.text_factory = str
        if not rows:
            return None
        self._after = rows[-1][0]
        return [
            Fault("snapshot", f"the snapshot of flow {flow} is not what was written", _MADE_ANEW)
            for flow, version, fingerprint, state in rows
            if not isinstance(fingerprint, str) or not is_sealed(fingerprint, flow, version, state)
        ]
