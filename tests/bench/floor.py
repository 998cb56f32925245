"""The floor: the rows that a journal holds, written again by raw sqlite3 with nothing around it.

What the product wrote is read back from its journal, step by step as it was written: the event, the step, the flow as
it stood, the command that the step answers, the commands it asked for, the timers it set and cancelled, and the
owner's row of each commit. All is prepared before the clock runs. In the end both files must hold the same rows.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Any

import attrs

from procession.journal.sqlite_schema import SCRIPTS

Row = tuple[Any, ...]


@attrs.define
class Group:
    """The rows of one commit, in the order in which they are written."""

    owner: Row = ()
    events: list[Row] = attrs.field(factory=list)
    flows_new: list[Row] = attrs.field(factory=list)
    flows_changed: list[Row] = attrs.field(factory=list)
    steps: list[Row] = attrs.field(factory=list)
    commands: list[Row] = attrs.field(factory=list)
    commands_changed: list[Row] = attrs.field(factory=list)
    timers_set: list[Row] = attrs.field(factory=list)
    timers_gone: list[Row] = attrs.field(factory=list)


_STATEMENTS = {
    "events": "insert into event values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "flows_new": "insert into flow values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "flows_changed": "update flow set version = ?, status = ?, outcome = ?, reason = ?, started_us = ?, updated_us = ?,"
    " crc = ? where id = ?",
    "steps": "insert into step values (?, ?, ?, ?, ?, ?, ?, ?)",
    "commands": "insert into command values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "commands_changed": "update command set state = ?, attempts = ?, due_us = ?, log = ?, crc = ? where seq = ?",
    "timers_set": "insert into timer values (?, ?, ?, ?, ?, ?, ?, ?)",
    "timers_gone": "delete from timer where flow = ? and name = ?",
}
_OWNER = (
    "update owner set renewed_us = ?, position = ?, event_crc = ?, step_seq = ?, step_crc = ?"
    " where one = 1 and epoch = ?"
)
_GROWING = ("event", "step", "flow", "command", "timer", "delivery", "unhandled", "snapshot")
_GIVEN = ("journal", "owner", "type", "concern")


def read_back(product: Path) -> list[Group]:
    """What each step of a journal wrote, in the order of the steps; the journal must hold nothing but whole steps."""
    with closing(sqlite3.connect(product)) as connection:
        connection.row_factory = sqlite3.Row
        events = {row["position"]: row for row in connection.execute("select * from event")}
        flows = {row["id"]: row for row in connection.execute("select * from flow")}
        commands: dict[tuple[int, int], list[sqlite3.Row]] = defaultdict(list)
        answered = {}
        for row in connection.execute("select * from command order by seq"):
            commands[row["flow"], row["position"]].append(row)
            answered[row["id"]] = row
        steps = connection.execute("select * from step order by seq").fetchall()
        epoch = connection.execute("select epoch from owner").fetchone()[0]
    assert len(steps) == len(events), "each event is handled by one step"
    armed: dict[int, set[str]] = defaultdict(set)
    groups = []
    for step in steps:
        event, flow = events[step["position"]], flows[step["flow"]]
        group = Group((event["recorded_us"], event["position"], event["crc"], step["seq"], step["crc"], epoch))
        group.events.append(tuple(event))
        group.steps.append(tuple(step))
        _add_flow(group, step, flow, event["recorded_us"])
        for row in commands[step["flow"], step["position"]]:
            group.commands.append((*tuple(row)[:7], "open", 0, row["due_us"], None, row["crc"]))
        if (command := answered.get(event["caused_by"])) is not None:
            group.commands_changed.append((*tuple(command)[7:], command["seq"]))
        _add_timers(group, step, event, armed[step["flow"]])
        groups.append(group)
    assert not any(armed.values()), "timers that are still armed are not read back"
    return groups


def _add_flow(group: Group, step: sqlite3.Row, flow: sqlite3.Row, at_us: int) -> None:
    last = step["version"] == flow["version"]
    stands = (flow["status"], flow["outcome"], None) if last else ("active", None, None)
    changed = (step["version"], *stands, flow["started_us"], flow["updated_us"] if last else at_us, flow["crc"])
    if step["version"] == 1:
        group.flows_new.append((flow["id"], flow["process"], flow["key"], *changed))
    else:
        group.flows_changed.append((*changed, flow["id"]))


def _add_timers(group: Group, step: sqlite3.Row, event: sqlite3.Row, armed: set[str]) -> None:
    for effect in json.loads(step["effects"] or "[]"):
        if "timer" in effect:
            payload = json.dumps(effect["data"], separators=(",", ":"), ensure_ascii=False)
            named = (step["flow"], effect["timer"], bytes.fromhex(effect["id"]), effect["due_us"])
            correlation = event["correlation"] or event["id"]
            group.timers_set.append((*named, effect["event"], effect["version"], payload, correlation))
            armed.add(effect["timer"])
        elif effect.get("cancel") in armed:
            group.timers_gone.append((step["flow"], effect["cancel"]))
            armed.discard(effect["cancel"])


def grouped(steps: Sequence[Group], size: int) -> list[Group]:
    """So many steps in one commit, each table's rows together. A flow row that changes twice is written twice."""
    found = []
    for at in range(0, len(steps), size):
        part = steps[at : at + size]
        whole = Group(part[-1].owner)
        for name in _STATEMENTS:
            getattr(whole, name).extend(row for group in part for row in getattr(group, name))
        found.append(whole)
    return found


def prepare(connection: sqlite3.Connection) -> None:
    """Durable, as a journal is."""
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")


def opened(path: Path) -> sqlite3.Connection:
    """A connection that writes groups."""
    connection = sqlite3.connect(path, isolation_level=None)
    prepare(connection)
    return connection


def make(path: Path, product: Path) -> None:
    """A new file of the same schema, with the rows that no step writes."""
    with closing(opened(path)) as connection:
        for script in SCRIPTS:
            connection.executescript(files("procession.journal").joinpath(script).read_text("utf-8"))
        connection.execute("attach ? as product", (str(product),))
        for table in _GIVEN:
            connection.execute(f"insert into main.{table} select * from product.{table}")


def write_group(connection: sqlite3.Connection, group: Group) -> None:
    """One commit."""
    connection.execute("begin immediate")
    connection.execute(_OWNER, group.owner)
    for name, statement in _STATEMENTS.items():
        if rows := getattr(group, name):
            connection.executemany(statement, rows)
    connection.execute("commit")


def write_groups(connection: sqlite3.Connection, groups: Sequence[Group]) -> list[float]:
    """One commit each; the seconds that each took."""
    took_s = []
    for group in groups:
        began = time.perf_counter()
        write_group(connection, group)
        took_s.append(time.perf_counter() - began)
    return took_s


def write(path: Path, product: Path, groups: Sequence[Group]) -> list[float]:
    """Write them into a new file; the seconds that each commit took. The file then holds what the product wrote."""
    make(path, product)
    with closing(opened(path)) as connection:
        took_s = write_groups(connection, groups)
    assert_same(path, product)
    return took_s


def assert_same(path: Path, product: Path) -> dict[str, int]:
    """Both files hold the same rows: as many, with as many bytes, and value by value. The rows by table."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("attach ? as product", (str(product),))
        counts = {}
        for table in _GROWING:
            columns = [row[1] for row in connection.execute(f"pragma table_info({table})")]
            size = "+".join(f"coalesce(sum(length(cast({name} as blob))), 0)" for name in columns)
            mine, theirs = (
                connection.execute(f"select count(*), {size} from {schema}.{table}").fetchone()
                for schema in ("main", "product")
            )
            assert mine == theirs, f"{table}: {mine} rows and bytes, the product has {theirs}"
            differing = connection.execute(
                f"select count(*) from (select * from main.{table} except select * from product.{table})"
            ).fetchone()[0]
            assert not differing, f"{differing} rows of {table} differ from the product's"
            counts[table] = mine[0]
    return counts
