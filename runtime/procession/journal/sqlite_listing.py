"""Listing flows of a SQLite journal: a page costs the same in a small journal and a large one, where an index can help.

Rows come in order of id, which is that of the table itself. What a search names decides where they are looked for, in
this order: by key, by status, by process, by outcome, else in the table. An index on status or outcome has its flows in
order of id; one on process and key has not, so the ids are sorted, where they are few. What the index does not tell is
asked of each row, of so many rows at most as whoever asks allows.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

import attrs

from procession.journal.flow_match import Match
from procession.journal.found import Counted, FlowNames, FoundFlows, StageCount, StageCounts
from procession.journal.listing_terms import STAGE, Where, begins, matches_of, status_stream, where_of
from procession.journal.rows import FlowQuery, FlowRow, FlowStatus

_SORTED_MAX = 50_000
"""So many ids, from the index of process and key alone, are sorted in twenty milliseconds."""
_IDS_AT_ONCE = 200
_NAMES_MAX = 500
"""Processes and outcomes; where there are more, they are compared row by row."""
_LIVE: tuple[FlowStatus, ...] = ("active", "quarantined", "unstarted")
_FLOW = ", ".join(f"flow.{name}" for name in FlowRow._fields)
_PROCESSES = (
    "with recursive named (name) as (select min(process) from flow union all"
    " select (select min(process) from flow where process > named.name) from named where named.name is not null)"
    " select name from named where name is not null limit ?"
)
"""Each process once, a step in the index each."""
_OUTCOMES = (
    "with recursive named (name) as (select min(outcome) from flow where outcome is not null union all"
    " select (select min(outcome) from flow where outcome > named.name and outcome is not null)"
    " from named where named.name is not null) select name from named where name is not null limit ?"
)
_NEWEST = (1 << 63) - 1
_ALL = -1
"""Where SQLite is told how many: no bound."""


@attrs.frozen
class _Plan:
    """Where to look, and what to ask of each row that is there."""

    where: Where
    streams: tuple[Where, ...] = ()
    """Conditions by which an index, or the table, has flows in order of id."""
    ids: Sequence[int] | None = None
    """The only flows that there can be, in order of id."""


def flows(connection: sqlite3.Connection, query: FlowQuery, after_flow: int, limit: int) -> list[FlowRow]:
    """See `JournalReader.flows`."""
    return search(connection, query, after_flow, limit, _ALL).rows


def search(
    connection: sqlite3.Connection,
    query: FlowQuery,
    after_flow: int,
    limit: int,
    looked_max: int,
    *,
    newest_first: bool = False,
) -> FoundFlows:
    """See `JournalReader.search`."""
    plan = _plan(connection, query)
    if newest_first and after_flow == 0:
        after_flow = _NEWEST
    pages = (
        [_page(connection, plan, stream, after_flow, limit, looked_max, newest_first) for stream in plan.streams]
        if plan.ids is None
        else [_of_ids(connection, plan, plan.ids, after_flow, limit, newest_first)]
    )
    return _merged(pages, limit, newest_first)


def _merged(pages: Sequence[FoundFlows], limit: int, newest_first: bool) -> FoundFlows:  # noqa: FBT001 - as handed in
    """One page of several, each in order: up to where all of them have been looked at."""
    ends = [page.reached for page in pages if page.reached is not None]
    until = None if not ends else max(ends) if newest_first else min(ends)
    rows = [
        row
        for page in pages
        for row in page.rows
        if until is None or (row.id >= until if newest_first else row.id <= until)
    ]
    rows.sort(key=lambda row: row.id, reverse=newest_first)
    return FoundFlows(rows, until) if len(rows) <= limit else FoundFlows(rows[:limit], rows[limit - 1].id)


def _page(
    connection: sqlite3.Connection,
    plan: _Plan,
    stream: Where,
    after_flow: int,
    limit: int,
    looked_max: int,
    newest_first: bool,  # noqa: FBT001 - as handed in
) -> FoundFlows:
    where, values = stream
    follows, way = ("<", "desc") if newest_first else (">", "asc")
    ids = f"select id from flow where {' and '.join([*where, f'id {follows} ?'])} order by id {way}"
    conditions, asked = plan.where
    found_in = f"({ids} limit ?) as found cross join flow on flow.id = found.id"
    if not where:  # the table itself is in order of id
        found_in = f"(select * from flow where id {follows} ? order by id {way} limit ?) as flow"
    rows = connection.execute(
        f"select {_FLOW} from {found_in} where {' and '.join(conditions)} limit ?",
        (*values, after_flow, looked_max, *asked, limit),
    )
    found = list(map(FlowRow._make, rows))
    if len(found) == limit:
        return FoundFlows(found, found[-1].id)
    if looked_max == _ALL:
        return FoundFlows(found, None)
    last = connection.execute(f"{ids} limit 1 offset ?", (*values, after_flow, looked_max - 1)).fetchone()
    return FoundFlows(found, None if last is None else last[0])


def _of_ids(
    connection: sqlite3.Connection,
    plan: _Plan,
    ids: Sequence[int],
    after_flow: int,
    limit: int,
    newest_first: bool,  # noqa: FBT001 - as handed in
) -> FoundFlows:
    """A page of flows whose ids are known."""
    left = [flow for flow in ids if (flow < after_flow if newest_first else flow > after_flow)]
    if newest_first:
        left.reverse()
    found: list[FlowRow] = []
    for first in range(0, len(left), _IDS_AT_ONCE):
        rows = _chosen(connection, plan, left[first : first + _IDS_AT_ONCE])
        found += sorted(rows, key=lambda row: row.id, reverse=newest_first)
        if len(found) >= limit:
            break
    return FoundFlows(found[:limit], found[limit - 1].id) if len(found) >= limit else FoundFlows(found, None)


def _chosen(connection: sqlite3.Connection, plan: _Plan, ids: Sequence[int]) -> list[FlowRow]:
    conditions, asked = plan.where
    rows = connection.execute(
        f"select {_FLOW} from json_each(?) as found cross join flow on flow.id = found.value"
        f" where {' and '.join(conditions)}",
        (json.dumps(ids), *asked),
    )
    return list(map(FlowRow._make, rows))


def count(connection: sqlite3.Connection, query: FlowQuery, count_max: int, looked_max: int) -> Counted:
    """See `JournalReader.count`."""
    plan = _plan(connection, query)
    conditions, asked = plan.where
    asking = " and ".join(conditions)
    number, more = 0, False
    if plan.ids is not None:
        looked = plan.ids[:looked_max]
        found = f"json_each(?) as found cross join flow on flow.id = found.value where {asking}"
        number = connection.execute(
            f"select count(*) from (select 1 from {found} limit ?)", (json.dumps(looked), *asked, count_max + 1)
        ).fetchone()[0]
        more = len(looked) < len(plan.ids)
    for where, values in plan.streams:
        ids = f"select id from flow where {' and '.join([*where, 'id > ?'])} order by id desc"
        found = f"({ids} limit ?) as found cross join flow on flow.id = found.id where {asking}"
        number += connection.execute(
            f"select count(*) from (select 1 from {found} limit ?)",
            (*values, 0, looked_max, *asked, count_max + 1 - number),
        ).fetchone()[0]
        if number > count_max:
            break
        more = more or bool(connection.execute(f"{ids} limit 1 offset ?", (*values, 0, looked_max)).fetchone())
    return Counted(min(number, count_max), more or number > count_max)


def names(connection: sqlite3.Connection, names_max: int) -> FlowNames:
    """See `JournalReader.names`."""
    return FlowNames(_names(connection, _PROCESSES, names_max), _names(connection, _OUTCOMES, names_max))


def _names(connection: sqlite3.Connection, asked: str, names_max: int) -> list[str]:
    return [row[0] for row in connection.execute(asked, (names_max,))]


def stages(connection: sqlite3.Connection, process: str, flows_max: int) -> StageCounts:
    """See `JournalReader.stages`."""
    found: list[StageCount] = []
    more = False
    for status in _LIVE:
        newest = "select id from flow where status = ? and status <> 'ended' and +process = ? order by id desc"
        rows = connection.execute(
            f"select {STAGE} as stage, count(*) from ({newest} limit ?) as found"
            " cross join flow on flow.id = found.id group by 1",
            (status, process, flows_max),
        )
        found += [StageCount(stage, status, number) for stage, number in rows]
        last = connection.execute(f"{newest} limit 1 offset ?", (status, process, flows_max)).fetchone()
        more = more or last is not None
    return StageCounts(sorted(found, key=lambda row: (row.stage or "", row.status)), more)


# Where to look.


def _plan(connection: sqlite3.Connection, query: FlowQuery) -> _Plan:
    matches = matches_of(query)
    where = where_of(query, matches)
    processes, keys, outcomes = (
        [match for match in matches if match.column == column] for column in ("process", "key", "outcome")
    )
    chosen: list[str] | None = None
    turned_away = any(match.column == "process" for match in query.matches)
    if _is_wanted(keys) or _is_wanted(processes) or turned_away:
        chosen = _chosen_names(connection, _PROCESSES, processes)
    wanted = next((match for match in keys if not match.negated), None)
    if chosen is not None and wanted is not None and not wanted.prefixes:
        ids = _ids_by_key(connection, chosen, wanted)
        if ids is not None:
            return _Plan(where, ids=ids)
    if query.status and "ended" not in query.status:
        # Few flows at any time have not ended, and they have an index of their own.
        return _Plan(where, tuple(map(status_stream, dict.fromkeys(query.status))))
    if chosen is not None and (wanted is not None or _is_wanted(processes) or turned_away):
        by_key = None if wanted is None else _ids_by_key(connection, chosen, wanted)
        ids = _ids_of_processes(connection, chosen) if by_key is None else by_key
        if ids is not None:
            return _Plan(where, ids=ids)
    if _is_wanted(outcomes):
        ended = _chosen_names(connection, _OUTCOMES, outcomes)
        if ended is not None:
            return _Plan(where, tuple((["outcome = ?"], [name]) for name in ended))
    return _Plan(where, (([], []),))


def _is_wanted(matches: Sequence[Match]) -> bool:
    return any(not match.negated for match in matches)


def _chosen_names(connection: sqlite3.Connection, asked: str, matches: Sequence[Match]) -> list[str] | None:
    """The names for which all of these hold; None where there are too many names to look at each."""
    plain = next((match for match in matches if not (match.negated or match.prefixes or match.parts)), None)
    known = sorted(set(plain.exact)) if plain is not None else _names(connection, asked, _NAMES_MAX + 1)
    if len(known) > _NAMES_MAX:
        return None
    return [name for name in known if all(match.holds(name) for match in matches)]


def _ids_by_key(connection: sqlite3.Connection, processes: Sequence[str], wanted: Match) -> list[int] | None:
    """The flows of these processes whose key is wanted; None where they are too many to sort."""
    keys = [("key = ?", [key]) for key in wanted.exact] + [begins("key", prefix) for prefix in wanted.prefixes]
    asked = [
        (f"from flow where process = ? and {condition}", (process, *values))
        for process in processes
        for condition, values in keys
    ]
    return None if wanted.parts else _few(connection, asked)


def _ids_of_processes(connection: sqlite3.Connection, processes: Sequence[str]) -> list[int] | None:
    """The flows of these processes; None where they are too many to sort."""
    return _few(connection, [("from flow where process = ?", (process,)) for process in processes])


def _few(connection: sqlite3.Connection, asked: Sequence[tuple[str, tuple[object, ...]]]) -> list[int] | None:
    """The ids that any of these finds, sorted; None where they are too many. Counting first costs a tenth of it."""
    number = 0
    for found, values in asked:
        counted = f"select count(*) from (select 1 {found} limit ?)"
        number += connection.execute(counted, (*values, _SORTED_MAX + 1 - number)).fetchone()[0]
        if number > _SORTED_MAX:
            return None
    return sorted({row[0] for found, values in asked for row in connection.execute(f"select id {found}", values)})
