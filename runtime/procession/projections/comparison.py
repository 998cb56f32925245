"""Two stores of one projection, compared row by row: what law 5 promises can be looked at."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import zip_longest

import attrs

from procession.projections.folder import StoreFile
from procession.projections.store import file_uri
from procession.projections.store_guard import OWN_TABLE

AnyRow = tuple[object, ...]


@attrs.frozen
class Difference:
    """A table that a rebuild makes otherwise."""

    table: str
    rows: int
    """Rows that only one of both has."""
    example: str


def reading(file: StoreFile) -> sqlite3.Connection:
    """A connection that only reads, in one transaction from its first read on; for threads one after another."""
    uri = file_uri(file.path, "ro") if file.path else file.uri
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute("begin")
    return connection


def compared(live: sqlite3.Connection, anew: sqlite3.Connection) -> list[Difference]:
    """Tables that differ, and how; both connections may be used in the thread that calls."""
    tables = "select name, sql from sqlite_schema where type = 'table' and name not like 'sqlite~_%' escape '~'"
    made = {name: sql for name, sql in live.execute(tables) if name != OWN_TABLE}
    expected = {name: sql for name, sql in anew.execute(tables) if name != OWN_TABLE}
    found = [
        Difference(name, 1, "its definition is another one")
        for name in sorted({*made, *expected})
        if made.get(name) != expected.get(name)
    ]
    for name in sorted({*made} & {*expected}):
        found += _differences(name, _rows(live, name), _rows(anew, name))
    return found


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[AnyRow]:
    quoted = '"' + table.replace('"', '""') + '"'
    columns = len(connection.execute(f"select * from {quoted} limit 0").description)
    order = ", ".join(str(column + 1) for column in range(columns))
    return iter(connection.execute(f"select * from {quoted} order by {order}"))


def _differences(table: str, live: Iterator[AnyRow], anew: Iterator[AnyRow]) -> list[Difference]:
    rows, example = 0, ""
    for one, other in zip_longest(live, anew):
        if one != other:
            rows += 1
            example = example or f"it has {one!r:.100}, a rebuild makes {other!r:.100}"
    return [Difference(table, rows, example)] if rows else []
