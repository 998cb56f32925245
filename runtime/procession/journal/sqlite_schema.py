"""The file of a SQLite journal: what it must be before it is opened, its settings, its migrations."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from importlib.resources import files
from urllib.parse import quote

from procession.journal.row_crc import SEALED, seal
from procession.journal_errors import JournalTooNew, JournalUnwritable, NotAJournal

APPLICATION_ID = 0x50524F43
"""`PROC`; SQLite keeps it in the header, where `file` and everybody else finds it."""

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_ROLLBACK_MAGIC = bytes.fromhex("d9d505f920a163d7")
_ROLLBACK_BYTES = 28


def _run(script: str, connection: sqlite3.Connection) -> None:
    for statement in statements_of(script):
        connection.execute(statement)


def statements_of(script: str) -> list[str]:
    """The statements of a script one by one: `executescript` would commit the transaction that it runs in."""
    statements: list[str] = []
    pending = ""
    text = files("procession.journal").joinpath(script).read_text(encoding="utf-8")
    for line in text.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements


def _seal(connection: sqlite3.Connection) -> None:
    _run(SCRIPTS[4], connection)
    seal(connection)


SCRIPTS = ("sqlite.sql", "sqlite_2.sql", "sqlite_3.sql", "sqlite_4.sql", "sqlite_5.sql")
MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    *(partial(_run, script) for script in SCRIPTS[:4]),
    _seal,
)
"""Number n leads from schema n - 1 to n. Append only: journals out there have run the earlier ones."""

SCHEMA = len(MIGRATIONS)
_SCHEMA_SEALED = 5
"""From this one on rows of flows, commands, types and concerns have a checksum."""


_in_use: Counter[str] = Counter()


class FileUse:
    """That this process has a file open, from before it is opened until after it is closed.

    POSIX drops all locks that a process has on a file as soon as it closes any descriptor of it, SQLite's among them.
    So a plain `open` is for the first user only; `path` is free of links.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.first = not _in_use[path]
        _in_use[path] += 1
        self._released = False

    def release(self) -> None:
        """No longer open. Doing it twice is fine."""
        if not self._released:
            self._released = True
            _in_use[self._path] -= 1


def uri_of(path: str, mode: str) -> str:
    """The URI by which SQLite opens a file; `mode` is its query."""
    return f"file:{quote(os.path.abspath(path))}?{mode}"


def check_place(path: str) -> None:
    """Refuse a place where no journal can be, before anything is touched.

    Raises:
        JournalUnwritable: no such folder, or no right to write there.
        NotAJournal: what is there is no regular file.
    """
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise JournalUnwritable(path, f"there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise JournalUnwritable(path, f"the folder {folder} refuses writing")
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise JournalUnwritable(path, error.strerror or str(error)) from error
    if not stat.S_ISREG(found.st_mode):
        raise NotAJournal(path, "not a regular file")
    if not os.access(path, os.R_OK | os.W_OK):
        raise JournalUnwritable(path, "the file refuses writing")


def check_header(path: str) -> None:
    """Refuse a file that is no journal, or a newer one, by its first bytes and without SQLite: it stays untouched.

    Only by the first user of the file in this process, see `FileUse`; others leave it to `check_opened`.

    Raises:
        NotAJournal, JournalTooNew: as they say.
        JournalUnwritable: the file can't be read.
    """
    try:
        with open(path, "rb") as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return
    except OSError as error:
        raise JournalUnwritable(path, error.strerror or str(error)) from error
    if not header or _was_empty(f"{path}-journal"):
        return  # made and not yet written, or not written whole: SQLite takes it as new
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise NotAJournal(path, "not a SQLite file")
    _check(path, int.from_bytes(header[68:72], "big"), int.from_bytes(header[60:64], "big"))


def _was_empty(rollback: str) -> bool:
    """Whether a rollback journal says that its file was empty before: power was lost while the file was made.

    Its first page may be torn then, and say nothing of whose it is. Format: https://sqlite.org/fileformat.html, 3.
    """
    try:
        with open(rollback, "rb") as file:
            header = file.read(_ROLLBACK_BYTES)
    except OSError:
        return False
    return header.startswith(_ROLLBACK_MAGIC) and header[16:20] == bytes(4) and len(header) == _ROLLBACK_BYTES


def _check(path: str, application: int, schema: int) -> None:
    if application != APPLICATION_ID:
        raise NotAJournal(path, f"a SQLite file of another application, id {application}")
    if schema > SCHEMA:
        raise JournalTooNew(path, schema, SCHEMA)


def check_opened(connection: sqlite3.Connection, path: str) -> int:
    """The schema of an opened file, 0 where it is empty. Raises as `check_header` does."""
    try:
        application = _pragma(connection, "application_id")
        schema = _pragma(connection, "user_version")
        tables = connection.execute("select count(*) from sqlite_schema").fetchone()[0]
    except UnicodeDecodeError as error:  # SQLite's own message quotes the damaged name of a table
        raise sqlite3.DatabaseError("malformed database schema") from error
    if not tables and not application:
        return 0
    _check(path, application, schema)
    return schema


def prepare_owner(connection: sqlite3.Connection, path: str, synchronous: str, journal_id: bytes, now_us: int) -> None:
    """Set the owner's connection up; make or migrate the schema. A migration is one transaction."""
    schema = check_opened(connection, path)
    connection.execute(f"pragma synchronous = {synchronous}")
    if schema < SCHEMA:
        # The first schema is written without the write-ahead log, so that the header tells from the first moment
        # on whose file this is.
        connection.execute("begin immediate")
        try:
            for number in range(schema, SCHEMA):
                MIGRATIONS[number](connection)
            if schema == 0:
                connection.execute("insert into journal values (1, ?, ?)", (journal_id, now_us))
            connection.execute(f"pragma application_id = {APPLICATION_ID}")
            connection.execute(f"pragma user_version = {SCHEMA}")
            connection.execute("commit")
        finally:
            if connection.in_transaction:
                connection.execute("rollback")
    mode = connection.execute("pragma journal_mode = wal").fetchone()[0]
    if mode != "wal":
        raise JournalUnwritable(path, f"its file system allows no write-ahead log (journal mode {mode})")
    connection.execute("pragma wal_autocheckpoint = 0")
    connection.execute("pragma temp_store = memory")


def prepare_reader(connection: sqlite3.Connection, path: str) -> None:
    """Set a reading connection up; it can't write even by mistake.

    A journal of an older schema, whose owner may still be an older version, is read as it is: what it does not have
    is empty, in tables and views that only this connection sees.
    """
    connection.execute("pragma temp_store = memory")
    schema = check_opened(connection, path)
    if schema == 0:
        raise NotAJournal(path, "an empty file")
    for script in SCRIPTS[schema:]:
        for statement in statements_of(script):
            if "create table" in statement:
                connection.execute(statement.replace("create table", "create temp table", 1))
    if schema < _SCHEMA_SEALED:
        for table, column in (*((table, "crc") for table in SEALED), ("owner", "names")):
            connection.execute(f"create temp view {table} as select *, null as {column} from main.{table}")
    connection.execute("pragma query_only = on")


def altered(connection: sqlite3.Connection) -> list[str]:
    """Names of tables, indexes and triggers that are not defined as the schema of this file has them."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        for migration in MIGRATIONS[: _pragma(connection, "user_version")]:
            migration(fresh)
        differing = _definitions(fresh) ^ _definitions(connection)
    return sorted({str(name).encode(errors="backslashreplace").decode() for _, name, _, _ in differing})


def _definitions(connection: sqlite3.Connection) -> set[tuple[object, ...]]:
    # What SQLite keeps of its own, statistics for example, is none of ours.
    found = connection.execute(
        "select type, name, tbl_name, sql from main.sqlite_schema where name not like 'sqlite_stat%'"
    )
    return set(found.fetchall())


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    found = connection.execute(f"pragma {name}").fetchone()[0]
    assert isinstance(found, int)
    return found
