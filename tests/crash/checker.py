"""The history checker: what a journal and two logs must agree on, whatever happened to the process in between.

It reads the file with plain `sqlite3` and folds nothing with the code that it checks. Each rule is a function that
yields one sentence for each breach. What holds of every history is judged by `procession.laws.histories`; here is what
holds of this story.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import attrs

from procession.engine.clock import SystemClock
from procession.engine.ids import Ids
from procession.journal.rows import (
    CommandRow,
    Contents,
    DeliveryRow,
    EventRow,
    FlowRow,
    SnapshotRow,
    StepRow,
    TimerRow,
    TypeRow,
    UnhandledRow,
)
from procession.laws.histories import LAWS, Begun, Past
from tests.crash.lines import lines_of
from tests.crash.story import PEEK, SOURCE, cohort_of

RowT = TypeVar(
    "RowT", EventRow, StepRow, FlowRow, CommandRow, TimerRow, DeliveryRow, UnhandledRow, SnapshotRow, TypeRow
)
_SHOWN_MAX = 20


@attrs.frozen
class History:
    """All that is left of a run."""

    journal: sqlite3.Connection
    begun: dict[str, list[tuple[str, str]]]
    """command id -> (flow, what was done), once for each attempt."""
    done: Counter[str]
    """command id -> how often it was done."""


class Left(NamedTuple):
    """What a kill left undone."""

    deliveries: int
    """Accepted events that flows had not handled."""
    commands: int
    """Commands begun and not done."""


def left_by_kill(folder: Path) -> Left:
    """Counted from the journal and the effects log, right after the kill, without changing anything."""
    begun, _ = _effects(folder)
    with closing(_connect(folder)) as journal:
        deliveries = journal.execute("select count(*) from delivery").fetchone()[0]
        opened = journal.execute("select lower(hex(id)) from command where state = 'open'").fetchall()
    return Left(deliveries, sum(command in begun for (command,) in opened))


def told_too_early(folder: Path) -> list[str]:
    """What left the process before it was durable, right after the kill: the next life may well make good for it."""
    begun, _ = _effects(folder)
    with closing(_connect(folder)) as journal:
        commands = {id_ for (id_,) in journal.execute("select lower(hex(id)) from command")}
        events = dict(journal.execute("select source_id, position from event where source_id is not null"))
    found = [
        f"{what} of {flow} was begun under the id {id_}, which the journal does not know at the kill"
        for id_ in begun.keys() - commands
        for flow, what in begun[id_][:1]
    ]
    found += [
        f"{id_} was acknowledged at position {position}, and is at {events.get(id_)} at the kill"
        for id_, position in acknowledged(folder)
        if events.get(id_) != position
    ]
    return found[:_SHOWN_MAX]


def cohorts(folder: Path) -> int:
    """The last cohort of flows that anything was accepted for."""
    with closing(_connect(folder)) as journal:
        return max((cohort_of(key) for (key,) in journal.execute("select key from flow")), default=0)


def check(folder: Path) -> list[str]:
    """Every breach of what is promised once all has come to rest, as a sentence; of each rule the first ones."""
    begun, done = _effects(folder)
    with closing(_connect(folder)) as journal:
        history = History(journal, begun, done)
        found = [breach for rule in _RULES for breach in islice(rule(history), _SHOWN_MAX)]
    return check_now(folder) + found


def check_now(folder: Path) -> list[str]:
    """Every breach of what is promised at any moment, as a sentence; of each law the first ones."""
    begun, _ = _effects(folder)
    attempts = tuple(Begun(id_, flow, what) for id_, effects in begun.items() for flow, what in effects)
    heard = tuple((SOURCE, id_, position) for id_, position in acknowledged(folder))
    with closing(_connect(folder)) as journal:
        past = Past(contents_of(journal), heard, attempts, command_id_of(journal))
        return [breach for law in LAWS for breach in islice(law(past), _SHOWN_MAX)]


def command_id_of(journal: sqlite3.Connection) -> Callable[[bytes, str, str, int], bytes]:
    """How ids of commands are derived in this journal: `Past` judges by it."""
    return Ids(SystemClock(), journal.execute("select id from journal").fetchone()[0]).command


def contents_of(journal: sqlite3.Connection) -> Contents:
    """The rows of a journal's file."""

    def rows(table: str, kind: type[RowT], order: str) -> tuple[RowT, ...]:
        names = ", ".join(kind._fields)
        return tuple(map(kind._make, journal.execute(f"select {names} from {table} order by {order}")))

    return Contents(
        rows("event", EventRow, "position"),
        rows("step", StepRow, "flow, version"),
        rows("flow", FlowRow, "id"),
        rows("command", CommandRow, "seq"),
        rows("timer", TimerRow, "flow, name"),
        rows("delivery", DeliveryRow, "flow, position"),
        rows("unhandled", UnhandledRow, "position"),
        rows("snapshot", SnapshotRow, "flow"),
        rows("type", TypeRow, "kind, name, version"),
    )


def outcomes(folder: Path) -> dict[str, tuple[Any, ...]]:
    """By flow: how it stands, and what it handled, in no order and without what depends on chance."""
    handled: dict[int, Counter[tuple[str, str]]] = defaultdict(Counter)
    with closing(_connect(folder)) as journal:
        for flow, type_, payload in journal.execute(
            "select step.flow, event.type, event.payload from step join event on event.position = step.position"
        ):
            if type_ != PEEK:
                handled[flow][type_, payload] += 1
        rows = journal.execute("select id, process, key, status, outcome from flow").fetchall()
    return {f"{process}/{key}": (status, outcome, handled[id_]) for id_, process, key, status, outcome in rows}


def _connect(folder: Path) -> sqlite3.Connection:
    """Read-only, so that nothing of what a crash left is tidied away."""
    return sqlite3.connect(f"file:{folder / 'journal.db'}?mode=ro", uri=True)


def acknowledged(folder: Path) -> list[tuple[str, int]]:
    """(id, position) in the order in which the publisher heard of them."""
    found = []
    for line in lines_of(folder / "acknowledged.log"):
        for entry in line.split()[1:]:
            id_, _, position = entry.rpartition("=")
            found.append((id_, int(position)))
    return found


def _effects(folder: Path) -> tuple[dict[str, list[tuple[str, str]]], Counter[str]]:
    begun: dict[str, list[tuple[str, str]]] = defaultdict(list)
    done: Counter[str] = Counter()
    for line in lines_of(folder / "effects.log"):
        match line.split():
            case "begin", command, flow, what:
                begun[command].append((flow, what))
            case "end", command:
                done[command] += 1
    return begun, done


def nothing_waits(history: History) -> Iterator[str]:
    waiting = history.journal.execute("select count(*) from delivery").fetchone()[0]
    if waiting:
        yield f"{waiting} deliveries are not handled"


def nothing_is_unhandled_but_what_may_be(history: History) -> Iterator[str]:
    for position, type_, reason in history.journal.execute(
        "select unhandled.position, type, reason from unhandled join event on event.position = unhandled.position"
    ):
        if type_ != PEEK:
            yield f"event {position}, {type_}, was not handled: {reason}"


def every_command_is_done_under_one_id(history: History) -> Iterator[str]:
    commands = {
        command: (flow, position, idx, state)
        for command, flow, position, idx, state in history.journal.execute(
            "select lower(hex(command.id)), process || '/' || key, position, idx, state from command"
            " join flow on flow.id = command.flow"
        )
    }
    ids_of: dict[tuple[str, str], set[str]] = defaultdict(set)
    for command, attempts in history.begun.items():
        for effect in attempts:
            ids_of[effect].add(command)
    for effect, ids in ids_of.items():
        if len(ids) > 1:
            yield f"{effect} was done under {len(ids)} ids: {sorted(ids)}"
    for command, row in commands.items():
        if row[3] != "answered" or not history.done[command]:
            yield f"command {command} of {row} was done {history.done[command]} times"


def every_flow_ended(history: History) -> Iterator[str]:
    for process, key, status, version in history.journal.execute(
        "select process, key, status, version from flow where status <> 'ended'"
    ):
        yield f"{process}/{key} is {status} at version {version}"
    armed = history.journal.execute("select count(*) from timer").fetchone()[0]
    if armed:
        yield f"{armed} timers are armed"


_RULES = (
    nothing_waits,
    nothing_is_unhandled_but_what_may_be,
    every_command_is_done_under_one_id,
    every_flow_ended,
)
