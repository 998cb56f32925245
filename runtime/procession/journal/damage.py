"""Where a journal is damaged: which positions, which flows; asked once `verify` has found something."""

from __future__ import annotations

import sqlite3

from procession.journal.damaged_file import DamagedFile
from procession.journal.proven_chain import Gap
from procession.journal.rows import Fault
from procession.journal.salvage_copy import gaps_of
from procession.journal.sqlite_read import journal_id

_RANGES_MAX = 10
_FLOWS_MAX = 10
_CURE = "restore a backup, or save all that is whole by `procession salvage`"

_CONCERNED = {
    "event": "select distinct flow.process, flow.key from flow join"
    " (select flow, position from step union select flow, position from delivery) as had on had.flow = flow.id"
    " where had.position between ? and ? limit ?",
    "step": "select flow.process, flow.key from flow left join (select flow, count(*) as number from step"
    " where seq not between ? and ? group by flow) as had on had.flow = flow.id"
    " where flow.version > coalesce(number, 0)"
    " and flow.id not in (select flow from archived_flow) limit ?",
}
"""Flows that handled, or wait for, an event of a range; flows that have a step in a range, or lack one."""


def named_damage(connection: sqlite3.Connection) -> list[Fault]:
    """Faults that each name one range of events or steps, and the flows that it concerns; bounded."""
    try:
        damaged = DamagedFile(connection, journal_id(connection))
    except sqlite3.Error:
        return []
    factory, connection.text_factory = connection.text_factory, _decoded
    try:
        gaps = {table: gaps_of(damaged, table) for table in ("event", "step")}
        return [fault for table, found in gaps.items() for fault in _faults(connection, table, found)]
    finally:
        connection.text_factory = factory


def _faults(connection: sqlite3.Connection, table: str, gaps: list[Gap]) -> list[Fault]:
    faults = [
        Fault(
            f"{table}_range",
            f"{table}s {gap.first} to {gap.last} are not what was written, or can't be read;"
            f" {_flows(connection, table, gap)}",
            _CURE,
        )
        for gap in gaps[:_RANGES_MAX]
    ]
    if len(gaps) > _RANGES_MAX:
        last = gaps[-1].last
        found = f"{len(gaps) - _RANGES_MAX:,} more ranges of {table}s, the last of them ends at {last}"
        faults.append(Fault(f"{table}_range", found, _CURE))
    return faults


def _flows(connection: sqlite3.Connection, table: str, gap: Gap) -> str:
    try:
        rows = connection.execute(_CONCERNED[table], (gap.first, gap.last, _FLOWS_MAX + 1)).fetchall()
    except sqlite3.Error:
        return "which flows they concern can't be read"
    if not rows:
        return "no flow that is known has a part in them"
    names = ", ".join(f"{process}/{key}" for process, key in rows[:_FLOWS_MAX])
    return f"they concern {names}{' and more' if len(rows) > _FLOWS_MAX else ''}"


def _decoded(content: bytes) -> str:
    return content.decode(errors="backslashreplace")
