"""What a projector's handle may do with SQLite, and what a query may: asked when a statement is prepared."""

from __future__ import annotations

import sqlite3

import attrs

OWN_TABLE = "procession_projection"
"""Where a store keeps its position; handlers neither read nor write it."""
TABLE_FUNCTIONS = ("json_each", "json_tree")
"""Functions that give tables. SQLite declares each at its first use, which looks like `create table` to a guard: so
they are used once before it stands there."""

_IN_EVENT = "take it from the event or its envelope"
_IN_TABLES = "write it into `tables` of the class, and raise its version"
_OWN_ROWS = "a projector reads and writes the rows of its own store, nothing else"
_IMPURE_FUNCTIONS = {
    **dict.fromkeys(
        ("current_date", "current_time", "current_timestamp", "date", "datetime", "julianday", "strftime", "time"),
        ("a function of the clock", _IN_EVENT),
    ),
    **dict.fromkeys(("unixepoch", "timediff"), ("a function of the clock", _IN_EVENT)),
    **dict.fromkeys(("random", "randomblob"), ("chance", _IN_EVENT)),
    **dict.fromkeys(
        ("total_changes", "last_insert_rowid"), ("what an earlier statement did", "say `returning` in that statement")
    ),
    **dict.fromkeys(("sqlite_version", "sqlite_source_id"), ("the version of SQLite", _IN_EVENT)),
}
_SCHEMA_ACTIONS = frozenset(
    {
        sqlite3.SQLITE_ALTER_TABLE,
        sqlite3.SQLITE_ANALYZE,
        sqlite3.SQLITE_CREATE_INDEX,
        sqlite3.SQLITE_CREATE_TABLE,
        sqlite3.SQLITE_CREATE_TRIGGER,
        sqlite3.SQLITE_CREATE_VIEW,
        sqlite3.SQLITE_DROP_INDEX,
        sqlite3.SQLITE_DROP_TABLE,
        sqlite3.SQLITE_DROP_TRIGGER,
        sqlite3.SQLITE_DROP_VIEW,
        sqlite3.SQLITE_REINDEX,
    }
)
_READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
_ROWS = frozenset({*_READING, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})
_SHOWN = {
    sqlite3.SQLITE_ATTACH: "ATTACH of another file",
    sqlite3.SQLITE_DETACH: "DETACH",
    sqlite3.SQLITE_PRAGMA: "PRAGMA",
    sqlite3.SQLITE_TRANSACTION: "a transaction of its own",
    sqlite3.SQLITE_SAVEPOINT: "a savepoint of its own",
    sqlite3.SQLITE_CREATE_VTABLE: "a virtual table",
    sqlite3.SQLITE_DROP_VTABLE: "a virtual table",
}
_WRITES = {sqlite3.SQLITE_INSERT: "it writes", sqlite3.SQLITE_UPDATE: "it writes", sqlite3.SQLITE_DELETE: "it writes"}


@attrs.frozen
class Denied:
    """What a statement reached for, and what to do instead."""

    found: str
    cure: str


_OF_TABLES = Denied("a change of the store's tables", _IN_TABLES)


@attrs.define(eq=False)
class StoreGuard:
    """The authorizer of one writing connection. It is asked when a statement is prepared, so it costs nothing later."""

    own: bool = False
    """Statements of this package run: all is allowed."""
    making: bool = False
    """The projector's tables are made."""
    denied: Denied | None = None
    """What was refused last."""

    def __call__(
        self, action: int, first: str | None, second: str | None, database: str | None, through: str | None
    ) -> int:
        """SQLite's answer: SQLITE_OK, or SQLITE_DENY, which fails the statement."""
        if self.own:
            return sqlite3.SQLITE_OK
        found = self._denied(action, first, second, database)
        if found is None:
            return sqlite3.SQLITE_OK
        self.denied = found
        return sqlite3.SQLITE_DENY

    def _denied(  # noqa: PLR0911 - a table, read downwards
        self, action: int, first: str | None, second: str | None, database: str | None
    ) -> Denied | None:
        if action == sqlite3.SQLITE_FUNCTION:
            return _function(second)
        if database == "temp":
            return Denied("a temporary table, which a restart forgets", _IN_TABLES)
        if action in _ROWS:
            if first == OWN_TABLE:
                return Denied("the table in which the store keeps its position", _OWN_ROWS)
            if action in _WRITES and first in ("sqlite_master", "sqlite_schema") and not self.making:
                return _OF_TABLES
            return None
        if action in _SCHEMA_ACTIONS:
            return None if self.making else _OF_TABLES
        return Denied(_SHOWN.get(action, f"what no projector needs (SQLite's action {action})"), _OWN_ROWS)


def _function(name: str | None) -> Denied | None:
    found = _IMPURE_FUNCTIONS.get((name or "").lower())
    if found is not None:
        return Denied(f"{name}(): {found[0]}", found[1])
    if (name or "").lower() in ("load_extension", "readfile", "writefile", "edit"):
        return Denied(f"{name}(): another file", _OWN_ROWS)
    return None


@attrs.define(eq=False)
class QueryGuard:
    """The authorizer of a connection that answers queries."""

    own: bool = False
    """Statements of this package run: all is allowed."""
    denied: str = ""
    """What was refused last."""

    def __call__(
        self, action: int, first: str | None, second: str | None, database: str | None, through: str | None
    ) -> int:
        """SQLite's answer."""
        if self.own or action in _READING:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() != "load_extension":
            return sqlite3.SQLITE_OK
        self.denied = _WRITES.get(action) or f"it says {_SHOWN.get(action, 'what changes the store')}"
        return sqlite3.SQLITE_DENY
