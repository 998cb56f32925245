"""Making rows anew that follow from events and steps: rows of flows, the outbox, timers."""

# SQL in several lines is one string.
# ruff: noqa: ISC004

from __future__ import annotations

import json
import sqlite3
from typing import Any, NamedTuple, get_args

from procession.journal.damaged_file import DamagedFile
from procession.journal.row_crc import SEALED, UNPROVED
from procession.journal.rows import FlowStatus
from procession.journal.sqlite_follows import MARKS_MAX, US_MAX

_GIVEN_UP, _REFUSED = "procession.command_given_up", "procession.command_refused"
_STATES = {_GIVEN_UP: "given_up", _REFUSED: "refused"}


_INDEXED = "select id, {} from main.flow"


class IndexedFlow(NamedTuple):
    """What the indexes tell of a flow: a second copy of a part of its row."""

    process: str
    key: str
    status: str
    outcome: str | None


def indexed_flows(damaged: DamagedFile) -> dict[int, IndexedFlow]:
    """By id; only where each of the indexes can be read whole. They are believed only as far as the steps agree."""
    ask = damaged.connection.execute
    try:
        names = ask("select id, process, key from main.flow indexed by flow_key").fetchall()
        status = dict(ask(f"{_INDEXED.format('status')} indexed by flow_not_ended where status <> 'ended'").fetchall())
        outcome = dict(
            ask(f"{_INDEXED.format('outcome')} indexed by flow_outcome where outcome is not null").fetchall()
        )
    except sqlite3.Error:
        return {}
    return {
        flow: IndexedFlow(process, key, status.get(flow, "ended"), outcome.get(flow)) for flow, process, key in names
    }


def rebuild_flow(new: sqlite3.Connection, flow: int, indexed: IndexedFlow, reason: str | None = None) -> bool:
    """Make the row of a flow anew, all of whose steps are there. Its times are those of its events.

    Returns whether it fits what the steps say; `reason` is why it was in quarantine, as far as that is known.
    """
    if indexed.status not in get_args(FlowStatus):
        return False
    if (indexed.status in ("ended", "cancelled")) != (indexed.outcome is not None):
        return False
    version, started_us, updated_us = new.execute(
        "select coalesce(max(step.version), 0), (select event.recorded_us from step join event using (position)"
        " where step.flow = :flow and (step.outcome = 'handled' or (:status = 'cancelled' and step.name = 'cancel'))"
        " order by step.version limit 1), max(event.recorded_us)"
        " from step join event on event.position = step.position where step.flow = :flow",
        {"flow": flow, "status": indexed.status},
    ).fetchone()
    if new.execute("select count(*) from step where flow = ?", (flow,)).fetchone()[0] != version:
        return False  # a part of it was archived, or an event of it is lost
    if not version and indexed.status != "unstarted":
        return False  # it began, and nothing of that is left
    why = reason or "its row was made anew by a salvage" if indexed.status == "quarantined" else None
    row = (flow, indexed.process, indexed.key, version, indexed.status, indexed.outcome, why, started_us or 0)
    try:
        new.execute("insert into flow values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, updated_us or 0, UNPROVED))
    except (sqlite3.IntegrityError, UnicodeEncodeError):
        return False
    return True


def rebuild_commands(new: sqlite3.Connection, *, damaged: bool) -> list[tuple[int, str]]:
    """Make commands that steps yielded and that have no row. Returns flows that can't be mended, and why.

    A command without any answer is open again: it is sent once more, under the same id.
    """
    missing = new.execute(
        "select step.flow, step.position, effect.key, json_extract(effect.value, '$.command'),"
        " json_extract(effect.value, '$.id'), flow.status from step cross join json_each(step.effects) as effect"
        " join flow on flow.id = step.flow where step.flow not in (select flow from temp.out)"
        " and json_extract(effect.value, '$.command') is not null and not exists (select 1 from command"
        " where command.flow = step.flow and command.position = step.position and command.idx = effect.key)"
        " order by step.seq, effect.key"
    ).fetchall()
    if not missing:
        return []
    if not damaged:
        return [(row[0], f"its command {row[3]} is not kept") for row in missing]
    gateways = dict(new.execute("select type, min(gateway) from command where crc <> -1 group by type").fetchall())
    answers = _answers(new)
    last = new.execute("select max(coalesce((select max(seq) from command), 0),"
                       " coalesce((select max(last_command) from archive), 0))").fetchone()[0]  # fmt: skip
    made, hopeless = 0, []
    for flow, position, index, kind, id_, status in missing:
        if kind not in gateways:
            hopeless.append((flow, f"its command {kind} is lost, and nothing tells its gateway"))
            continue
        made += 1
        state = "cancelled" if status == "cancelled" else "open"
        row: tuple[Any, ...] = (last + made, bytes.fromhex(id_), flow, position, index, kind, gateways[kind])
        state = answers.get(id_, state)
        new.execute("insert into command values (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, null, ?)", (*row, state, UNPROVED))
    return hopeless


def _answers(new: sqlite3.Connection) -> dict[str, str]:
    """By id of the command in hex, the state in which its answer left it."""
    return {
        caused_by.hex(): _STATES.get(kind, "answered")
        for caused_by, kind in new.execute(
            "select caused_by, type from event where caused_by is not null order by position"
        )
    }


def rebuild_timers(new: sqlite3.Connection, *, events_lost: bool) -> tuple[int, list[tuple[int, str]]]:
    """Deadlines that steps of running flows armed, that did not fire and have no row. Returns as `rebuild_commands`.

    Where events are lost, the deadline may be among them: whether it fired can't be told then.
    """
    fired = {row[0].hex() for row in new.execute("select caused_by from event where caused_by is not null")}
    armed: dict[tuple[int, str], tuple[dict[str, Any], bytes]] = {}
    for flow, effects, correlation in new.execute(
        "select step.flow, step.effects, coalesce(event.correlation, event.id) from step"
        " join flow on flow.id = step.flow join event on event.position = step.position"
        " where flow.status not in ('ended', 'cancelled') and step.effects is not null"
        " and step.flow not in (select flow from temp.out) order by step.flow, step.version"
    ):
        for effect in json.loads(effects):
            if "timer" in effect:
                armed[flow, effect["timer"]] = (effect, correlation)
            elif "cancel" in effect:
                armed.pop((flow, effect["cancel"]), None)
    stored = {(flow, name): id_ for flow, name, id_ in new.execute("select flow, name, id from timer")}
    # A page that is older than the others has deadlines that were replaced, cancelled or fired since.
    there = {name for name, id_ in stored.items() if name in armed and armed[name][0]["id"] == id_.hex()}
    there = {name for name in there if stored[name].hex() not in fired}
    new.executemany("delete from timer where flow = ? and name = ?", sorted(stored.keys() - there))
    made, hopeless = 0, []
    for (flow, name), (effect, correlation) in armed.items():
        if effect["id"] in fired or (flow, name) in there:
            continue
        if events_lost:
            hopeless.append((flow, f"whether its deadline {name} fired can't be told"))
            continue
        payload = json.dumps(effect["data"], ensure_ascii=False, separators=(",", ":"))
        row = (flow, name, bytes.fromhex(effect["id"]), effect["due_us"], effect["event"], effect["version"], payload)
        new.execute("insert into timer values (?, ?, ?, ?, ?, ?, ?, ?)", (*row, correlation))
        made += 1
    return made, hopeless


def mend_columns(new: sqlite3.Connection) -> dict[str, int]:
    """Set what can't be as it was read, and decides nothing, to what follows from the rest. Returns rows by table.

    Rows of tables with checksums are not counted: theirs do not fit any more.
    """
    mended: dict[str, int] = {}
    for table, change in _MENDED:
        changed = new.execute(change).rowcount
        if changed and table not in SEALED:
            mended[table] = mended.get(table, 0) + changed
    new.executemany("update command set state = ? where seq = ?", _ended_since(new))
    return mended


def _ended_since(new: sqlite3.Connection) -> list[tuple[str, int]]:
    """Commands that are open on a page older than their answers: the state that these left them in, and the seq."""
    answers = _answers(new)
    return [
        (answers[id_.hex()], seq)
        for seq, id_ in new.execute(
            "select seq, id from command where state = 'open' and json_extract(log, '$[0].sent_again') is null"
        )
        if id_.hex() in answers
    ]


_BEGAN = (
    "coalesce((select event.recorded_us from step join event using (position) where step.flow = flow.id"
    " and (step.outcome = 'handled' or (flow.status = 'cancelled' and step.name = 'cancel'))"
    " order by step.version limit 1), 0)"
)
_FIRED = (
    "(select json_extract(effect.value, '$.timer') from step cross join json_each(step.effects) as effect"
    " join event on event.position = delivery.position where step.flow = delivery.flow"
    " and json_extract(effect.value, '$.timer') is not null"
    " and json_extract(effect.value, '$.id') = lower(hex(event.caused_by)))"
)
_TRIED = "coalesce(json_extract(log, '$[#-1].n'), 0)"
_OF_TYPE = "select min(other.gateway) from command as other where other.type = command.type and other.crc <> -1"
_MENDED = (
    # What no checksum proves: the gateway of others of the type, and an attempt more, rather than one that never comes.
    (
        "command",
        f"update command set gateway = coalesce(({_OF_TYPE} and other.gateway = command.gateway), ({_OF_TYPE}),"
        " gateway) where crc = -1",
    ),
    ("command", "update command set due_us = 0 where crc = -1 and state = 'open'"),
    ("command", "update command set log = null where log is not null and not json_valid(log)"),
    (
        "command",
        f"update command set attempts = {_TRIED} where attempts not between {_TRIED} - 1 and {_TRIED} + 1"
        " and (attempts not in (0, 1) or json_extract(log, '$[0].sent_again') is null)",
    ),
    ("command", f"update command set due_us = 0 where due_us not between 0 and {US_MAX}"),
    (
        "flow",
        f"update flow set started_us = {_BEGAN} where version > 0 and started_us <> {_BEGAN}"
        " and id not in (select flow from archived_flow)",
    ),
    ("flow", f"update flow set updated_us = started_us where updated_us not between 0 and {US_MAX}"),
    ("flow", "update flow set reason = null where status <> 'quarantined' and reason is not null"),
    ("flow", "update flow set reason = 'why is lost' where status = 'quarantined' and reason is null"),
    ("delivery", f"update delivery set marked = 0 where marked not between 0 and {MARKS_MAX}"),
    (
        "delivery",
        f"update delivery set timer = {_FIRED} where timer is not {_FIRED}"
        " and exists (select 1 from event where event.position = delivery.position and caused_by is not null)",
    ),
)
