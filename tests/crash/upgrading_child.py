"""The process that brings a journal to the present schema, and is killed; with a fault planted where one is named.

    python -m tests.crash.upgrading_child FAULT JOURNAL

FAULT is `-` for none.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from functools import partial

import trio

from procession.journal import sqlite, sqlite_schema
from procession.journal.sqlite import open_sqlite
from tests.crash.planting import by_name, plant, plant_named

Migration = Callable[[sqlite3.Connection], None]


async def upgrade(path: str) -> None:
    """One life: open it, and close it in order."""
    journal = await open_sqlite(path, clock_us=lambda: 0)
    await journal.close_clean()


def _before_each(also: Migration) -> None:
    """Before each migration, in its transaction."""

    def with_more(migration: Migration, connection: sqlite3.Connection) -> None:
        also(connection)
        migration(connection)

    migrations = sqlite_schema.MIGRATIONS
    plant(sqlite_schema, "MIGRATIONS", tuple(partial(with_more, migration) for migration in migrations))


def _commit(connection: sqlite3.Connection) -> None:
    connection.execute("commit")
    connection.execute("begin immediate")


def migrates_step_by_step() -> None:
    """Each schema on the way is a transaction of its own; only the last one tells its number."""
    _before_each(_commit)


def tells_its_number_first() -> None:
    """The number of the new schema is durable before the schema is."""

    def number(connection: sqlite3.Connection) -> None:
        connection.execute(f"pragma user_version = {sqlite_schema.SCHEMA}")
        _commit(connection)

    _before_each(number)


def forgets_outcomes() -> None:
    """A migration drops which way a flow ended: what is left is sound, and gets its checksum."""

    def forget(connection: sqlite3.Connection) -> None:
        connection.execute("update flow set outcome = 'completed' where outcome is not null")

    _before_each(forget)


def writes_payloads_anew() -> None:
    """A migration writes what events say in another form of JSON."""

    def anew(connection: sqlite3.Connection) -> None:
        guard = connection.execute("select sql from sqlite_schema where name = 'event_unchanged'").fetchone()[0]
        connection.execute("drop trigger event_unchanged")
        connection.execute("update event set payload = replace(payload, '\":', '\": ')")
        connection.execute(guard)

    _before_each(anew)


def opens_newer_schemas() -> None:
    """A journal of a newer schema is opened as if it were of the present one."""
    plant(sqlite_schema, "_check", lambda *_: None)


def looks_with_what_writes() -> None:
    """What the write-ahead log has is looked at by the connection that may write, and by no other before."""

    async def never(*_: object) -> None:
        await trio.lowlevel.checkpoint()

    plant(sqlite, "look", never)


FAULTS = by_name(
    migrates_step_by_step,
    tells_its_number_first,
    forgets_outcomes,
    writes_payloads_anew,
    opens_newer_schemas,
    looks_with_what_writes,
)

if __name__ == "__main__":
    _fault, _journal = sys.argv[1:]
    plant_named(_fault, FAULTS)
    trio.run(upgrade, _journal)
