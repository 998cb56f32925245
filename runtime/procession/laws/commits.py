"""Laws of every commit: what must be in one transaction, judged over the commits of a run in their order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

import attrs

from procession.journal.rows import CommandChange, CommandRow, Commit, TimerRow
from procession.laws.histories import GIVEN_UP, effects_of


@attrs.define
class _Known:
    """What the commits before this one left, of that which they change."""

    ids: dict[tuple[str, str], int] = attrs.field(factory=dict)
    """Flows by process and key."""
    armed: dict[tuple[int, str], bytes] = attrs.field(factory=dict)
    """Timer ids by flow and name."""
    set_by: dict[bytes, tuple[int, str]] = attrs.field(factory=dict)
    """Flow and name by timer id: every timer that a step ever set."""
    commands: dict[int, CommandRow] = attrs.field(factory=dict)
    """By number."""
    seqs: dict[bytes, int] = attrs.field(factory=dict)

    def take(self, commit: Commit) -> None:
        """Go on to the next commit."""
        for flow in commit.flows.values():
            self.ids[flow.process, flow.key] = flow.id
        for row in commit.commands:
            self.commands[row.seq], self.seqs[row.id] = row, row.seq
        for change in commit.command_changes:
            self.commands[change.seq] = self.commands[change.seq]._replace(state=change.state)
        self.armed = _after(self.armed, commit.timers_ended, commit.timers)


Rule = Callable[[_Known, Commit], Iterator[str]]


def broken_commits(commits: Iterable[Commit]) -> Iterator[tuple[str, str]]:
    """Each breach, as the rule's name and a sentence; commits are numbered from 1."""
    known = _Known()
    for number, commit in enumerate(commits, 1):
        for rule in RULES:
            for breach in rule(known, commit):
                yield rule.__name__, f"commit {number}: {breach}"
        known.take(commit)


def events_come_with_their_answer(known: _Known, commit: Commit) -> Iterator[str]:
    """The commit that holds an event holds, for each flow concerned, its step, a delivery or a record."""
    ids = known.ids | {(flow.process, flow.key): flow.id for flow in commit.flows.values()}
    steps = {(step.flow, step.position) for step in commit.steps}
    unhandled = {(row.process, row.key, row.position) for row in commit.unhandled}
    for event in commit.events:
        for process, keys in json.loads(event.keys).items():
            for key in keys:
                place = (ids.get((process, key), 0), event.position)
                if place not in steps and not commit.deliveries.get(place):
                    if (process, key, event.position) not in unhandled:
                        yield f"event {event.position} ({event.type}) has nothing for {process}/{key} in its commit"


def deliveries_leave_with_their_answer(known: _Known, commit: Commit) -> Iterator[str]:
    """A delivery row goes in the commit of the step, or of the record, that answers it."""
    names = {id_: name for name, id_ in known.ids.items()}
    answered = {(step.flow, step.position) for step in commit.steps}
    unhandled = {(row.process, row.key, row.position) for row in commit.unhandled}
    for (flow, position), row in commit.deliveries.items():
        if row is None and (flow, position) not in answered:
            if (*names.get(flow, ("", "")), position) not in unhandled:
                yield f"the delivery of event {position} to flow {flow} goes, and nothing in its commit answers it"


def commands_join_their_step(known: _Known, commit: Commit) -> Iterator[str]:
    """What a turn asks for is in the commit of its step, and nothing else is."""
    asked = {
        (step.flow, step.position, idx)
        for step in commit.steps
        for idx, effect in enumerate(effects_of(step))
        if "command" in effect
    }
    kept = {(row.flow, row.position, row.idx) for row in commit.commands}
    for flow, position, idx in sorted(asked - kept):
        yield f"effect {idx} of the step at event {position} of flow {flow} is a command, which is not in its commit"
    for flow, position, idx in sorted(kept - asked):
        yield f"a command of event {position} of flow {flow} (effect {idx}) is in another commit than its step"


def timers_move_with_their_step(known: _Known, commit: Commit) -> Iterator[str]:
    """Set, cancelled, fired and ended timers change in the commit of the step, of the event, of the end."""
    expected = dict(known.armed)
    for step in commit.steps:
        for effect in effects_of(step):
            if "timer" in effect:
                timer = bytes.fromhex(effect["id"])
                expected[step.flow, effect["timer"]] = timer
                known.set_by[timer] = (step.flow, effect["timer"])
            elif "cancel" in effect:
                expected.pop((step.flow, effect["cancel"]), None)
    for event in commit.events:
        name = None if event.caused_by is None else known.set_by.get(event.caused_by)
        if name is not None and expected.get(name) == event.caused_by:
            del expected[name]
        elif name is not None and known.armed.get(name) != event.caused_by:
            yield f"the timer {name[1]} of flow {name[0]} fires at event {event.position} and is not armed"
    for flow in commit.flows.values():
        if flow.outcome is not None:
            expected = {name: timer for name, timer in expected.items() if name[0] != flow.id}
    found = _after(known.armed, commit.timers_ended, commit.timers)
    for flow_id, name_ in sorted(expected.keys() | found.keys()):
        if expected.get((flow_id, name_)) != found.get((flow_id, name_)):
            left, was = found.get((flow_id, name_)), expected.get((flow_id, name_))
            yield f"it leaves the timer {name_} of flow {flow_id} {_shown(left)}, its steps left it {_shown(was)}"


def answers_complete_their_command(known: _Known, commit: Commit) -> Iterator[str]:
    """An answer, or the news that a command was given up, and the change of its command are one commit."""
    seqs = known.seqs | {row.id: row.seq for row in commit.commands}
    states: dict[int, str] = {seq: row.state for seq, row in known.commands.items()}
    states |= {row.seq: row.state for row in commit.commands}
    ended = {change.seq: change.state for change in commit.command_changes if change.state != "open"}
    late = {row.position for row in commit.unhandled if row.reason == "late_answer"}
    for event in commit.events:
        seq = None if event.caused_by is None else seqs.get(event.caused_by)
        if seq is None or event.position in late:
            continue
        state = "given_up" if event.type == GIVEN_UP else "answered"
        if ended.get(seq) != state:
            yield f"event {event.position} ({event.type}) answers command {seq}, which does not become {state} with it"
    told = {event.caused_by for event in commit.events if event.type == GIVEN_UP}
    for change in commit.command_changes:
        yield from _wrong_change(change, states, known, told)
        states[change.seq] = change.state


def _wrong_change(
    change: CommandChange, states: dict[int, str], known: _Known, told: set[bytes | None]
) -> Iterator[str]:
    was = states.get(change.seq)
    if was != change.was:
        yield f"command {change.seq} becomes {change.state} from {change.was}, and it was {was}"
    row = known.commands.get(change.seq)
    if change.state == "given_up" and row is not None and row.id not in told:
        yield f"command {change.seq} is given up, and its flow does not hear of it in that commit"


def _after(
    armed: dict[tuple[int, str], bytes], ended: set[int], changes: dict[tuple[int, str], TimerRow | None]
) -> dict[tuple[int, str], bytes]:
    left = {name: timer for name, timer in armed.items() if name[0] not in ended}
    for name, row in changes.items():
        if row is None:
            left.pop(name, None)
        else:
            left[name] = row.id
    return left


def _shown(timer: bytes | None) -> str:
    return "unarmed" if timer is None else f"armed as {timer.hex()}"


RULES: tuple[Rule, ...] = (
    events_come_with_their_answer,
    deliveries_leave_with_their_answer,
    commands_join_their_step,
    timers_move_with_their_step,
    answers_complete_their_command,
)
