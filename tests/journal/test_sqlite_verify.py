"""What `verify` finds in a SQLite journal: flipped bytes, lost tails, and rows that do not follow from the steps."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from procession.journal.rows import Commit
from procession.journal.sqlite import SqliteJournal, open_sqlite
from procession.journal.sqlite_reader import read_sqlite
from procession.journal_errors import JournalDamaged
from procession.testing.journal_rows import (
    NOW_US,
    command,
    command_effect,
    delivery,
    event,
    started,
    timer,
    timer_effect,
)


async def opened(path: Path, *, readers: int = 2, wal_pages_max: int = 8192) -> SqliteJournal:
    return await open_sqlite(path, clock_us=lambda: NOW_US, readers=readers, wal_pages_max=wal_pages_max)


async def made(path: Path, commits: int = 3) -> None:
    """A journal of a few flows, closed in order."""
    journal = await opened(path)
    for n in range(1, commits + 1):
        await journal.commit(full(n))
    await journal.close_clean()


def full(number: int) -> Commit:
    """A commit with a row of everything that is compared."""
    commit = started(number, 2 * number, command_effect(number, 2 * number), timer_effect(number, "overdue", 9))
    commit.events.append(event(2 * number + 1, f"k{number}"))
    commit.commands = [command(number, number, 2 * number)]
    commit.timers = {(number, "overdue"): timer(number, "overdue", 9)}
    commit.deliveries = {(number, 2 * number + 1): delivery(number, 2 * number + 1)}
    return commit


def plainly(path: Path, *statements: str) -> None:
    """Change the file behind the journal's back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def content(folder: Path) -> dict[str, bytes]:
    return {found.name: found.read_bytes() for found in folder.iterdir()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def flip(path: Path, found: bytes, other: bytes) -> None:
    whole = path.read_bytes()
    assert found in whole
    path.write_bytes(whole.replace(found, other, 1))


@pytest.mark.parametrize(
    ("found", "other", "code"),
    [
        (b'"amount_cents":500', b'"amount_cents":501', "event_crc"),
        (b'"amount_cents":500', b'"amount_cents":\xff00', "event_crc"),
        (b'"id": "2e', b'"id": "3e', "step_crc"),
    ],
)
async def test_a_flipped_byte_is_found(path: Path, found: bytes, other: bytes, code: str) -> None:
    await made(path)
    flip(path, found, other)
    reader = await read_sqlite(path)
    assert code in {fault.code for fault in await reader.verify()}
    await reader.close()


@pytest.mark.parametrize("table", ["event", "step"])
async def test_a_lost_tail_is_found(path: Path, table: str) -> None:
    await made(path)
    place = {"event": "position", "step": "seq"}[table]
    plainly(
        path,
        f"drop trigger {table}_undeleted",
        f"delete from {table} where {place} = (select max({place}) from {table})",
    )
    reader = await read_sqlite(path)
    assert f"{table}_tail" in {fault.code for fault in await reader.verify()}
    await reader.close()
    with pytest.raises(JournalDamaged):
        await opened(path)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        ("delete from delivery where flow = 2", "routing"),
        ("insert into unhandled values (2, 'order', 'k1', 'late')", "routing"),
        ("update flow set version = 5 where id = 1", "flow_version"),
        ("delete from flow where id = 3", "step_alone"),
        ("update command set type = 'other' where seq = 1", "command_step"),
        ("delete from command where seq = 1", "command_missing"),
        ("update timer set id = zeroblob(16) where flow = 1", "timer_step"),
        ("update flow set status = 'ended' where id = 1", "timer_step"),
        ("insert into delivery values (1, 2, 'pending', null, 0)", "delivery_alone"),
    ],
)
async def test_what_can_be_rebuilt_is_compared(path: Path, damage: str, code: str) -> None:
    await made(path)
    plainly(path, damage)
    reader = await read_sqlite(path)
    assert code in {fault.code for fault in await reader.verify()}
    await reader.close()


async def test_damaged_pages_are_found(path: Path) -> None:
    await made(path, 200)
    whole = bytearray(path.read_bytes())
    whole[4096 * 20 : 4096 * 21] = bytes(4096)
    path.write_bytes(bytes(whole))
    reader = await read_sqlite(path)
    assert "pages" in {fault.code for fault in await reader.verify()}
    await reader.close()


async def test_verify_ends_where_a_whole_table_is_gone(path: Path) -> None:
    await made(path)
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("select rootpage from sqlite_schema where name = 'command'").fetchone()
    whole = bytearray(path.read_bytes())
    whole[4096 * (root - 1) : 4096 * root] = bytes(4096)
    path.write_bytes(bytes(whole))
    reader = await read_sqlite(path)
    assert "command_step" in {fault.code for fault in await reader.verify()}
    await reader.close()
