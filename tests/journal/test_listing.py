"""Listing flows from a file: the same pages as from memory, by whatever way they are found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from procession.journal import sqlite_listing
from procession.journal.flow_match import Match
from procession.journal.memory import MemoryJournal
from procession.journal.row_crc import SEALED
from procession.journal.rows import Commit, FlowQuery, FlowRow, FlowStatus
from procession.journal.sqlite import SqliteJournal, open_sqlite
from procession.journal.sqlite_reader import read_sqlite
from procession.testing.journal_rows import NOW_US
from tests.journal.archiving import archive

FLOWS = 7000
"""More than are read from an index and sorted."""
_STATUSES: tuple[FlowStatus, ...] = ("ended", "ended", "active", "ended", "cancelled", "ended", "unstarted", "ended")


def row(number: int) -> FlowRow:
    status = _STATUSES[number % len(_STATUSES)] if number % 1000 else "quarantined"
    outcome = "rare" if number == 6500 else "done" if status in ("ended", "cancelled") else None
    process = "rare" if number % 500 == 0 else "order"
    key = f"ключ{number}" if number % 7 == 0 else f"{number:05}"
    return FlowRow(number, process, key, 0, status, outcome, None, NOW_US + number, NOW_US + number)


@pytest.fixture
async def journals(tmp_path: Path) -> tuple[SqliteJournal, MemoryJournal]:
    file = await open_sqlite(tmp_path / "journal.db", clock_us=lambda: NOW_US)
    memory = MemoryJournal()
    for journal in (file, memory):
        for first in range(1, FLOWS + 1, 1000):
            await journal.commit(Commit(flows={number: row(number) for number in range(first, first + 1000)}))
    return file, memory


async def test_every_filter_finds_the_same_pages(journals: tuple[SqliteJournal, MemoryJournal]) -> None:
    file, memory = journals
    queries = [
        FlowQuery(),
        FlowQuery(process="order"),
        FlowQuery(process="rare"),
        FlowQuery(process="never"),
        FlowQuery(status=("active",)),
        FlowQuery(status=("quarantined", "cancelled")),
        FlowQuery(status=("quarantined", "ended")),
        FlowQuery(status=("unstarted",), process="order", key_prefix="0"),
        FlowQuery(outcome="rare"),
        FlowQuery(outcome="done"),
        FlowQuery(outcome="never"),
        FlowQuery(outcome="rare", process="order", status=("ended",)),
        FlowQuery(outcome="done", status=("cancelled",)),
        FlowQuery(outcome="done", key_prefix="ключ7"),
        FlowQuery(key="00123"),
        FlowQuery(key="ключ700", process="order"),
        FlowQuery(key_prefix="0"),
        FlowQuery(key_prefix="006"),
        FlowQuery(key_prefix="ключ7"),
        FlowQuery(key_prefix="\U0010ffff"),
        FlowQuery(key_prefix="0\ud7ff"),
        FlowQuery(key_prefix="", process="rare", outcome="done"),
        FlowQuery(started_before_us=NOW_US + 30, started_after_us=NOW_US + 10),
        FlowQuery(process="order", updated_before_us=NOW_US + 50, status=("ended",)),
        FlowQuery(matches=(Match("process", prefixes=("r", "z")),)),
        FlowQuery(matches=(Match("process", exact=("rare",), negated=True),), status=("active", "quarantined")),
        FlowQuery(matches=(Match("outcome", prefixes=("d",), exact=("rare",)),)),
        FlowQuery(matches=(Match("outcome", exact=("done",), negated=True), Match("key", prefixes=("00", "ключ")))),
        FlowQuery(matches=(Match("key", exact=("00123", "00124")), Match("process", exact=("order", "rare")))),
    ]
    for query in queries:
        for after, limit in ((0, 3), (13, 50), (3500, 9), (FLOWS - 2, 9), (0, 2 * FLOWS)):
            assert await file.flows(query, after, limit) == await memory.flows(query, after, limit), query
            for newest_first in (False, True):
                asked = (query, after, limit, 2 * FLOWS)
                found = (await file.search(*asked, newest_first=newest_first)).rows
                assert found == (await memory.search(*asked, newest_first=newest_first)).rows, query
        assert await file.count(query, 500, 2 * FLOWS) == await memory.count(query, 500, 2 * FLOWS), query
    await file.close()


PAGE_STEPS_MAX = 600
"""Of SQLite's machine, for a page of nine by an index; reading all flows takes about 40,000."""


def steps_of(path: str, query: FlowQuery) -> int:
    """How many steps of SQLite's machine the first page of nine takes."""
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    with closing(sqlite3.connect(path)) as connection:
        connection.set_progress_handler(count, 1)
        sqlite_listing.flows(connection, query, 0, 9)
    return steps


@pytest.mark.parametrize("outcome", ["rare", "done", "never"])
async def test_a_page_of_any_outcome_is_found_without_reading_the_others(
    journals: tuple[SqliteJournal, MemoryJournal], outcome: str
) -> None:
    file, _ = journals
    await file.close()
    assert steps_of(file.path, FlowQuery(outcome=outcome)) < PAGE_STEPS_MAX
    assert steps_of(file.path, FlowQuery(outcome=outcome, status=("ended",))) < PAGE_STEPS_MAX


async def test_a_rare_outcome_of_archived_flows_is_found_as_quickly(
    journals: tuple[SqliteJournal, MemoryJournal],
) -> None:
    file, memory = journals
    gone = await archive(file)
    found = await file.flows(FlowQuery(outcome="rare"), 0, 9)
    await file.close()
    assert gone.flows > FLOWS // 2
    assert found == await memory.flows(FlowQuery(outcome="rare"), 0, 9)
    assert steps_of(file.path, FlowQuery(outcome="rare")) < PAGE_STEPS_MAX


async def test_a_journal_of_schema_2_lists_outcomes_before_it_is_migrated_and_quickly_after(
    journals: tuple[SqliteJournal, MemoryJournal],
) -> None:
    file, memory = journals
    await file.close()
    rare = FlowQuery(outcome="rare")
    with closing(sqlite3.connect(file.path)) as connection:
        connection.execute("drop index flow_outcome")
        for table in SEALED:
            connection.execute(f"alter table {table} drop column crc")
        connection.execute("alter table owner drop column names")
        connection.execute("drop index event_pause")
        connection.execute("pragma user_version = 2")
    reader = await read_sqlite(file.path)
    assert await reader.flows(rare, 0, 9) == await memory.flows(rare, 0, 9)
    await reader.close()
    assert steps_of(file.path, rare) > PAGE_STEPS_MAX

    migrated = await open_sqlite(file.path, clock_us=lambda: NOW_US)
    assert await migrated.flows(rare, 0, 9) == await memory.flows(rare, 0, 9)
    await migrated.close()
    assert steps_of(file.path, rare) < PAGE_STEPS_MAX
