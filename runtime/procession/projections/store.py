"""The store of one projection: a SQLite file, or memory. Its rows and its position are committed together."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
from collections.abc import Callable, Iterable
from typing import TypeVar

import attrs

from procession.journal.sqlite_schema import uri_of
from procession.primitives.projection import Projection, ProjectionMark
from procession.primitives.projector import Parameters, Row
from procession.projection_errors import QueryRefused, StoreRefused, StoreUnusable
from procession.projections.store_guard import OWN_TABLE, TABLE_FUNCTIONS, QueryGuard, StoreGuard

T = TypeVar("T")
APPLICATION_ID = 0x50524F4A
"""`PROJ`; SQLite keeps it in the header."""
_BUSY_S = 5.0
_CACHE_KIB = 16_384
_STATEMENTS_CACHED = 256
_INTERRUPT_EVERY = 20_000
"""Steps of SQLite's machine between two looks whether a query is still wanted: about a millisecond."""
# The comments keep these texts apart from what a handler may write: SQLite's statements are cached by their text, and
# asked for leave only when they are prepared.
_READ = "begin deferred /* procession */"
_BEGIN = "begin immediate /* procession */"
_COMMIT = "commit /* procession */"
_ROLLBACK = "rollback /* procession */"
_MEMORY = itertools.count()


@attrs.frozen
class Place:
    """How far a store has come, and what made it."""

    journal: bytes
    projector: str
    mark: ProjectionMark
    position: int
    """All events up to here are in it."""
    event_position: int
    """Of the last event that a handler took; 0 where none did."""
    event_id: bytes
    """The id of that event: a journal in which it has another one is another journal, or an older copy."""
    events: int
    """How many events handlers took."""

    @staticmethod
    def of(row: Row) -> Place:
        """What a row of the store's own table says."""
        _, journal, projector, version, shape, code, python, *progress = row
        return Place(journal, projector, ProjectionMark(version, shape, code, python), *progress)


class ProjectionStore:
    """The writing connection, for one thread at a time; what handlers get as their `Store`."""

    def __init__(self, uri: str, path: str, projector: str, rows_max: int) -> None:
        self.uri = uri
        self.path = path
        self._projector = projector
        self._rows_max = rows_max
        self._connection = sqlite3.connect(
            uri,
            uri=True,
            isolation_level=None,
            timeout=_BUSY_S,
            cached_statements=_STATEMENTS_CACHED,
            check_same_thread=False,
        )
        self._cursor = self._connection.cursor()
        self._guard = StoreGuard()

    def execute(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Run one statement of a handler; see `Store`."""
        cursor = self._cursor
        try:
            cursor.execute(sql, parameters)
            if cursor.description is None:
                return []
            rows = cursor.fetchmany(self._rows_max + 1)
        except sqlite3.DatabaseError as error:
            raise self._said(error) from error
        if len(rows) > self._rows_max:
            cursor.fetchmany(0)
            raise StoreRefused(
                self._projector, f"more than {self._rows_max} rows", "ask for fewer, or raise projectors.rows_max"
            )
        return rows

    def executemany(self, sql: str, parameters: Iterable[Parameters]) -> None:
        """Run one statement of a handler many times; see `Store`."""
        try:
            self._cursor.executemany(sql, parameters)
        except sqlite3.DatabaseError as error:
            raise self._said(error) from error

    def _said(self, error: sqlite3.DatabaseError) -> Exception:
        denied, self._guard.denied = self._guard.denied, None
        if denied is None:
            return error
        return StoreRefused(self._projector, denied.found, denied.cure)

    def make(self, projection: Projection, journal: bytes) -> Place:
        """Make the tables of a new store, and its own; all or nothing.

        Raises:
            StoreRefused: `tables` does something else than making tables, indexes, views and triggers.
            sqlite3.Error: a statement of `tables` is no SQL.
        """
        self._prepare()
        place = Place(journal, projection.name, projection.mark, 0, 0, b"", 0)
        with self.transaction():
            self._own(f"pragma application_id = {APPLICATION_ID}")
            self._own(_OWN_SCHEMA)
            mark = place.mark
            self._own(
                f"insert into {OWN_TABLE} values (1, ?, ?, ?, ?, ?, ?, 0, 0, x'', 0)",
                (journal, projection.name, mark.version, mark.shape, mark.code, mark.python),
            )
            self._guard.making = True
            try:
                for statement in projection.tables:
                    self.execute(statement)
            finally:
                self._guard.making = False
        return place

    def open(self) -> Place | None:
        """Where an existing store stands; None where its process died before it was made.

        Raises:
            StoreUnusable: it is no store of a projection, or damaged.
        """
        try:
            if self._own("pragma application_id") != [(APPLICATION_ID,)]:
                if self._own("select 1 from sqlite_schema limit 1") or self._own("pragma application_id") != [(0,)]:
                    raise StoreUnusable(self.path, "it is another kind of file", "move it away, it was not touched")
                return None
            self._prepare()
            return self.place()
        except sqlite3.DatabaseError as error:
            raise StoreUnusable(
                self.path, str(error), "remove it: it is made again from the journal at the next start"
            ) from error

    def place(self) -> Place:
        """Where it stands."""
        return Place.of(self._own(f"select * from {OWN_TABLE}")[0])

    def adopt(self, mark: ProjectionMark) -> None:
        """Another Python compiles the same projector otherwise: note how."""
        with self.transaction():
            self._own(f"update {OWN_TABLE} set code = ?, python = ?", (mark.code, mark.python))

    def transaction(self) -> _Transaction:
        """A transaction of this package; commits, or rolls back where something is raised."""
        return _Transaction(self)

    def begin(self) -> None:
        """Begin to fold: from here on handlers may use the store."""
        self._own(_BEGIN)

    def commit(self, position: int, event_position: int, event_id: bytes, events: int) -> None:
        """What was folded, and how far it goes, in one transaction."""
        self._own(
            f"update {OWN_TABLE} set position = ?, event_position = ?, event_id = ?, events = ?",
            (position, event_position, event_id, events),
        )
        self._own(_COMMIT)

    def rollback(self) -> None:
        """Nothing of it happened."""
        if self._connection.in_transaction:
            self._own(_ROLLBACK)

    def settle(self) -> None:
        """Fold its write-ahead log back, so that its one file is all of it.

        Raises:
            StoreUnusable: somebody reads it for long; nothing is lost.
        """
        ((busy, _, _),) = self._own("pragma wal_checkpoint(truncate)")
        if busy:
            raise StoreUnusable(self.path, f"somebody has been reading it for {_BUSY_S:g} s", "end that, and try again")

    def close(self) -> None:
        """Release it. The last one to close a file folds its write-ahead log back."""
        with contextlib.suppress(sqlite3.ProgrammingError):  # it was closed before
            self._cursor.close()  # after `executemany` Python 3.11 keeps its statement, and with it SQLite the file
        self._connection.close()

    def _prepare(self) -> None:
        for pragma in ("journal_mode = wal", "synchronous = normal", "temp_store = memory", "trusted_schema = off"):
            self._own(f"pragma {pragma}")
        self._own(f"pragma cache_size = -{_CACHE_KIB}")
        for function in TABLE_FUNCTIONS:
            self._own(f"select 1 from {function}('[]')")
        self._connection.set_authorizer(self._guard)

    def _own(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        self._guard.own = True
        try:
            rows: list[Row] = self._connection.execute(sql, parameters).fetchall()
        finally:
            self._guard.own = False
        return rows


class _Transaction:
    def __init__(self, store: ProjectionStore) -> None:
        self._store = store

    def __enter__(self) -> None:
        self._store.begin()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._store._own(_COMMIT)  # noqa: SLF001 - of this module
        else:
            self._store.rollback()


class QueryConnection:
    """A connection that only reads, for one thread at a time."""

    def __init__(self, uri: str, projector: str, rows_max: int) -> None:
        self._projector = projector
        self._rows_max = rows_max
        self._connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, timeout=_BUSY_S, check_same_thread=False
        )
        self._connection.execute("pragma query_only = on")
        for function in TABLE_FUNCTIONS:
            self._connection.execute(f"select 1 from {function}('[]')")
        self._guard = QueryGuard()
        self._connection.set_authorizer(self._guard)

    def ask(self, question: Callable[[QueryConnection], T], wanted: Callable[[], bool]) -> T:
        """Answer in one read transaction; given up where nobody wants it any more.

        Raises:
            QueryRefused: it writes, or is no SQL for these tables, or has too many rows.
        """
        self._connection.set_progress_handler(lambda: not wanted(), _INTERRUPT_EVERY)
        self._own(_READ)
        try:
            return question(self)
        finally:
            self._connection.set_progress_handler(None, 0)
            self._own(_ROLLBACK)

    def execute(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """The rows of one statement."""
        try:
            cursor = self._connection.execute(sql, parameters)
            rows: list[Row] = cursor.fetchmany(self._rows_max + 1)
            cursor.close()
        except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:  # the last: an int of more than 64 bits
            denied, self._guard.denied = self._guard.denied, ""
            raise QueryRefused(self._projector, denied or str(error)) from error
        if len(rows) > self._rows_max:
            raise QueryRefused(
                self._projector, f"it has more than {self._rows_max} rows; say `limit`, or raise projectors.rows_max"
            )
        return rows

    def _own(self, sql: str) -> None:
        self._guard.own = True
        try:
            self._connection.execute(sql)
        finally:
            self._guard.own = False

    def close(self) -> None:
        """Release it."""
        self._connection.close()


def file_uri(path: str, mode: str) -> str:
    """The URI of a store's file."""
    return uri_of(path, f"mode={mode}")


def memory_uri() -> str:
    """The URI of a store in memory, of its own; several connections of this process may open it."""
    return f"file:/procession-{os.getpid()}-{next(_MEMORY)}?vfs=memdb"


_OWN_SCHEMA = f"""create table {OWN_TABLE} (
    only integer primary key check (only = 1),
    journal blob not null,
    projector text not null,
    version integer not null,
    shape text not null,
    code text not null,
    python text not null,
    position integer not null,
    event_position integer not null,
    event_id blob not null,
    events integer not null
) strict"""
