"""The history checker: what a journal and two logs must agree on, whatever happened to the process in between.

It reads the file with plain `sqlite3` and folds nothing with the code that it checks. Each rule is a function that
yields one sentence for each breach.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import attrs

from tests.crash.story import PEEK, SOURCE, cohort_of

_SHOWN_MAX = 20


@attrs.frozen
class History:
    """All that is left of a run."""

    journal: sqlite3.Connection
    acknowledged: list[tuple[str, int]]
    """(id, position) in the order in which the publisher heard of them, over all lives."""
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


def cohorts(folder: Path) -> int:
    """The last cohort of flows that anything was accepted for."""
    with closing(_connect(folder)) as journal:
        return max((cohort_of(key) for (key,) in journal.execute("select key from flow")), default=0)


def check(folder: Path) -> list[str]:
    """Every breach of what is promised, as a sentence; of each rule the first ones. Empty where all is well."""
    begun, done = _effects(folder)
    with closing(_connect(folder)) as journal:
        history = History(journal, acknowledged(folder), begun, done)
        return [breach for rule in _RULES for breach, _ in zip(rule(history), range(_SHOWN_MAX), strict=False)]


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
    for line in (folder / "acknowledged.log").read_text().splitlines():
        for entry in line.split()[1:]:
            id_, _, position = entry.rpartition("=")
            found.append((id_, int(position)))
    return found


def _effects(folder: Path) -> tuple[dict[str, list[tuple[str, str]]], Counter[str]]:
    begun: dict[str, list[tuple[str, str]]] = defaultdict(list)
    done: Counter[str] = Counter()
    for line in (folder / "effects.log").read_text().splitlines():
        kind, command, *rest = line.split()
        if kind == "begin":
            flow, what = rest
            begun[command].append((flow, what))
        else:
            done[command] += 1
    return begun, done


def nothing_acknowledged_is_lost(history: History) -> Iterator[str]:
    stored = dict(history.journal.execute("select source_id, position from event where source = ?", (SOURCE,)))
    for id_, position in history.acknowledged:
        if stored.get(id_) != position:
            yield f"{id_} was acknowledged at position {position}, the journal has it at {stored.get(id_)}"


def each_event_is_handled_once_by_each_flow_concerned(history: History) -> Iterator[str]:
    flows = {(process, key): id_ for id_, process, key in history.journal.execute("select id, process, key from flow")}
    steps = Counter(history.journal.execute("select flow, position from step").fetchall())
    unhandled = Counter(history.journal.execute("select process, key, position from unhandled").fetchall())
    for position, keys in history.journal.execute("select position, keys from event"):
        for process, of_process in json.loads(keys).items():
            for key in of_process:
                stepped = steps.pop((flows.get((process, key), 0), position), 0)
                recorded = unhandled.pop((process, key, position), 0)
                if (stepped, recorded) not in ((1, 0), (0, 1)):
                    yield f"event {position} of {process}/{key} has {stepped} steps, {recorded} records as unhandled"
    for left in (*steps, *unhandled):
        yield f"a step or record without routing: {left}"
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
        if command not in commands:
            yield f"command {command} of {attempts[0]} was begun, and the journal does not know it"
        elif any(flow != commands[command][0] for flow, _ in attempts):
            yield f"command {command} was begun for {attempts}, the journal has it for {commands[command][0]}"
        for effect in attempts:
            ids_of[effect].add(command)
    for effect, ids in ids_of.items():
        if len(ids) > 1:
            yield f"{effect} was done under {len(ids)} ids: {sorted(ids)}"
    for command, row in commands.items():
        if row[3] != "answered" or not history.done[command]:
            yield f"command {command} of {row} was done {history.done[command]} times"


def no_command_is_lost(history: History) -> Iterator[str]:
    kept = set(history.journal.execute("select flow, position, idx, lower(hex(id)) from command"))
    for flow, position, effects in history.journal.execute(
        "select flow, position, effects from step where effects is not null"
    ):
        for idx, effect in enumerate(json.loads(effects)):
            if "command" in effect and (flow, position, idx, effect["id"]) not in kept:
                yield f"flow {flow} asked for {effect['command']} at position {position}, and the command is lost"


def each_flow_keeps_its_order(history: History) -> Iterator[str]:
    """Versions have no gap; positions ascend, but for facts (handled where they were recorded), and for what waited
    for the start (handled right after it).
    """
    ids = set(history.journal.execute("select id from event"))
    steps: dict[int, list[tuple[int, int, bool, str]]] = defaultdict(list)
    for flow, version, position, caused_by, type_ in history.journal.execute(
        "select flow, step.version, step.position, caused_by, type from step"
        " join event on event.position = step.position order by seq"
    ):
        steps[flow].append((version, position, (caused_by,) in ids, type_))
    for flow, taken in steps.items():
        versions = [version for version, _, _, _ in taken]
        if versions != list(range(1, len(taken) + 1)):
            yield f"flow {flow} has the versions {versions}"
        start = taken[0][1]
        told = [(position, type_) for _, position, is_fact, type_ in taken[1:] if not is_fact]
        waited = [one for one in told if one[0] < start]
        if told != sorted(waited) + sorted(one for one in told if one[0] > start):
            yield f"flow {flow} started at {start} and handled {told}"


def every_flow_ended(history: History) -> Iterator[str]:
    for process, key, status, version in history.journal.execute(
        "select process, key, status, version from flow where status <> 'ended'"
    ):
        yield f"{process}/{key} is {status} at version {version}"
    armed = history.journal.execute("select count(*) from timer").fetchone()[0]
    if armed:
        yield f"{armed} timers are armed"


_RULES = (
    nothing_acknowledged_is_lost,
    each_event_is_handled_once_by_each_flow_concerned,
    nothing_is_unhandled_but_what_may_be,
    every_command_is_done_under_one_id,
    no_command_is_lost,
    each_flow_keeps_its_order,
    every_flow_ended,
)
