"""Laws of every commit: what must be in one transaction, judged over the commits of a run in their order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

import attrs

from procession.journal.rows import CommandRow, Commit, TimerRow
from procession.laws.histories import DECIDED, GIVEN_UP, REFUSED, effects_of


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
            seq = change.row.seq
            if seq in self.commands:  # else the rules have said that there is no such command
                self.commands[seq] = self.commands[seq]._replace(state=change.state)
        self.armed = _after(self.armed, commit.timers_ended, commit.timers)


@attrs.frozen
class _Seen:
    """One commit, and what those before it left."""

    known: _Known
    commit: Commit


Rule = Callable[[_Seen], Iterator[str]]


def broken_commits(commits: Iterable[Commit]) -> Iterator[tuple[str, str]]:
    """Each breach, as the rule's name and a sentence; commits are numbered from 1."""
    known = _Known()
    for number, commit in enumerate(commits, 1):
        for rule in RULES:
            for breach in rule(_Seen(known, commit)):
                yield rule.__name__, f"commit {number}: {breach}"
        known.take(commit)


def events_come_with_their_answer(seen: _Seen) -> Iterator[str]:
    """The commit that holds an event holds, for each flow concerned, its step, a delivery or a record."""
    commit = seen.commit
    ids = seen.known.ids | {(flow.process, flow.key): flow.id for flow in commit.flows.values()}
    answered = {(step.flow, step.position) for step in commit.steps}
    answered |= {place for place, row in commit.deliveries.items() if row is not None}
    unhandled = {(row.process, row.key, row.position) for row in commit.unhandled}
    for event in commit.events:
        for process, keys in json.loads(event.keys).items():
            for key in keys:
                place, named = (ids.get((process, key), 0), event.position), (process, key, event.position)
                if place not in answered and named not in unhandled:
                    yield f"event {event.position} ({event.type}) has nothing for {process}/{key} in its commit"


def deliveries_leave_with_their_answer(seen: _Seen) -> Iterator[str]:
    """A delivery row goes in the commit of the step, or of the record, that answers it."""
    commit = seen.commit
    names = {id_: name for name, id_ in seen.known.ids.items()}
    answered = {(step.flow, step.position) for step in commit.steps}
    unhandled = {(row.process, row.key, row.position) for row in commit.unhandled}
    for (flow, position), row in commit.deliveries.items():
        recorded = (*names.get(flow, ("", "")), position) in unhandled
        if row is None and (flow, position) not in answered and not recorded:
            yield f"the delivery of event {position} to flow {flow} goes, and nothing in its commit answers it"


def commands_join_their_step(seen: _Seen) -> Iterator[str]:
    """What a turn asks for is in the commit of its step, and nothing else is."""
    asked = {
        (step.flow, step.position, idx)
        for step in seen.commit.steps
        for idx, effect in enumerate(effects_of(step))
        if "command" in effect
    }
    kept = {(row.flow, row.position, row.idx) for row in seen.commit.commands}
    for flow, position, idx in sorted(asked - kept):
        yield f"effect {idx} of the step at event {position} of flow {flow} is a command, which is not in its commit"
    for flow, position, idx in sorted(kept - asked):
        yield f"a command of event {position} of flow {flow} (effect {idx}) is in another commit than its step"


def timers_move_with_their_step(seen: _Seen) -> Iterator[str]:
    """Set, cancelled, fired and ended timers change in the commit of the step, of the event, of the end."""
    known, commit = seen.known, seen.commit
    before = set(known.set_by)
    expected = _as_steps_say(known, commit)
    for event in commit.events:
        name = None if event.caused_by is None else known.set_by.get(event.caused_by)
        if name is None:
            continue
        if expected.get(name) == event.caused_by:
            del expected[name]
        elif known.armed.get(name) != event.caused_by and event.caused_by in before:
            yield f"the timer {name[1]} of flow {name[0]} fires at event {event.position} and is not armed"
    ended = {flow.id for flow in commit.flows.values() if flow.outcome is not None}
    expected = {name: timer for name, timer in expected.items() if name[0] not in ended}
    found = _after(known.armed, commit.timers_ended, commit.timers)
    for flow_id, timer in sorted(expected.keys() | found.keys()):
        left, was = found.get((flow_id, timer)), expected.get((flow_id, timer))
        if left != was:
            yield f"it leaves the timer {timer} of flow {flow_id} {_shown(left)}, its steps left it {_shown(was)}"


def _as_steps_say(known: _Known, commit: Commit) -> dict[tuple[int, str], bytes]:
    """The timers that are armed after the steps of a commit; what they set is known from now on."""
    armed = dict(known.armed)
    for step in commit.steps:
        for effect in effects_of(step):
            if "timer" in effect:
                timer = bytes.fromhex(effect["id"])
                armed[step.flow, effect["timer"]] = timer
                known.set_by[timer] = (step.flow, effect["timer"])
            elif "cancel" in effect:
                armed.pop((step.flow, effect["cancel"]), None)
    return armed


def answers_complete_their_command(seen: _Seen) -> Iterator[str]:
    """An answer, or the news that a command was given up, and the change of its command are one commit."""
    known, commit = seen.known, seen.commit
    seqs = known.seqs | {row.id: row.seq for row in commit.commands}
    states: dict[int, str] = {row.seq: row.state for row in (*known.commands.values(), *commit.commands)}
    ended = {change.row.seq: change.state for change in commit.command_changes if change.state != "open"}
    late = {row.position for row in commit.unhandled if row.reason == "late_answer"}
    for event in commit.events:
        seq = None if event.caused_by is None else seqs.get(event.caused_by)
        if seq is None or event.position in late:
            continue
        state = _ENDS.get(event.type, "answered")
        if ended.get(seq) != state:
            yield f"event {event.position} ({event.type}) answers command {seq}, which does not become {state} with it"
    told = {event.caused_by for event in commit.events if event.type == GIVEN_UP}
    for change in commit.command_changes:
        seq, was = change.row.seq, change.row.state
        if states.get(seq) != was:
            yield f"command {seq} becomes {change.state} from {was}, it was {states.get(seq)}"
        row = known.commands.get(seq)
        if change.state == "given_up" and row is not None and row.id not in told:
            yield f"command {seq} is given up, and its flow does not hear of it in that commit"
        states[seq] = change.state


def decisions_come_whole(seen: _Seen) -> Iterator[str]:
    """A decision of a command from outside, and all events that it led to, are one commit."""
    led_to = {event.position: event.caused_by for event in seen.commit.events}
    for event in seen.commit.events:
        if event.type == DECIDED:
            for position in range(event.position + 1, event.position + 1 + json.loads(event.payload)["events"]):
                if led_to.get(position) != event.id:
                    yield f"event {event.position} decides on event {position}, which is not in its commit"


_ENDS = {GIVEN_UP: "given_up", REFUSED: "refused"}


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
    decisions_come_whole,
)
