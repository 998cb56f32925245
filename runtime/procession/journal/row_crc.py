"""The checksums of rows. How each is made is part of the format of the file.

Events and steps are never changed: theirs are a chain, each over that of the row before. Flows, commands, types and
concerns have one a row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from zlib import crc32

from procession.journal.rows import CommandRow, ConcernRow, FlowRow, TypeRow

SLICE_ROWS = 2000


def event_crc(row: tuple[Any, ...], crc: int, errors: str = "strict") -> int:
    """The CRC of an event row, over that of the row before."""
    position, id_, source, source_id, digest, type_, version, payload, keys, caused_by, correlation, at_us, trace = row
    text = f"{position} {version} {at_us} {source} {source_id} {type_} {trace} {keys} {payload}"
    crc = crc32(text.encode(errors=errors), crc32(id_, crc))
    for blob in (digest, caused_by, correlation):
        if blob is not None:
            crc = crc32(blob, crc)
    return crc


def step_crc(row: tuple[Any, ...], crc: int, errors: str = "strict") -> int:
    """The same of a step row, without its seq: that is the row's place in the chain."""
    flow, version, position, outcome, name, effects = row
    return crc32(f"{flow} {version} {position} {outcome} {name} {effects}".encode(errors=errors), crc)


# A text that is filled in with a row as it is costs a fifth less than an f-string, and these are made at every turn.
_FLOW = "%s %s %s %s %s %s %s %s %s"
_COMMAND = "%s %r %s %s %s %s %s %s %s %s %s"


def flow_crc(row: tuple[Any, ...]) -> int:
    """The CRC of a flow's row, by itself."""
    return crc32((_FLOW % row).encode())


def command_crc(row: tuple[Any, ...]) -> int:
    """The CRC of a command's row, by itself."""
    return crc32((_COMMAND % row).encode())


UNPROVED = -1
"""No checksum: that of a row which has none yet, or none that fits."""


class Sealed(NamedTuple):
    """A table each of whose rows has a checksum of its own, in a column `crc`."""

    table: str
    key: tuple[str, ...]
    fields: tuple[str, ...]
    text: str
    """What the checksum is made of, once it is filled in with the fields."""

    def crc_of(self, values: tuple[Any, ...]) -> int:
        """The checksum that fits a row, also where a text of it is no text any more."""
        return crc32((self.text % values).encode(errors="surrogateescape"))

    def fits(self, values: tuple[Any, ...], crc: object) -> bool:
        """Whether a row is as it was written; one of an older schema, which had no checksum, is taken as it is."""
        return crc is None or self.crc_of(values) == crc

    def slice(self, connection: sqlite3.Connection, after: int) -> tuple[list[tuple[Any, ...]], int | None]:
        """The next rows, each with its checksum behind the fields, and after which key to go on; None: that was all.

        A table whose key is more than a number is small, and comes whole.

        Raises:
            sqlite3.Error: something can't be read, or comes in no order.
        """
        names = f"select {', '.join(self.fields)}, crc from {self.table}"
        if len(self.key) > 1:
            return connection.execute(names).fetchall(), None
        (key,) = self.key
        asked = f"{names} where {key} > ? order by {key} limit ?"
        rows = connection.execute(asked, (after, SLICE_ROWS)).fetchall()
        if not rows:
            return rows, None
        last = rows[-1][self.fields.index(key)]
        if not isinstance(last, int) or last <= after:
            raise sqlite3.DatabaseError("rows stand where they do not belong")
        return rows, last


SEALED = {
    "flow": Sealed("flow", ("id",), FlowRow._fields, _FLOW),
    "command": Sealed("command", ("seq",), CommandRow._fields, _COMMAND),
    "type": Sealed("type", ("kind", "name", "version"), TypeRow._fields, "%s %s %s %s"),
    "concern": Sealed("concern", ("process", "type"), ConcernRow._fields, "%s %s %s"),
}


FLOW_COLUMNS = ", ".join(f"flow.{name}" for name in (*FlowRow._fields, "crc"))
"""As `flow_of` takes them."""
COMMAND_COLUMNS = ", ".join(f"command.{name}" for name in (*CommandRow._fields, "crc"))
"""As `command_of` takes them."""


NAMES = "(select coalesce(sum(crc), 0) from type) + (select coalesce(sum(crc), 0) from concern)"
"""What the owner row has in its column `names`."""


def seal(connection: sqlite3.Connection) -> dict[str, int]:
    """Give each row the checksum that fits, where it has another one, or none yet. Returns how many, by table."""
    changed: dict[str, int] = {}
    factory, connection.text_factory = connection.text_factory, decoded
    try:
        for sealed in SEALED.values():
            after: int | None = -1
            while after is not None:
                rows, after = sealed.slice(connection, after)
                changed[sealed.table] = changed.get(sealed.table, 0) + _seal(connection, sealed, rows)
        connection.execute(f"update owner set names = {NAMES}")
    finally:
        connection.text_factory = factory
    return {table: number for table, number in changed.items() if number}


def _seal(connection: sqlite3.Connection, sealed: Sealed, rows: list[tuple[Any, ...]]) -> int:
    places = [sealed.fields.index(name) for name in sealed.key]
    numbered = len(places) == 1
    # A name that is no UTF-8 can't be handed to SQLite as a text.
    where = " and ".join(f"{name} = ?" if numbered else f"cast({name} as blob) = ?" for name in sealed.key)
    wrong = [
        (crc, *(row[place] if numbered else str(row[place]).encode(errors="surrogateescape") for place in places))
        for row in rows
        if (crc := sealed.crc_of(row[:-1])) != row[-1]
    ]
    connection.executemany(f"update {sealed.table} set crc = ? where {where}", wrong)
    return len(wrong)


def decoded(content: bytes) -> str:
    """Text of SQLite as it is: a flipped bit may leave no valid UTF-8, and is to be found by a checksum."""
    return content.decode(errors="surrogateescape")


def whole(table: str, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Rows of one of the tables that are seldom read, without the checksum that each has behind it.

    Raises:
        sqlite3.DatabaseError: one is not what was written.
    """
    for *values, crc in rows:
        if not SEALED[table].fits(tuple(values), crc):
            raise sqlite3.DatabaseError(f"the row of {table} {values[0]} {values[1]} is not what was written")
        yield tuple(values)


def flow_of(found: tuple[Any, ...]) -> FlowRow:
    """The row of a flow as it was read, with its checksum behind it.

    Raises:
        sqlite3.DatabaseError: it is not what was written.
    """
    row = FlowRow._make(found[:-1])
    if found[-1] != flow_crc(row) and found[-1] is not None:
        raise sqlite3.DatabaseError(f"the row of flow {row.id}, {row.process}/{row.key}, is not what was written")
    return row


def command_of(found: tuple[Any, ...]) -> CommandRow:
    """The same of a command."""
    row = CommandRow._make(found[:-1])
    if found[-1] != command_crc(row) and found[-1] is not None:
        raise sqlite3.DatabaseError(f"the row of command {row.seq}, of flow {row.flow}, is not what was written")
    return row
