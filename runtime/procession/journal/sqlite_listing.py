"""Listing flows of a SQLite journal: a page costs the same in a small journal and a large one, where an index can help.

Rows come in order of id, which is that of the table itself. So a question that many flows answer is read from the
table, up to its limit; one that few answer is read from an index. SQLite can't tell which it is: the names are counted,
up to a bound, before it is decided.
"""

from __future__ import annotations

import sqlite3

from procession.journal.rows import FlowQuery, FlowRow

_FEW = 5000
"""So many flows are read and sorted in a few milliseconds."""
_FLOW = ", ".join(f"flow.{name}" for name in FlowRow._fields)
_PROCESSES = (
    "with recursive named (process) as (select min(process) from flow union all"
    " select (select min(process) from flow where process > named.process) from named where named.process is not null)"
    " select process from named where process is not null"
)
"""Each process once, a step in the index each."""
_CODE_POINT_MAX = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)

Where = tuple[list[str], list[object]]


def flows(connection: sqlite3.Connection, query: FlowQuery, after_flow: int, limit: int) -> list[FlowRow]:
    """See `JournalReader.flows`."""
    where, parameters = _named(query)
    source, place, outcome = "flow not indexed", "id > ?", "+outcome = ?"
    if query.status and "ended" not in query.status:
        # Few flows at any time have not ended, and they have an index of their own.
        source, place = "flow", "status <> 'ended' and +id > ?"
        where = [f"+{condition}" for condition in where]
    elif where and _are_few(connection, where, parameters):
        source, place = "flow", "+id > ?"
    elif query.outcome is not None:
        # Its index has them in order of id: however many there are, a page of them is read and no more.
        source, outcome = "flow", "outcome = ?"
        where = [f"+{condition}" for condition in where]
    for value, condition in (
        (query.outcome, outcome),
        (query.started_before_us, "started_us < ?"),
        (query.started_after_us, "started_us > ?"),
        (query.updated_before_us, "updated_us < ?"),
        (query.updated_after_us, "updated_us > ?"),
    ):
        if value is not None:
            where.append(condition)
            parameters.append(value)
    if query.but_not:
        where.append(f"+process not in ({', '.join('?' * len(query.but_not))})")
        parameters += query.but_not
    if query.status:
        where.append(f"status in ({', '.join('?' * len(query.status))})")
        parameters += query.status
    else:
        where.append("status <> 'unstarted'")
    rows = connection.execute(
        f"select {_FLOW} from {source} where {' and '.join([*where, place])} order by id limit ?",
        (*parameters, after_flow, limit),
    )
    return list(map(FlowRow._make, rows))


def _named(query: FlowQuery) -> Where:
    """What a query says of process and key, as the index of both can answer it."""
    where: list[str] = []
    parameters: list[object] = []
    if query.process is not None:
        where.append("process = ?")
        parameters.append(query.process)
    elif query.key is not None or query.key_prefix:
        where.append(f"process in ({_PROCESSES})")
    if query.key is not None:
        where.append("key = ?")
        parameters.append(query.key)
    if query.key_prefix:
        where.append("key >= ?")
        parameters.append(query.key_prefix)
        after = _after(query.key_prefix)
        if after is not None:
            where.append("key < ?")
            parameters.append(after)
    return where, parameters


def _after(prefix: str) -> str | None:
    """The first text after all that begin like this, in the order of code points; None where there is none."""
    cut = prefix.rstrip(chr(_CODE_POINT_MAX))
    if not cut:
        return None
    following = ord(cut[-1]) + 1
    return cut[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)


def _are_few(connection: sqlite3.Connection, where: list[str], parameters: list[object]) -> bool:
    asked = f"select count(*) from (select 1 from flow where {' and '.join(where)} limit {_FEW + 1})"
    return bool(connection.execute(asked, parameters).fetchone()[0] <= _FEW)
