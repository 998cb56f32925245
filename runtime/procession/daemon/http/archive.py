"""Archiving over HTTP: flows that ended long ago go to files beside the journal, between the runtime's commits."""

from __future__ import annotations

import datetime
from typing import Annotated

import attrs

from procession.daemon.durations import now_us
from procession.daemon.http.bounds import Said, Within
from procession.daemon.http.routes import Call, Route
from procession.daemon.questions import AGE_S_MAX
from procession.errors import ActRefused
from procession.journal.archiver import survey
from procession.journal.sqlite import SqliteJournal
from procession.journal.sqlite_archive import ArchiveQuery

_US = 1_000_000
_FLOWS_MAX = 100_000


@attrs.frozen(kw_only=True)
class ArchiveAsked:
    """Who acts and why, and which flows go."""

    by: Said
    why: Said
    older_than_s: Annotated[float, Within(0, AGE_S_MAX)]
    """They ended longer ago than this."""
    process: str | None = None
    limit: Annotated[int, Within(1, _FLOWS_MAX)] = 10_000
    """At most so many flows; asked again, it goes on."""
    dry_run: bool = False
    """Count them, and change nothing."""


@attrs.frozen
class FlowsArchived:
    """What went, or would go."""

    dry_run: bool
    flows: int
    events: int
    """None are counted where nothing goes."""
    files: int
    bytes: int


async def archive(call: Call) -> FlowsArchived:
    """Archive flows, and answer when they have gone.

    Raises:
        ActRefused: the journal is in memory, or is being archived already.
    """
    asked = call.sent(ArchiveAsked)
    if asked.dry_run:
        journal = call.runtime.journal
        if not isinstance(journal, SqliteJournal):
            raise ActRefused("archive", "the journal", "it is in memory, there is nothing to keep a file beside")
        query = ArchiveQuery(now_us() - int(asked.older_than_s * _US), asked.process)
        return FlowsArchived(
            dry_run=True, flows=(await survey(journal, query, asked.limit)).flows, events=0, files=0, bytes=0
        )
    age = datetime.timedelta(seconds=asked.older_than_s)
    done = await call.runtime.archive(
        older_than=age, by=asked.by, why=asked.why, process=asked.process, limit=asked.limit
    )
    return FlowsArchived(dry_run=False, flows=done.flows, events=done.events, files=done.files, bytes=done.bytes)


ROUTES = (
    Route(
        "POST",
        "/v1/archive",
        "operator",
        "Move flows that ended long ago to files beside the journal.",
        FlowsArchived,
        archive,
        asks=ArchiveAsked,
    ),
)
