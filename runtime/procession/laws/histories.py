"""Laws of every history: what a journal's rows, and what the outside saw, must agree on, whatever happened.

They hold of a journal in memory, of a file after `kill -9`, and of one in production. Nothing is folded with the code
that they judge. Each law yields one sentence for each breach.
"""

from __future__ import annotations

import functools
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import attrs

from procession.journal.rows import CommandRow, Contents, EventRow, FlowRow, StepRow

GIVEN_UP = "procession.command_given_up"
REFUSED = "procession.command_refused"
DECIDED = "procession.command_decided"
_CANCEL = "procession.cancel_requested"


@attrs.frozen
class Begun:
    """One attempt, as its gateway saw it begin."""

    command_id: str
    """In hex, as gateways get it."""
    flow: str
    """`order/421`"""
    what: str
    """What was asked for, in a word."""
    state: str = "open"
    """Of the command in the journal, durable, when the attempt began; empty where the journal did not have it."""
    beside: bool = False
    """Another attempt of the same command was running in the same process."""
    answered: bool = False
    """An attempt before it was answered in the same process, and nobody had it sent again since."""


@attrs.frozen
class Past:
    """What is left of a run, and what the outside saw of it."""

    contents: Contents
    acknowledged: tuple[tuple[str, str, int], ...] = ()
    """(source, id, position) of each event whose sender heard that it is durable, in that order."""
    begun: tuple[Begun, ...] = ()
    command_id: Callable[[bytes, str, str, int], bytes] | None = None
    """Derives a command's id from event id, process, key and the effect's index; None: ids are not recomputed."""

    @functools.cached_property
    def flows(self) -> Mapping[int, FlowRow]:
        """By id."""
        return {row.id: row for row in self.contents.flows}

    @functools.cached_property
    def events(self) -> Mapping[int, EventRow]:
        """By position."""
        return {row.position: row for row in self.contents.events}

    @functools.cached_property
    def commands(self) -> Mapping[bytes, CommandRow]:
        """By id."""
        return {row.id: row for row in self.contents.commands}

    @functools.cached_property
    def steps(self) -> Mapping[int, list[StepRow]]:
        """By flow, in order of version."""
        found: dict[int, list[StepRow]] = defaultdict(list)
        for row in self.contents.steps:
            found[row.flow].append(row)
        return found

    def name(self, flow: int) -> str:
        """How people call a flow: `order/421`."""
        row = self.flows.get(flow)
        return f"flow {flow}, which has no row" if row is None else f"{row.process}/{row.key}"


Law = Callable[[Past], Iterator[str]]


def effects_of(step: StepRow) -> list[dict[str, Any]]:
    """What a step asked for."""
    found: list[dict[str, Any]] = json.loads(step.effects) if step.effects else []
    return found


def nothing_accepted_is_lost(past: Past) -> Iterator[str]:
    """Whoever heard that an event is durable finds it where it was said to be."""
    stored = {(row.source, row.source_id): row.position for row in past.contents.events}
    for source, id_, position in past.acknowledged:
        if stored.get((source, id_)) != position:
            yield f"{id_} was acknowledged at position {position}, the journal has it at {stored.get((source, id_))}"


def each_event_is_accepted_once(past: Past) -> Iterator[str]:
    """No id is there twice, neither ours nor one from outside; positions ascend."""
    named = [(row.source, row.source_id) for row in past.contents.events if row.source_id is not None]
    for (source, id_), number in _repeated(named):
        yield f"{source}/{id_} was accepted {number} times"
    for event, number in _repeated(row.id for row in past.contents.events):
        types = {row.type for row in past.contents.events if row.id == event}
        yield f"the event {event.hex()} ({', '.join(sorted(types))}) is in the journal {number} times"
    for position, number in _repeated(row.position for row in past.contents.events):
        yield f"position {position} was given out {number} times"


def each_event_is_answered_once(past: Past) -> Iterator[str]:
    """For each flow concerned, an event has one of: a step, a delivery that waits, a record that no turn handled it."""
    ids = {(row.process, row.key): row.id for row in past.contents.flows}
    steps = Counter((row.flow, row.position) for row in past.contents.steps)
    deliveries = Counter((row.flow, row.position) for row in past.contents.deliveries)
    unhandled = Counter((row.process, row.key, row.position) for row in past.contents.unhandled)
    for event in past.contents.events:
        for process, keys in json.loads(event.keys).items():
            for key in keys:
                place = (ids.get((process, key), 0), event.position)
                found = steps.pop(place, 0), deliveries.pop(place, 0), unhandled.pop((process, key, event.position), 0)
                if sum(found) != 1:
                    yield (
                        f"event {event.position} ({event.type}) of {process}/{key} has {found[0]} steps,"
                        f" {found[1]} deliveries and {found[2]} records that no turn handled it, not one of them"
                    )
    for flow, position in (*steps, *deliveries):
        yield f"{past.name(flow)} has something of event {position}, which does not concern it"
    for process, key, position in unhandled:
        if key:  # without a key it could not be routed to any flow
            yield f"event {position} is recorded as unhandled by {process}/{key}, which it does not concern"


def versions_have_no_gap(past: Past) -> Iterator[str]:
    """The steps of a flow are 1, 2, 3 … up to the version of its row."""
    for flow in past.flows.keys() | past.steps.keys():
        versions = [step.version for step in past.steps.get(flow, ())]
        row = past.flows.get(flow)
        if row is None or versions != list(range(1, row.version + 1)):
            at = "without a row" if row is None else f"at version {row.version}"
            yield f"{past.name(flow)} is {at} and has the versions {versions}"


def each_flow_keeps_its_order(past: Past) -> Iterator[str]:
    """Positions ascend, but for what waited for the start, which follows it in order.

    Facts and acts stand where they were recorded; acts of operators go before what waits.
    """
    ids = {row.id for row in past.contents.events}
    for flow, steps in past.steps.items():
        taken = [
            step.position
            for step in steps
            if step.outcome != "act"
            and (event := past.events.get(step.position)) is not None
            and event.caused_by not in ids
            and event.type != _CANCEL
        ]
        if not taken:
            continue
        start, *after = taken
        waited = sorted(position for position in after if position < start)
        if after != waited + sorted(position for position in after if position > start):
            yield f"{past.name(flow)} started at event {start} and handled {after}, not in the journal's order"


def commands_are_what_steps_asked_for(past: Past) -> Iterator[str]:
    """Each command of a step is kept under its id, and none is kept that no step asked for; ids are as derived."""
    kept = {(row.flow, row.position, row.idx): row for row in past.contents.commands}
    for step in past.contents.steps:
        for idx, effect in enumerate(effects_of(step)):
            if "command" not in effect:
                continue
            row = kept.pop((step.flow, step.position, idx), None)
            asked = f"{past.name(step.flow)} asked for {effect['command']} at event {step.position}"
            if row is None:
                yield f"{asked}, and the command is lost"
            elif row.id.hex() != effect["id"]:
                yield f"{asked} under the id {effect['id']}, and the command is kept under {row.id.hex()}"
            elif past.command_id is not None and row.id != _derived(past, step, idx):
                yield f"{asked} under the id {effect['id']}, which is not derived from event and index"
    for row in kept.values():
        yield f"the command {row.id.hex()} ({row.type}) is kept, and no step of {past.name(row.flow)} asked for it"
    for command, number in _repeated(row.id for row in past.contents.commands):
        yield f"the command id {command.hex()} was given {number} times"


def _derived(past: Past, step: StepRow, idx: int) -> bytes | None:
    event, flow = past.events.get(step.position), past.flows.get(step.flow)
    if past.command_id is None or event is None or flow is None:
        return None
    return past.command_id(event.id, flow.process, flow.key, idx)


def each_command_ends_once(past: Past) -> Iterator[str]:
    """Its answer, its giving up and its state agree; what came after its end is recorded as such."""
    late = {row.position for row in past.contents.unhandled if row.reason == "late_answer"}
    answers: Counter[bytes] = Counter()
    given_up: Counter[bytes] = Counter()
    refused: Counter[bytes] = Counter()
    told = {GIVEN_UP: given_up, REFUSED: refused}
    for event in past.contents.events:
        if event.caused_by is not None and event.caused_by in past.commands and event.position not in late:
            told.get(event.type, answers)[event.caused_by] += 1
    for command in past.contents.commands:
        called = f"the command {command.id.hex()} ({command.type}) of {past.name(command.flow)}"
        if answers[command.id] and command.state != "answered":
            yield f"{called} was answered, and its state is {command.state}"
        if command.state == "given_up" and not given_up[command.id]:
            yield f"{called} was given up, and its flow never heard of it"
        if (command.state == "refused") != (refused[command.id] == 1):
            yield f"{called} is {command.state}, and its flow was told {refused[command.id]} times that it was refused"


def decisions_stand_beside_their_command(past: Past) -> Iterator[str]:
    """What an aggregate decided follows the command, as many events as that says; and nothing else is in its stream."""
    aggregates = {row.name for row in past.contents.types if row.kind == "aggregate"}
    decided: dict[bytes, range] = {}
    for event in past.contents.events:
        if event.type == DECIDED:
            said = json.loads(event.payload)
            decided[event.id] = follow = range(event.position + 1, event.position + 1 + said["events"])
            stream = f"{said['aggregate']}/{said['key']}"
            for position in follow:
                row = past.events.get(position)
                if row is None or row.caused_by != event.id:
                    yield f"the decision at event {event.position} of {stream} is not followed by its event {position}"
    for flow, steps in past.steps.items():
        if flow not in past.flows or past.flows[flow].process not in aggregates:
            continue
        for step in steps:
            row = past.events.get(step.position)
            cause = None if row is None else row.caused_by
            command = None if cause is None else past.commands.get(cause)
            asked = command is not None and (command.gateway, command.state) == (past.flows[flow].process, "answered")
            if not asked and (cause is None or step.position not in decided.get(cause, ())):
                yield f"{past.name(flow)} has event {step.position} at version {step.version}, which no command led to"


def timers_are_what_steps_left(past: Past) -> Iterator[str]:
    """Armed is what was set and neither replaced, cancelled nor fired; nothing once the flow has ended."""
    fired = {row.caused_by for row in past.contents.events}
    expected: dict[tuple[int, str], str] = {}
    for flow, steps in past.steps.items():
        if flow in past.flows and past.flows[flow].outcome is not None:
            continue
        for effect in (effect for step in steps for effect in effects_of(step)):
            if "timer" in effect:
                expected[flow, effect["timer"]] = effect["id"]
            elif "cancel" in effect:
                expected.pop((flow, effect["cancel"]), None)
    expected = {name: timer for name, timer in expected.items() if bytes.fromhex(timer) not in fired}
    found = {(row.flow, row.name): row.id.hex() for row in past.contents.timers}
    for flow, name in sorted(expected.keys() | found.keys()):
        if expected.get((flow, name)) != found.get((flow, name)):
            armed = found.get((flow, name), "nothing")
            yield (
                f"the timer {name} of {past.name(flow)} is {armed}, its steps left"
                f" {expected.get((flow, name), 'nothing')}"
            )


def each_deadline_fires_once(past: Past) -> Iterator[str]:
    """A timer becomes an event once, and not before it is due."""
    due: dict[bytes, tuple[str, int]] = {}
    for step in past.contents.steps:
        for effect in effects_of(step):
            if "timer" in effect:
                due[bytes.fromhex(effect["id"])] = (effect["timer"], effect["due_us"])
    fired: Counter[bytes] = Counter()
    for event in past.contents.events:
        if event.caused_by is None or event.caused_by not in due:
            continue
        fired[event.caused_by] += 1
        name, due_us = due[event.caused_by]
        if fired[event.caused_by] == 2:  # noqa: PLR2004 - the second is the breach, told once
            yield f"the timer {name} fired again at event {event.position}"
        if event.recorded_us < due_us:
            yield f"the timer {name} fired at event {event.position}, {due_us - event.recorded_us} us before it was due"


def a_deadline_is_handled_only_while_it_stands(past: Past) -> Iterator[str]:
    """What a flow cancelled, or armed again, before it handled the deadline, it never handles."""
    for flow, steps in past.steps.items():
        standing: dict[str, bytes] = {}
        names: dict[bytes, str] = {}
        for step in steps:
            event = past.events.get(step.position)
            name = None if event is None or event.caused_by is None else names.get(event.caused_by)
            if event is not None and name is not None and standing.pop(name, None) != event.caused_by:
                yield f"{past.name(flow)} handled the deadline {name} at event {step.position}, and had withdrawn it"
            for effect in effects_of(step):
                if "timer" in effect:
                    timer = bytes.fromhex(effect["id"])
                    standing[effect["timer"]], names[timer] = timer, effect["timer"]
                elif "cancel" in effect:
                    standing.pop(effect["cancel"], None)


def attempts_follow_their_commit(past: Past) -> Iterator[str]:
    """A command reaches its gateway once it is durable, under its id in the journal, and not twice at one time."""
    for begun in past.begun:
        row = past.commands.get(bytes.fromhex(begun.command_id))
        called = f"{begun.what} of {begun.flow} was begun under the id {begun.command_id}"
        if row is None:
            yield f"{called}, which the journal does not know"
        elif past.name(row.flow) != begun.flow:
            yield f"{called}, which is a command of {past.name(row.flow)}"
        elif begun.state != "open":
            yield f"{called} {f'after it was {begun.state}' if begun.state else 'before its commit was durable'}"
        if begun.beside:
            yield f"{called} while another attempt of it was running"
        if begun.answered:
            yield f"{called} after the same process had its answer"


def _repeated(values: Iterable[Any]) -> list[tuple[Any, int]]:
    return [(value, number) for value, number in Counter(values).items() if number > 1]


LAWS: tuple[Law, ...] = (
    nothing_accepted_is_lost,
    each_event_is_accepted_once,
    each_event_is_answered_once,
    versions_have_no_gap,
    each_flow_keeps_its_order,
    commands_are_what_steps_asked_for,
    each_command_ends_once,
    decisions_stand_beside_their_command,
    timers_are_what_steps_left,
    each_deadline_fires_once,
    a_deadline_is_handled_only_while_it_stands,
    attempts_follow_their_commit,
)
"""All of them hold at any moment of a run, not only when all rests."""
