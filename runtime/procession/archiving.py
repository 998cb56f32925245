"""Archiving while the runtime works: in small slices between its commits."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable

from procession.engine.engine import Engine
from procession.errors import ActRefused
from procession.journal.archived import Archived
from procession.journal.archiver import Archiver
from procession.journal.sqlite import SqliteJournal
from procession.journal.sqlite_archive import ArchiveQuery, ArchiveRow
from procession.primitives.event import Event, JournalArchived

_SLICE_S = 0.01
"""How long archiving may hold up a commit, about; and how long commits then have the journal for themselves."""
_PAUSE_S = 0.02


async def archive_beside(
    engine: Engine,
    record: Callable[[Event], Awaitable[None]],
    older_than: datetime.timedelta,
    process: str | None,
    flows_max: int | None,
    *,
    by: str,
    why: str,
) -> Archived:
    """Archive flows that ended longer ago; `record` journals each file that is made. Raises as `Runtime.archive`."""
    journal = engine.lasting.journal
    if not isinstance(journal, SqliteJournal):
        raise ActRefused("archive", "the journal", "it is in memory, there is nothing to keep a file beside")

    async def log(row: ArchiveRow) -> None:
        await record(JournalArchived(row.number, row.flows, row.events, by, why))

    now_us = engine.clock.now_us()
    archiver = Archiver(journal, now_us, slice_s=_SLICE_S, pause_s=_PAUSE_S, before_slice=engine.running, log=log)
    query = ArchiveQuery(now_us - older_than // datetime.timedelta(microseconds=1), process)
    return await archiver.run(query, flows_max=flows_max)
