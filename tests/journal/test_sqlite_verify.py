"""What `verify` finds in a SQLite journal: flipped bytes, lost tails, and rows that do not follow from the steps."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import get_args

import pytest

from procession.engine.solo import MARKS_MAX as SOLO_MARKS_MAX
from procession.journal.rows import (
    CommandState,
    Commit,
    ConcernRow,
    DeliveryState,
    FlowStatus,
    TypeRow,
    UnhandledReason,
)
from procession.journal.sqlite import SqliteJournal, open_sqlite
from procession.journal.sqlite_follows import MARKS_MAX
from procession.journal.sqlite_reader import read_sqlite
from procession.journal_errors import JournalDamaged
from procession.testing.journal_rows import (
    NOW_US,
    PROCESS,
    change,
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
        ("insert into delivery values (2111012845446182, 2, 'pending', null, 0)", "delivery_alone"),
        ("update timer set due_us = 8 where flow = 1", "timer_step"),
        ("update timer set payload = '{\"a\":1}' where flow = 1", "timer_step"),
        ("update timer set correlation = zeroblob(16) where flow = 1", "timer_step"),
        ("update flow set started_us = started_us + 1 where id = 1", "flow_start"),
        ("update flow set status = 'actiwe' where id = 1", "flow_row"),
        ("update flow set reason = 'why' where id = 1", "flow_row"),
        ("update flow set updated_us = -1 where id = 1", "flow_row"),
        ("update command set state = 'opan' where seq = 1", "command_row"),
        ("update command set attempts = 64 where seq = 1", "command_row"),
        ("update command set log = '[' where seq = 1", "command_row"),
        ("update delivery set state = 'panding' where flow = 1", "delivery_row"),
        ("update delivery set marked = 16 where flow = 1", "delivery_row"),
        ("insert into unhandled values (2, 'bill', 'k1', 'lbte')", "unhandled_row"),
        ("insert into type values ('event', 'order.paie', 1, '{}', 0)", "type_missing"),
        ("insert into snapshot values (1, 1, 'abc.00000000', '{}')", "snapshot"),
    ],
)
async def test_what_can_be_rebuilt_is_compared(path: Path, damage: str, code: str) -> None:
    await made(path)
    plainly(path, damage)
    reader = await read_sqlite(path)
    assert code in {fault.code for fault in await reader.verify()}
    await reader.close()


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        ("update flow set updated_us = updated_us + 1 where id = 1", "flow_crc"),
        ("update flow set reason = 'whz', status = 'quarantined' where id = 1", "flow_crc"),
        ("update command set due_us = due_us + 1 where seq = 1", "command_crc"),
        ("update command set gateway = 'bbnk' where seq = 1", "command_crc"),
        ("update command set attempts = attempts + 1 where seq = 1", "command_crc"),
        ("update command set log = '[]' where seq = 1", "command_crc"),
        ("update command set crc = crc + 1 where seq = 1", "command_crc"),
        ("update type set shape = '[]'", "type_crc"),
        ("update concern set since = since + 1", "concern_crc"),
        ("delete from type", "names"),
        ("delete from concern", "names"),
        ("drop trigger event_undeleted", "schema"),
        ("drop index flow_outcome", "schema"),
        ("alter table timer rename column version to verSion", "schema"),
    ],
)
async def test_what_nothing_else_tells_again_has_a_checksum(path: Path, damage: str, code: str) -> None:
    await made(path)
    journal = await opened(path)
    named = Commit(types=[TypeRow("bank.asked", 1, "refusal", "{}")], concerns=[ConcernRow(PROCESS, "order.paid", 0)])
    await journal.commit(named)
    assert await journal.verify() == []
    await journal.close_clean()
    plainly(path, damage)
    reader = await read_sqlite(path)
    assert code in {fault.code for fault in await reader.verify()}
    await reader.close()


async def test_a_row_that_was_damaged_is_not_served(path: Path) -> None:
    await made(path)
    plainly(path, "update flow set updated_us = updated_us + 1 where id = 1", "update command set due_us = 7")
    reader = await read_sqlite(path)
    asked: list[Callable[[], Awaitable[object]]] = [
        partial(reader.load, PROCESS, "k1", 9),
        partial(reader.load_many, [(PROCESS, "k1")], 9),
        partial(reader.look_up, [], [(PROCESS, "k1")]),
        partial(reader.timers, (0, 0, ""), 9),
        partial(reader.commands, 1, 0, 9),
        partial(reader.open_commands, "bank", 99, 9),
    ]
    for ask in asked:
        with pytest.raises(JournalDamaged, match="is not what was written"):
            await ask()
    await reader.close()


async def test_a_change_of_a_command_makes_no_damage_good(path: Path) -> None:
    await made(path)
    plainly(path, "update command set gateway = 'bbnk' where seq = 1")
    journal = await opened(path)
    await journal.commit(Commit(command_changes=[change(command(1, 1, 1), "answered")]))
    assert "command_crc" in {fault.code for fault in await journal.verify()}
    await journal.close()


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


async def test_a_deadline_that_its_flow_has_cancelled_since_is_found(path: Path) -> None:
    journal = await opened(path)
    commit = started(1, 2, timer_effect(1, "overdue", 9), {"cancel": "overdue"})
    await journal.commit(commit)
    await journal.close_clean()
    plainly(path, "insert into timer values (1, 'overdue', x'" + timer(1, "overdue", 9).id.hex() + "', 9,"
            " 'order.overdue', 3, '{}', null)")  # fmt: skip
    reader = await read_sqlite(path)
    assert [fault.code for fault in await reader.verify()] == ["timer_step"]
    await reader.close()


async def test_a_fired_deadline_that_waits_keeps_the_name_of_its_timer(path: Path) -> None:
    journal = await opened(path)
    await journal.commit(started(1, 2, timer_effect(1, "overdue", 9)))
    fired = event(3, "k1")._replace(caused_by=timer(1, "overdue", 9).id)
    await journal.commit(Commit(events=[fired], deliveries={(1, 3): delivery(1, 3, timer="overdue")}))
    assert await journal.verify() == []
    await journal.close_clean()
    plainly(path, "update delivery set timer = 'overdte'")
    reader = await read_sqlite(path)
    assert [fault.code for fault in await reader.verify()] == ["delivery_row"]
    await reader.close()


def test_no_bit_makes_one_word_of_another() -> None:
    kinds = (FlowStatus, CommandState, DeliveryState, UnhandledReason)
    pairs = [(one, other) for kind in kinds for one in get_args(kind) for other in get_args(kind) if one != other]
    assert [pair for pair in pairs if _bits_between(*pair) < 2] == []


def _bits_between(one: str, other: str) -> int:
    differing = sum((a ^ b).bit_count() for a, b in zip(one.encode(), other.encode(), strict=False))
    return differing + 8 * abs(len(one) - len(other))


def test_a_delivery_may_be_marked_as_often_as_a_careful_start_marks_it() -> None:
    assert MARKS_MAX == SOLO_MARKS_MAX


async def test_a_journal_whose_id_can_not_be_read_is_damaged(path: Path) -> None:
    await made(path)
    plainly(path, "delete from journal")
    with pytest.raises(JournalDamaged, match="id can't be read"):
        await read_sqlite(path)
