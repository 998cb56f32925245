"""Small journals to archive from, and all that must read the same afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from procession.journal.archived import Archived
from procession.journal.archiver import Archiver
from procession.journal.journal import JournalReader
from procession.journal.rows import Commit, EventRow, FlowQuery, FlowRow, StepRow, UnhandledRow
from procession.journal.sqlite import SqliteJournal, open_sqlite
from procession.journal.sqlite_archive import ArchiveQuery
from procession.testing.journal_rows import (
    NOW_US,
    PROCESS,
    change,
    command,
    command_effect,
    event,
    flow,
    id_of,
    started,
    step,
)

LONG_AGO = ArchiveQuery(NOW_US + 1_000_000)
"""By which all that has ended is old."""


async def opened(path: Path) -> SqliteJournal:
    return await open_sqlite(path, clock_us=lambda: NOW_US)


def whole(number: int) -> Commit:
    """A flow from start to end in one commit: two events, two steps, a command that was answered, and a late event."""
    first = 3 * number - 2
    commit = started(number, first, command_effect(number, first))
    commit.commands = [command(number, number, first)]
    commit.command_changes = [change(commit.commands[0], "answered", 1)]
    commit.events += [event(first + 1, f"k{number}"), event(first + 2, f"k{number}", source_id=f"late{number}")]
    commit.steps.append(step(number, 2, first + 1))
    commit.unhandled = [UnhandledRow(first + 2, PROCESS, f"k{number}", "late")]
    commit.flows = {number: flow(number, 2, status="ended")}
    return commit


async def made(path: Path, flows: int = 3) -> SqliteJournal:
    """An owned journal of so many flows that have ended."""
    journal = await opened(path)
    for number in range(1, flows + 1):
        await journal.commit(whole(number))
    return journal


async def archive(journal: SqliteJournal, query: ArchiveQuery = LONG_AGO, **options: Any) -> Archived:  # noqa: ANN401 - as Archiver has them
    flows_max = options.pop("flows_max", None)
    return await Archiver(journal, NOW_US, **options).run(query, flows_max=flows_max)


async def everything(journal: JournalReader) -> dict[str, Any]:
    """All that readers ask for, of every flow and of the whole."""
    rows = await journal.flows(FlowQuery(status=("unstarted", "active", "quarantined", "ended", "cancelled")), 0, 999)
    return {
        "flows": rows,
        "steps": {row.id: await journal.steps(row.id, 0, 99) for row in rows},
        "later steps": {row.id: await journal.steps(row.id, 1, 1) for row in rows},
        "steps of several": await journal.steps_of([row.id for row in rows], 1, 999),
        "commands": {row.id: await journal.commands(row.id, 0, 99) for row in rows},
        "unhandled": await journal.unhandled(None, None, 0, 999),
        "events": await journal.events(0, 999),
        "pages": [await journal.events(after, 2) for after in range(12)],
        "some": await journal.events(0, 2, ("order.paid",), 5),
        "none": await journal.events(0, 99, ("order.never",)),
        "counts": await journal.counts(),
        "heads": (await journal.heads())[:3],
    }


def shared(position: int, *keys: str) -> EventRow:
    """An event for several flows."""
    return event(position)._replace(id=id_of("e", position), keys=json.dumps({PROCESS: list(keys)}))


def ending(position: int, *numbers: int, version: int = 1) -> Commit:
    """An event that several flows handle, and end with."""
    return Commit(
        events=[shared(position, *(f"k{number}" for number in numbers))],
        steps=[StepRow(number, version, position, "handled", "paid", None) for number in numbers],
        flows={number: _ended(number, version) for number in numbers},
    )


def _ended(number: int, version: int) -> FlowRow:
    return flow(number, version, status="ended")
