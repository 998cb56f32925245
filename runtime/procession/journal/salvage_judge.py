"""Which flows of a salvaged journal are whole; the others are taken out, since half a history must not decide.

What follows from events and steps is compared with them: rows that do not fit are made anew, where that is certain.
"""

# SQL in several lines is one string.

from __future__ import annotations

import sqlite3
from typing import NamedTuple

import attrs

from procession.journal.row_crc import UNPROVED, seal
from procession.journal.salvage_copy import LOST, Carried
from procession.journal.salvage_rebuild import IndexedFlow, mend_columns, rebuild_commands, rebuild_flow, rebuild_timers
from procession.journal.sqlite_archive import bury

_GONE = "(select coalesce(max(archived.version), 0) from archived_flow as archived where archived.flow = flow.id)"
_KEYED = "(select 1 from json_each(json_extract(event.keys, '$.' || json_quote({0}.process))) where value = {0}.key)"
_MISNAMED = (
    "not exists " + _KEYED + " and (json_type(event.keys, '$.' || json_quote({0}.process)) is not null"
    " or {0}.process not in (select process from concern))"
)
"""The event was routed to this process and not to this key, or nothing knows this process. Of a process that was named
later than an event was accepted, the event says nothing."""


class LeftOut(NamedTuple):
    """A flow of which something is lost, so that all of it was left out."""

    flow: int
    """0 where only events tell of it."""
    process: str | None
    """None where nothing tells any more."""
    key: str | None
    reason: str


@attrs.define
class Judged:
    """What came of the flows."""

    left_out: list[LeftOut] = attrs.field(factory=list)
    rebuilt: dict[str, int] = attrs.field(factory=dict)
    """By table, rows that were made anew, or kept though no checksum proves them."""
    unaccounted: int = 0
    """Events for a flow, for which nothing tells what became of them there; they are recorded as `lost`."""


def judge(new: sqlite3.Connection, carried: Carried, indexed: dict[int, IndexedFlow]) -> Judged:
    """Judge every flow of a journal that was carried over, in one transaction."""
    judged = Judged()
    new.execute("create temp table out (flow integer primary key, reason text not null)")
    new.execute("begin")
    _drop_what_stands_alone(new, carried)
    _restore_flows(new, carried, indexed)
    _find_broken(new)
    _mend_commands(new, carried)
    _mend_timers(new, carried, judged)
    _find_unaccounted(new, carried, judged)
    for table, rows in mend_columns(new).items():
        judged.rebuilt[table] = judged.rebuilt.get(table, 0) + rows
    judged.left_out = _take_out(new, indexed)
    judged.rebuilt |= seal(new)
    judged.left_out += _never_seen(new, indexed, judged.left_out)
    judged.unaccounted = new.execute(
        "insert into unhandled select event.position, named.key, keyed.value, 'lost' from event"
        f" cross join json_each(event.keys) as named cross join json_each(named.value) as keyed where {_UNACCOUNTED}"
    ).rowcount
    new.execute("commit")
    return judged


_UNACCOUNTED = (
    "not exists (select 1 from unhandled where unhandled.position = event.position"
    " and unhandled.process = named.key and unhandled.key = keyed.value)"
    " and not exists (select 1 from flow where flow.process = named.key and flow.key = keyed.value and ("
    " exists (select 1 from step where step.flow = flow.id and step.position = event.position)"
    " or exists (select 1 from delivery where delivery.flow = flow.id and delivery.position = event.position)"
    " or exists (select 1 from archived_flow as gone where gone.flow = flow.id)))"
)


def _never_seen(new: sqlite3.Connection, indexed: dict[int, IndexedFlow], left_out: list[LeftOut]) -> list[LeftOut]:
    """Flows of which no row is left: an index still has their name, or an event was routed to them."""
    named = {(found.process, found.key) for found in left_out}
    named.update(new.execute("select process, key from flow"))
    found = [
        LeftOut(flow, row.process, row.key, "its row and its steps can't be read")
        for flow, row in indexed.items()
        if (row.process, row.key) not in named
    ]
    named.update((row.process, row.key) for row in indexed.values())
    routed = new.execute(
        "select named.key, keyed.value, min(event.position) from event cross join json_each(event.keys) as named"
        f" cross join json_each(named.value) as keyed where {_UNACCOUNTED} group by 1, 2 order by 3"
    )
    return found + [
        LeftOut(0, process, key, f"event {position} is for it, and nothing else of it can be read")
        for process, key, position in routed
        if (process, key) not in named
    ]


def _drop_what_stands_alone(new: sqlite3.Connection, carried: Carried) -> None:
    """Rows that name an event or a flow which is not there, or was never routed so."""
    _delete(
        new,
        carried,
        "unhandled",
        "exists (select 1 from event where event.position = unhandled.position and "
        + _MISNAMED.format("unhandled")
        + ")",
    )
    new.execute(
        "delete from unhandled where not exists (select 1 from event where event.position = unhandled.position)"
        " and coalesce((select archive from event_tombstone where first <= unhandled.position"
        " and last >= unhandled.position order by first desc limit 1), ?) = ?",
        (LOST, LOST),
    )
    _delete(
        new,
        carried,
        "delivery",
        "exists (select 1 from step where step.flow = delivery.flow and step.position = delivery.position)"
        " or exists (select 1 from event join flow on flow.id = delivery.flow"
        " where event.position = delivery.position and " + _MISNAMED.format("flow") + ")",
    )
    _delete(
        new,
        carried,
        "command",
        "not exists (select 1 from step where step.flow = command.flow and step.position = command.position"
        " and json_extract(step.effects, '$[' || command.idx || '].command') = command.type"
        " and json_extract(step.effects, '$[' || command.idx || '].id') = lower(hex(command.id)))",
    )
    _delete(new, carried, "timer", "not json_valid(payload)")
    _delete(
        new,
        carried,
        "timer",
        "not exists (select 1 from step cross join json_each(step.effects) as effect"
        " join event on event.position = step.position where step.flow = timer.flow"
        " and json_extract(effect.value, '$.timer') = timer.name"
        " and json_extract(effect.value, '$.id') = lower(hex(timer.id))"
        " and json_extract(effect.value, '$.due_us') = timer.due_us"
        " and json_extract(effect.value, '$.event') = timer.type"
        " and json_extract(effect.value, '$.version') = timer.version"
        " and json_extract(effect.value, '$.data') = json(timer.payload)"
        " and (timer.correlation is null or timer.correlation = coalesce(event.correlation, event.id)))",
    )


def _delete(new: sqlite3.Connection, carried: Carried, table: str, where: str) -> None:
    gone = new.execute(f"delete from {table} where {where}").rowcount
    if gone:
        carried.damaged.add(table)
        carried.refused[table] = carried.refused.get(table, 0) + gone


def _restore_flows(new: sqlite3.Connection, carried: Carried, indexed: dict[int, IndexedFlow]) -> None:
    """Flows whose row is lost, damaged, or of another version than its steps: made anew where no step is missing."""
    whole = not carried.gaps["step"]
    _delete(
        new,
        carried,
        "flow",
        "exists (select 1 from step join event on event.position = step.position"
        f" where step.flow = flow.id and {_MISNAMED.format('flow')})"
        " or (status in ('ended', 'cancelled')) <> (outcome is not null)",
    )
    missing = new.execute(
        "select flow from (select flow from step union select flow from delivery union select flow from command"
        " union select flow from timer) where flow not in (select id from flow)"
    ).fetchall()
    for (flow,) in missing:
        if not (whole and flow in indexed and rebuild_flow(new, flow, indexed[flow])):
            _leave(new, "select ?, 'its row can''t be read'", (flow,))
    versions = (
        f" from flow left join (select flow, count(*) as number, max(version) as last from step group by flow) as had"
        f" on had.flow = flow.id where version <> {_GONE} + coalesce(number, 0)"
        f" or version <> max({_GONE}, coalesce(last, 0))"
    )
    if whole:
        found = new.execute(f"select id, {_GONE} + coalesce(number, 0), status{versions}").fetchall()
        # One that began and has no step left did not have its row hit: it is its steps that are lost.
        fixed = [(flow, version) for flow, version, status in found if version or status == "unstarted"]
        for flow, version in fixed:
            _make_current(new, flow, version, indexed)
        for flow, version in new.execute("select id, version from flow where crc = ?", (UNPROVED,)).fetchall():
            _make_current(new, flow, version, indexed)
    _leave(
        new,
        f"select id, printf('%d of its %d steps are left', {_GONE} + coalesce(number, 0), version){versions}",
    )


def _make_current(new: sqlite3.Connection, flow: int, version: int, indexed: dict[int, IndexedFlow]) -> None:
    """A row that was hit, or is as old as its page. Where indexes tell, it is made anew."""
    row = new.execute("select * from flow where id = ?", (flow,)).fetchone()
    # Where its checksum fits, it was never another flow's.
    if flow in indexed and (row[-1] == UNPROVED or row[1:3] == (indexed[flow].process, indexed[flow].key)):
        new.execute("delete from flow where id = ?", (flow,))
        if rebuild_flow(new, flow, indexed[flow], row[6]):
            return
        new.execute("insert into flow values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    new.execute("update flow set version = ? where id = ?", (version, flow))


def _find_broken(new: sqlite3.Connection) -> None:
    _leave(
        new,
        "select step.flow, printf('event %d, which it handled in version %d, is lost', step.position, step.version)"
        " from step where not exists (select 1 from event where event.position = step.position)",
    )
    _leave(
        new,
        "select flow, printf('event %d, which waits for it, is lost', position) from delivery"
        " where not exists (select 1 from event where event.position = delivery.position)",
    )
    _leave(
        new,
        "select flow.id, printf('event %d, which it handled, is of another flow: its row is damaged', event.position)"
        " from flow join step on step.flow = flow.id join event on event.position = step.position"
        f" where {_MISNAMED.format('flow')}",
    )


def _mend_commands(new: sqlite3.Connection, carried: Carried) -> None:
    for flow, reason in rebuild_commands(new, damaged="command" in carried.damaged):
        _leave(new, "select ?, ?", (flow, reason))


def _mend_timers(new: sqlite3.Connection, carried: Carried, judged: Judged) -> None:
    # Also where nothing seemed damaged: a swapped page may make a table look empty.
    rebuilt, hopeless = rebuild_timers(new, events_lost=bool(carried.gaps["event"]))
    for flow, reason in hopeless:
        _leave(new, "select ?, ?", (flow, reason))
    if rebuilt:
        judged.rebuilt["timer"] = rebuilt


def _find_unaccounted(new: sqlite3.Connection, carried: Carried, judged: Judged) -> None:
    """Events that a kept flow neither handled nor waits for: what is lost is a delivery, or the record of why not."""
    pairs = (
        " from event cross join json_each(event.keys) as named cross join json_each(named.value) as keyed"
        " join flow as whose on whose.process = named.key and whose.key = keyed.value"
        f" where {_UNACCOUNTED} and whose.id not in (select flow from temp.out)"
    )
    if "delivery" in carried.damaged and "unhandled" not in carried.damaged and not carried.gaps["event"]:
        found = new.execute(
            "insert into delivery select whose.id, event.position, case whose.status when 'quarantined' then"
            " 'quarantined' when 'unstarted' then 'waiting' else 'pending' end, (select timed.name from ("
            " select json_extract(effect.value, '$.timer') as name, json_extract(effect.value, '$.id') as id"
            " from step cross join json_each(step.effects) as effect where step.flow = whose.id) as timed"
            f" where timed.id = lower(hex(event.caused_by))), 0{pairs}"
            " and whose.status not in ('ended', 'cancelled')"
        ).rowcount
        if found:
            judged.rebuilt["delivery"] = found
    if "unhandled" in carried.damaged and "delivery" not in carried.damaged:
        return  # it was not handled, and why is lost; the flow is whole all the same
    _leave(
        new,
        "select whose.id, printf('nothing tells what became of event %d in it', event.position)"
        f"{pairs} and whose.status not in ('ended', 'cancelled')",
    )


def _leave(new: sqlite3.Connection, select: str, parameters: tuple[object, ...] = ()) -> None:
    new.execute(f"insert or ignore into temp.out {select}", parameters)


def _take_out(new: sqlite3.Connection, indexed: dict[int, IndexedFlow]) -> list[LeftOut]:
    found = new.execute(
        "select out.flow, process, key, out.reason from temp.out as out left join flow on flow.id = out.flow"
        " order by out.flow"
    ).fetchall()
    left_out = []
    for flow, process, key, reason in found:
        if process is None and flow in indexed:
            process, key = indexed[flow].process, indexed[flow].key  # noqa: PLW2901 - where the index alone tells
        left_out.append(LeftOut(flow, process, key, reason))
    steps = new.execute("select seq, crc from step where flow in (select flow from temp.out) order by seq").fetchall()
    bury(new, "step", "seq", LOST, steps)
    # Nothing stands in any archive for them, and what archives hold is counted.
    new.execute("update step_tombstone set number = 0 where archive = ?", (LOST,))
    for table, column in (("command", "flow"), ("timer", "flow"), ("delivery", "flow"), ("flow", "id")):
        new.execute(f"delete from {table} where {column} in (select flow from temp.out)")
    new.execute("delete from archived_flow where flow in (select flow from temp.out)")
    return left_out
