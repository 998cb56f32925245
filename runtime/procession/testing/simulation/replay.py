"""Every flow again from its steps: each turn must ask for what its step says, snapshots must hold what is folded.

So a turn that ran on a wrong state is found, also where its rows are in order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from procession.engine.envelopes import envelope_of, message_of
from procession.engine.turn import Life, Turn, TurnFailed, run_turn
from procession.journal.rows import Contents, EventRow, FlowRow, SnapshotRow, StepRow
from procession.journal.snapshot_seal import is_of
from procession.laws.histories import effects_of
from procession.primitives.codec import from_json
from procession.primitives.command import Command
from procession.primitives.definition import Definition
from procession.primitives.effects import After, At, Cancel, Effect, Record
from procession.primitives.history import History, Turned
from procession.primitives.invariant import Invariant
from procession.primitives.process import ProcessManager
from procession.primitives.registry import Registry
from procession.primitives.stored import stored_of

_EFFECTS_MAX = 100_000


def replayed(contents: Contents, registry: Registry, invariants: Sequence[Invariant]) -> Iterator[tuple[str, str]]:
    """Each breach, as the rule's name and a sentence."""
    events = {row.position: row for row in contents.events}
    snapshots = {row.flow: row for row in contents.snapshots}
    steps: dict[int, list[StepRow]] = defaultdict(list)
    for step in contents.steps:
        steps[step.flow].append(step)
    for flow in contents.flows:
        if flow.process in registry.aggregates:
            continue  # its decisions are made again in decided_again.py
        known = [step for step in steps[flow.id] if step.position in events]
        yield from _Replay(registry, flow, events, snapshots.get(flow.id), invariants).run(known)


class _Replay:
    """One flow."""

    def __init__(
        self,
        registry: Registry,
        flow: FlowRow,
        events: dict[int, EventRow],
        snapshot: SnapshotRow | None,
        invariants: Sequence[Invariant],
    ) -> None:
        self.registry = registry
        self.definition: Definition = registry.processes[flow.process]
        self.name = f"{flow.process}/{flow.key}"
        self.events = events
        current = snapshot is not None and is_of(snapshot, registry.fingerprints[flow.process])
        self.snapshot = snapshot if current else None
        self.invariants = [rule for rule in invariants if rule.process is self.definition.cls]
        self.history = History(self.definition.cls, flow.key)

    def run(self, steps: list[StepRow]) -> Iterator[tuple[str, str]]:
        """Its steps in order."""
        state, life = self.definition.cls(), _UNSTARTED
        for step in steps:
            if step.outcome == "handled":
                row = self.events[step.position]
                event = message_of(self.registry, row)
                at = f"{self.name} at event {row.position} ({row.type})"
                try:
                    turn = run_turn(self.definition, state, event, life, lambda row=row: envelope_of(row), _EFFECTS_MAX)  # type: ignore[misc]
                except TurnFailed as error:
                    yield "each_turn_is_the_same_again", f"{at}: the turn went well, and fails again: {error}"
                    return
                yield from self._compare(at, step, turn)
                state, life = turn.state, "ended" if turn.outcome is not None or life == "ended" else "active"
                turned = Turned(event, turn.name, turn.effects, turn.outcome)
                self.history = History(self.history.process, self.history.key, (*self.history.turns, turned))
                for rule in self.invariants:
                    if not rule(self.history):
                        yield rule.name, f"{at}: it does not hold that {rule.says}"
            if self._differs_from_snapshot(step, state):
                yield "a_snapshot_holds_what_is_folded", f"{self.name} at version {step.version}"

    def _differs_from_snapshot(self, step: StepRow, state: ProcessManager) -> bool:
        if self.snapshot is None or self.snapshot.version != step.version:
            return False
        return bool(from_json(self.snapshot.state) != from_json(self.registry.codec.state_to_json(state)))

    def _compare(self, at: str, step: StepRow, turn: Turn) -> Iterator[tuple[str, str]]:
        asked, again = [_stored(effect) for effect in effects_of(step)], [self._told(one) for one in turn.effects]
        if asked != again:
            yield "each_turn_is_the_same_again", f"{at} asked for {asked}, and again for {again}"

    def _told(self, effect: Effect) -> tuple[Any, ...]:
        match effect:
            case Command():
                data = from_json(self.registry.codec.encode(effect).decode())
                return ("command", stored_of(type(effect)).name, data)
            case After(_, event, name) | At(_, event, name):
                return ("timer", name, from_json(self.registry.codec.encode(event).decode()))
            case Cancel(name):
                return ("cancel", name)
            case Record(event):
                return ("record", stored_of(type(event)).name)
        return ("end",)


def _stored(effect: dict[str, Any]) -> tuple[Any, ...]:
    if "command" in effect:
        return ("command", effect["command"], effect["data"])
    if "timer" in effect:
        return ("timer", effect["timer"], effect["data"])
    if "cancel" in effect:
        return ("cancel", effect["cancel"])
    return ("record", effect["record"]) if "record" in effect else ("end",)


_UNSTARTED: Life = "unstarted"
