"""Listing flows from a file: the same pages as from memory, by whatever way they are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from procession.journal.memory import MemoryJournal
from procession.journal.rows import Commit, FlowQuery, FlowRow, FlowStatus
from procession.journal.sqlite import SqliteJournal, open_sqlite
from procession.testing.journal_rows import NOW_US

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
    ]
    for query in queries:
        for after, limit in ((0, 3), (13, 50), (3500, 9), (FLOWS - 2, 9), (0, 2 * FLOWS)):
            assert await file.flows(query, after, limit) == await memory.flows(query, after, limit), query
    await file.close()
