"""Reading what can still be read of a damaged SQLite file: by ranges of keys, halved around what SQLite refuses.

No index is asked: a row is what its table says, or it is lost. Read from a copy, for SQLite mends a write-ahead log.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from typing import Any

import attrs

from procession.journal.head_file import Behind, lacked
from procession.journal.row_crc import decoded
from procession.journal.sqlite_read import journal_id
from procession.journal.sqlite_schema import prepare_reader, uri_of
from procession.journal_errors import JournalDamaged, JournalUnwritable

_SLICE_ROWS = 2000
_BLIND_KEYS = 2_000
"""How far behind the last readable row others are looked for, where nothing tells how many there should be."""
_KEY_MAX = (1 << 63) - 1
_PAGE_BYTES = 4096
_ROW_BYTES_MIN = 16
_HEADER_BYTES = 100
_PAGE_BYTES_MAX = 65_536
_LENGTHENED_MAX = 1_000
"""How many times longer than it is a file is taken to have been."""
_LOST_MAX = 10_000
"""Ranges of keys that are kept for one table."""


@attrs.frozen
class Source:
    """One table: which column is walked along, and in which order its rows come."""

    table: str
    columns: tuple[str, ...]
    key: str
    """An integer column that the table is ordered by; empty where it has none, and then it is read from both ends."""
    order: str


@attrs.define
class DamagedFile:
    """A copy of a journal's file that SQLite could open."""

    connection: sqlite3.Connection
    id: bytes
    """Of the journal."""
    lost: dict[str, list[tuple[int, int]]] = attrs.field(factory=dict)
    """By table, ranges of keys that could not be read; (0, 0) in a table without such keys."""
    behind: Behind | None = None
    """What it lacks of what the head file beside it says."""

    def rows(self, source: Source, until: int = 0) -> Iterator[tuple[Any, ...]]:
        """Every row that can be read, in order of its key.

        Args:
            source: of which table.
            until: a key that the last rows are at, where something tells; 0 where nothing does.
        """
        if not source.key:
            yield from self._from_both_ends(source)
            return
        after, limit = -1, _SLICE_ROWS
        while after < _KEY_MAX:
            try:
                rows = self._slice(source, after + 1, limit)
            except sqlite3.Error:
                if limit > 1:
                    limit //= 2  # up to the damage, row by row in the end
                    continue
                found, after = self._around(source, after, until)
                yield from found
                continue
            if not rows:
                return
            yield from (row[1:] for row in rows)
            after, limit = rows[-1][0], min(limit * 2, _SLICE_ROWS)

    def _slice(self, source: Source, first: int, limit: int) -> list[tuple[Any, ...]]:
        """The next rows, with all rows of each key. Raises as `_between`."""
        rows = self._between(source, first, _KEY_MAX, limit)
        if len(rows) < limit:
            return rows
        last = rows[-1][0]
        return [row for row in rows if row[0] != last] or self._between(source, last, last, -1)

    def _between(self, source: Source, first: int, last: int, limit: int) -> list[tuple[Any, ...]]:
        """Rows whose key is in a range, each led by its key.

        Raises:
            sqlite3.Error: something of it can't be read, or comes in no order.
        """
        names = ", ".join(source.columns)
        rows = self.connection.execute(
            f"select {source.key}, {names} from {source.table} not indexed"
            f" where {source.key} between ? and ? order by {source.order} limit ?",
            (first, last, limit),
        ).fetchall()
        keys = [row[0] for row in rows]
        if any(not isinstance(key, int) or not first <= key <= last for key in keys) or keys != sorted(keys):
            raise sqlite3.DatabaseError("rows stand where they do not belong")
        return rows

    def _around(self, source: Source, after: int, until: int) -> tuple[list[tuple[Any, ...]], int]:
        """What can be read between the last good row and the next readable place; and that place."""
        # What tells how far it goes may be hit itself: there are no more rows than fit into the file.
        fitting = self.connection.execute("pragma page_count").fetchone()[0] * _PAGE_BYTES // _ROW_BYTES_MIN
        step, end = 2, max(min(until, after + fitting), after + _BLIND_KEYS)
        while True:
            at = after + step
            if at > end:
                # Nothing behind it can be read: the end of the table is hit.
                return self._pieces(source, after + 1, end), _KEY_MAX
            try:
                rows = self._between(source, at, _KEY_MAX, 1)
            except sqlite3.Error:
                step *= 2
                continue
            found = self._pieces(source, after + 1, at - 1)
            return found, (at - 1 if rows else _KEY_MAX)

    def _pieces(self, source: Source, first: int, last: int) -> list[tuple[Any, ...]]:
        """The rows of a range that can't be read as a whole, found by halving it."""
        found: list[tuple[Any, ...]] = []
        todo = [(first, last)]
        while todo:
            low, high = todo.pop()
            if low > high:
                continue
            try:
                found += [row[1:] for row in self._between(source, low, high, -1)]
            except sqlite3.Error:
                if low == high:
                    self._lose(source.table, low)
                else:
                    middle = (low + high) // 2
                    todo += [(middle + 1, high), (low, middle)]
        return found

    def _from_both_ends(self, source: Source) -> Iterator[tuple[Any, ...]]:
        seen: set[tuple[Any, ...]] = set()
        for direction in ("", " desc"):
            order = ", ".join(f"{name}{direction}" for name in source.order.split(", "))
            try:
                for row in self.connection.execute(
                    f"select {', '.join(source.columns)} from {source.table} not indexed order by {order}"
                ):
                    if row not in seen:
                        seen.add(row)
                        yield row
                if not direction:
                    return
            except sqlite3.Error:
                self.lost.setdefault(source.table, [(0, 0)])

    def _lose(self, table: str, key: int) -> None:
        ranges = self.lost.setdefault(table, [])
        if ranges and ranges[-1][1] == key - 1:
            ranges[-1] = (ranges[-1][0], key)
        elif len(ranges) < _LOST_MAX:
            ranges.append((key, key))


def copy_file(path: str, folder: str) -> str:
    """Copy a journal's file and its write-ahead log into a folder. Returns the copy's path.

    What is missing at the end of the file is zeros in the copy: SQLite opens no file that is shorter than its header
    says, and refuses a page of zeros where it meets one.

    Raises:
        JournalUnwritable: one of them can't be read, or there is no room for the copy.
    """
    copy = os.path.join(folder, "copy.db")
    try:
        shutil.copyfile(path, copy)
        if os.path.exists(f"{path}-wal"):
            shutil.copyfile(f"{path}-wal", f"{copy}-wal")
        _lengthen(copy)
    except OSError as error:
        raise JournalUnwritable(path, f"it can't be copied: {error.strerror}") from error
    return copy


def _lengthen(copy: str) -> None:
    """Make a file as long as its header says. Format: https://sqlite.org/fileformat.html, 1.3."""
    with open(copy, "rb+") as file:
        header = file.read(_HEADER_BYTES)
        if len(header) < _HEADER_BYTES:
            return
        page_bytes = int.from_bytes(header[16:18], "big")
        size_bytes = int.from_bytes(header[28:32], "big") * (_PAGE_BYTES_MAX if page_bytes == 1 else page_bytes)
        # A header that was hit may name any size.
        found_bytes = file.seek(0, os.SEEK_END)
        if found_bytes < size_bytes <= found_bytes * _LENGTHENED_MAX:
            file.truncate(size_bytes)


def open_damaged(path: str, copy: str) -> DamagedFile:
    """Open a copy of a journal's file.

    Raises:
        NotAJournal, JournalTooNew: what is there is something else, or of a newer version.
        JournalDamaged: its first pages are so damaged that SQLite finds no table in it, or its id is gone.
    """
    connection = sqlite3.connect(uri_of(copy, "mode=rw"), uri=True, isolation_level=None)
    try:
        prepare_reader(connection, path)
        connection.text_factory = decoded
        id_ = journal_id(connection)
        return DamagedFile(connection, id_, behind=lacked(connection, path, id_))
    except (sqlite3.Error, TypeError, AssertionError) as error:
        connection.close()
        raise JournalDamaged(path, f"neither its tables nor its id can be found ({error})") from error
    except BaseException:
        connection.close()
        raise
