"""Counting flows by where they stand: the same from a file as from memory."""

from __future__ import annotations

from pathlib import Path

import attrs

from procession.journal.memory import MemoryJournal
from procession.journal.rows import Commit, EventRow, FlowRow, UnhandledRow
from procession.journal.sqlite import open_sqlite
from procession.journal.tally import Alerted, Tallied, Tally, read_tally
from procession.testing.journal_rows import NOW_US

FLOWS = (
    FlowRow(1, "order", "1", 0, "active", None, None, NOW_US, NOW_US + 9),
    FlowRow(2, "order", "2", 0, "active", None, None, NOW_US, NOW_US + 3),
    FlowRow(3, "order", "3", 0, "ended", "sent", None, NOW_US, NOW_US + 1),
    FlowRow(4, "batch", "4", 0, "quarantined", None, "it failed", NOW_US, NOW_US + 2),
    FlowRow(5, "batch", "5", 0, "unstarted", None, None, 0, NOW_US),
)


def alert(position: int) -> EventRow:
    identity = position.to_bytes(16, "big")
    return EventRow(position, identity, None, None, None, "alert", 1, "{}", "{}", None, None, NOW_US, None)


async def tallies(tmp_path: Path, alerts: int) -> tuple[Tally, Tally]:
    """Of the same rows, in a file and in memory."""
    file, memory = await open_sqlite(tmp_path / "journal.db", clock_us=lambda: NOW_US), MemoryJournal()
    positions = range(1, alerts + 1)
    commit = Commit(
        flows={row.id: row for row in FLOWS},
        events=[alert(position) for position in positions],
        unhandled=[
            *(UnhandledRow(position, "order", "1", "alert") for position in positions),
            UnhandledRow(1, "batch", "4", "late"),
        ],
    )
    for journal in (file, memory):
        await journal.commit(commit)
    found = await read_tally(file), await read_tally(memory)
    await file.close()
    return found


async def test_flows_are_counted_by_process_and_status_with_the_one_that_moved_longest_ago(tmp_path: Path) -> None:
    of_file, of_memory = await tallies(tmp_path, 0)
    assert of_file == of_memory
    assert of_file.flows == (
        Tallied("batch", "quarantined", 1, NOW_US + 2, "4"),
        Tallied("order", "active", 2, NOW_US + 3, "2"),
        Tallied("order", "ended", 1, None, ""),
    )


async def test_alerts_are_counted_and_the_newest_are_named(tmp_path: Path) -> None:
    of_file, of_memory = await tallies(tmp_path, 25)
    assert of_file == of_memory
    assert of_file.alerts_total == 25
    assert of_file.alerts[0] == Alerted(25, "order", "1")
    assert len(of_file.alerts) == 20
    assert attrs.evolve(of_file, alerts=(), flows=()) == Tally((), (), 25)
