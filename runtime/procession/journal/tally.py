"""How many flows stand where, and which alerts there are: what a dashboard shows, read from any journal."""

from __future__ import annotations

import sqlite3

import attrs

from procession.journal.journal import JournalReader
from procession.journal.rows import FlowQuery, FlowStatus

_ALERTS_SHOWN = 20
_PAGE = 1_000
_UNHANDLED_MAX = 100_000
_STATUSES: tuple[FlowStatus, ...] = ("active", "quarantined", "ended", "cancelled")


@attrs.frozen
class Tallied:
    """Flows, or aggregates, of one name and one status."""

    process: str
    status: FlowStatus
    number: int
    oldest_us: int | None
    """When the one that has not moved for longest moved last; None of those that ended."""
    oldest_key: str


@attrs.frozen
class Alerted:
    """A flow for which an invariant was found broken."""

    position: int
    """Of the alert."""
    process: str
    key: str


@attrs.frozen
class Tally:
    """All of it at one moment."""

    flows: tuple[Tallied, ...]
    """In order of name and status. Flows that only wait for their start are left out."""
    alerts: tuple[Alerted, ...]
    """The newest of them."""
    alerts_total: int


async def read_tally(reader: JournalReader) -> Tally:
    """Count. Reads the whole table of flows: ask seldom where there are many."""
    # Only a journal in a file knows SQL; whoever has one has loaded its module.
    from procession.journal.sqlite_reader import SqliteReader  # noqa: PLC0415

    if isinstance(reader, SqliteReader):
        return await reader.ask(_counted)
    return await _paged(reader)


def _counted(connection: sqlite3.Connection) -> Tally:
    # Few flows at any time have not ended, and they have an index. All of them are counted in the index of their keys,
    # in its order, which takes less than half of sorting their rows (0.35 s of a million, in place of 0.85).
    # With min(), SQLite takes the other columns from the row that holds the least.
    going = connection.execute(
        "select process, status, count(*), min(updated_us), key from flow where status <> 'ended'"
        " group by process, status"
    ).fetchall()
    ended = dict(connection.execute("select process, count(*) from flow group by process").fetchall())
    for process, _, number, _, _ in going:
        ended[process] -= number
    rows = [Tallied(*row) for row in going if row[1] != "unstarted"]
    rows += [Tallied(process, "ended", number, None, "") for process, number in ended.items() if number]
    found = tuple(sorted(rows, key=lambda one: (one.process, one.status)))
    alerts = connection.execute(
        "select position, process, key from unhandled where reason = 'alert' order by position desc limit ?",
        (_ALERTS_SHOWN,),
    )
    shown = tuple(Alerted(*row) for row in alerts)
    total = len(shown)
    if total == _ALERTS_SHOWN:
        total = connection.execute("select count(*) from unhandled where reason = 'alert'").fetchone()[0]
    return Tally(found, shown, total)


async def _paged(reader: JournalReader) -> Tally:
    found: dict[tuple[str, FlowStatus], Tallied] = {}
    page = await reader.flows(FlowQuery(status=_STATUSES), 0, _PAGE)
    while page:
        for row in page:
            name = (row.process, row.status)
            known = found.get(name) or Tallied(*name, 0, row.updated_us, row.key)
            known = attrs.evolve(known, number=known.number + 1)
            if row.status == "ended":
                known = attrs.evolve(known, oldest_us=None, oldest_key="")
            elif known.oldest_us is None or row.updated_us < known.oldest_us:
                known = attrs.evolve(known, oldest_us=row.updated_us, oldest_key=row.key)
            found[name] = known
        page = await reader.flows(FlowQuery(status=_STATUSES), page[-1].id, _PAGE)
    alerts = [
        Alerted(row.position, row.process, row.key)
        for row in await reader.unhandled(None, None, 0, _UNHANDLED_MAX)
        if row.reason == "alert"
    ]
    newest = tuple(reversed(alerts[-_ALERTS_SHOWN:]))
    return Tally(tuple(found[name] for name in sorted(found)), newest, len(alerts))
