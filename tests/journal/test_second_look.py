"""A disk that fails to read once is no damage: SQLite says "malformed" of both, and is asked again."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from procession.journal import sqlite_schema
from procession.journal.sqlite import SqliteJournal, open_sqlite
from procession.journal.sqlite_reader import SqliteReader, read_sqlite
from procession.journal_errors import JournalDamaged, JournalUnwritable

Opened = Callable[[Path], Awaitable[SqliteReader]]
Question = Callable[[sqlite3.Connection], int]


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[SqliteJournal]:
    """With one connection for questions, so that two of them wait for each other."""
    journal = await open_sqlite(folder / "journal.db", clock_us=lambda: 1, readers=1)
    try:
        yield journal
    finally:
        await journal.close_clean()


def failing(times: int, code: int, error: sqlite3.Error) -> Question:
    """A question that the file answers as it does where the disk fails to read, so many times."""
    asked = 0

    def ask(connection: sqlite3.Connection) -> int:
        nonlocal asked
        asked += 1
        if asked <= times:
            error.sqlite_errorcode = code
            raise error
        found = connection.execute("select 42").fetchone()[0]
        assert isinstance(found, int)
        return found

    return ask


def malformed(times: int) -> Question:
    return failing(times, sqlite3.SQLITE_CORRUPT, sqlite3.DatabaseError("database disk image is malformed"))


async def open_to_write(path: Path) -> SqliteJournal:
    return await open_sqlite(path, clock_us=lambda: 1)


def once_malformed(prepare: Callable[..., object]) -> Callable[..., object]:
    ask = malformed(1)

    def failing_once(connection: sqlite3.Connection, path: str) -> object:
        ask(connection)
        return prepare(connection, path)

    return failing_once


async def test_what_is_malformed_once_is_answered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(tmp_path) as journal:
        assert await journal.ask(malformed(1)) == 42
    assert (
        "SQLite said 'database disk image is malformed' of the journal, and read it well the next time" in caplog.text
    )


async def test_questions_that_waited_together_are_asked_again_each_by_itself(tmp_path: Path) -> None:
    found: list[int] = []

    async def ask(question: Question) -> None:
        found.append(await journal.ask(question))

    async with opened(tmp_path) as journal, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask, malformed(1))
    assert found == [42] * 5


async def test_what_is_malformed_twice_is_damage(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        with pytest.raises(JournalDamaged, match="malformed"):
            await journal.ask(malformed(2))


async def test_an_error_that_tells_of_the_disk_is_told_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        with pytest.raises(JournalUnwritable, match="disk I/O error"):
            await journal.ask(failing(1, sqlite3.SQLITE_IOERR, sqlite3.OperationalError("disk I/O error")))


@pytest.mark.parametrize("open_", [open_to_write, read_sqlite])
async def test_a_journal_that_is_malformed_once_as_it_is_opened_is_opened(
    open_: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path):
        pass
    monkeypatch.setattr(sqlite_schema, "prepare_reader", once_malformed(sqlite_schema.prepare_reader))
    journal = await open_(tmp_path / "journal.db")
    await journal.close()
    assert "its disk failed to read" in caplog.text


@pytest.mark.parametrize("open_", [open_to_write, read_sqlite])
async def test_a_journal_that_is_malformed_twice_as_it_is_opened_is_damaged(open_: Opened, tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    content = bytearray((tmp_path / "journal.db").read_bytes())
    content[100:4096] = bytes(3996)
    (tmp_path / "journal.db").write_bytes(content)
    with pytest.raises(JournalDamaged, match="malformed"):
        await open_(tmp_path / "journal.db")
