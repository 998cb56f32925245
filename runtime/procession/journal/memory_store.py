"""What a journal in memory holds: rows by key, and sorted keys where a question has an order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Container, Hashable, Iterable
from typing import Any, Generic, TypeVar

import attrs

from procession.journal.rows import (
    ArmedTimer,
    CommandChange,
    CommandRow,
    Commit,
    ConcernRow,
    DeliveryRow,
    EventRow,
    FlowRow,
    OwnerInfo,
    PastStep,
    ShortFlow,
    SnapshotRow,
    StepRow,
    TimerRow,
    TypeRow,
    UnhandledRow,
)
from procession.journal.undone import Nested, Undone
from procession.journal_errors import CommitRejected

K = TypeVar("K", bound=Any)


class Ordered(Generic[K]):
    """A set in order. What is added is mostly the highest, which costs nothing."""

    def __init__(self) -> None:
        self.keys: list[K] = []

    def add(self, key: K) -> None:
        """Add a key; there already: no change."""
        place = bisect_left(self.keys, key)
        if place == len(self.keys) or self.keys[place] != key:
            self.keys.insert(place, key)

    def discard(self, key: K) -> None:
        """Take a key out; not there: no change."""
        place = bisect_left(self.keys, key)
        if place < len(self.keys) and self.keys[place] == key:
            del self.keys[place]

    def after(self, key: K, limit: int) -> list[K]:
        """The next keys above this one."""
        place = bisect_right(self.keys, key)
        return self.keys[place : place + limit]


@attrs.define
class Store:
    """The rows, and the owner. Shared by a journal and those reopened from it."""

    id: bytes
    owner: OwnerInfo | None = None
    renewed_us: int = 0
    clean: bool = True
    events: dict[int, EventRow] = attrs.field(factory=dict)
    positions: list[int] = attrs.field(factory=list)
    sources: dict[tuple[str | None, str], int] = attrs.field(factory=dict)
    steps: dict[int, list[StepRow]] = attrs.field(factory=dict)
    handled: dict[tuple[int, int], StepRow] = attrs.field(factory=dict)
    """By (flow, position)."""
    flows: dict[int, FlowRow] = attrs.field(factory=dict)
    flow_ids: Ordered[int] = attrs.field(factory=Ordered)
    by_key: dict[tuple[str, str], int] = attrs.field(factory=dict)
    commands: dict[int, CommandRow] = attrs.field(factory=dict)
    command_ids: dict[bytes, int] = attrs.field(factory=dict)
    command_effects: set[tuple[int, int, int]] = attrs.field(factory=set)
    """(flow, position, idx)."""
    commands_of: dict[int, Ordered[int]] = attrs.field(factory=dict)
    open: dict[str, Ordered[tuple[int, int]]] = attrs.field(factory=dict)
    """By gateway, (due_us, seq)."""
    timers: dict[tuple[int, str], TimerRow] = attrs.field(factory=dict)
    timer_names: dict[int, set[str]] = attrs.field(factory=dict)
    due: Ordered[tuple[int, int, str]] = attrs.field(factory=Ordered)
    deliveries: dict[int, dict[int, DeliveryRow]] = attrs.field(factory=dict)
    """By flow, by position."""
    delivering: dict[str, Ordered[tuple[int, int]]] = attrs.field(factory=dict)
    """By state, (flow, position)."""
    unhandled: dict[tuple[int, str, str], UnhandledRow] = attrs.field(factory=dict)
    unhandled_keys: Ordered[tuple[int, str, str]] = attrs.field(factory=Ordered)
    snapshots: dict[int, SnapshotRow] = attrs.field(factory=dict)
    types: dict[tuple[str, str, int], TypeRow] = attrs.field(factory=dict)
    concerns: dict[tuple[str, str], ConcernRow] = attrs.field(factory=dict)

    def trace_of(self, flow: int) -> str | None:
        """That of the event that a flow handled first."""
        steps = self.steps.get(flow)
        return self.events[steps[0].position].trace if steps else None

    def armed(self, flow: int, name: str) -> ArmedTimer:
        """What `timers` tells of one."""
        row = self.flows[flow]
        return ArmedTimer(self.timers[flow, name], row.process, row.key, self.trace_of(flow))

    def short_flow(self, flow: int, steps_max: int) -> ShortFlow:
        """What `load_many` tells of a flow."""
        row, held = self.flows[flow], bool(self.deliveries.get(flow))
        if row.outcome is not None:
            return ShortFlow(row, [], held)
        if row.version > steps_max:
            return ShortFlow(row, None, held)
        handled = [(step, self.events[step.position]) for step in self.steps.get(flow, [])]
        steps = [
            PastStep(step.version, step.outcome, event.type, event.version, event.payload) for step, event in handled
        ]
        return ShortFlow(row, steps, held, self.trace_of(flow))

    def withdrawn(self, commit: Commit) -> list[UnhandledRow]:
        """The rows that the withdrawals of a commit leave."""
        found: list[UnhandledRow] = []
        for flow, timer in dict.fromkeys(commit.withdrawn):
            row = commit.flows.get(flow) or self.flows.get(flow)
            if row is not None:
                found += [
                    UnhandledRow(delivery.position, row.process, row.key, "withdrawn")
                    for delivery in self.deliveries.get(flow, {}).values()
                    if delivery.timer == timer and commit.deliveries.get((flow, delivery.position), True)
                ]
        return found

    def apply(self, commit: Commit) -> None:
        """Write a commit that was checked: nothing here fails."""
        self.types.update({(row.kind, row.name, row.version): row for row in commit.types})
        self.concerns.update({(row.process, row.type): row for row in commit.concerns})
        for event in commit.events:
            self.events[event.position] = event
            self.positions.append(event.position)
            if event.source_id is not None:
                self.sources[event.source, event.source_id] = event.position
        withdrawn = self.withdrawn(commit)
        for flow in commit.flows.values():
            if flow.id not in self.flows:
                self.flow_ids.add(flow.id)
                self.by_key[flow.process, flow.key] = flow.id
            self.flows[flow.id] = flow
        for step in commit.steps:
            self.steps.setdefault(step.flow, []).append(step)
            self.handled[step.flow, step.position] = step
        self._apply_deliveries(commit, withdrawn)
        for command in commit.commands:
            self._add_command(command)
        for change in commit.command_changes:
            self._change_command(change)
        self._apply_timers(commit)
        self.snapshots.update({row.flow: row for row in commit.snapshots})

    def _apply_deliveries(self, commit: Commit, withdrawn: list[UnhandledRow]) -> None:
        for row in (*commit.unhandled, *withdrawn):
            self.unhandled[row.position, row.process, row.key] = row
            self.unhandled_keys.add((row.position, row.process, row.key))
        for flow in commit.resumed:
            for delivery in list(self.deliveries.get(flow, {}).values()):
                self._set_delivery(delivery._replace(state="pending"))
        for row in withdrawn:
            self._drop_delivery(self.by_key[row.process, row.key], row.position)
        for (flow, position), changed in commit.deliveries.items():
            if changed is None:
                self._drop_delivery(flow, position)
            else:
                self._set_delivery(changed)

    def _set_delivery(self, row: DeliveryRow) -> None:
        self._drop_delivery(row.flow, row.position)
        self.deliveries.setdefault(row.flow, {})[row.position] = row
        self.delivering.setdefault(row.state, Ordered()).add((row.flow, row.position))

    def _drop_delivery(self, flow: int, position: int) -> None:
        of_flow = self.deliveries.get(flow, {})
        gone = of_flow.pop(position, None)
        if gone is not None:
            self.delivering[gone.state].discard((flow, position))
            if not of_flow:
                del self.deliveries[flow]

    def _add_command(self, row: CommandRow) -> None:
        self.commands[row.seq] = row
        self.command_ids[row.id] = row.seq
        self.command_effects.add((row.flow, row.position, row.idx))
        self.commands_of.setdefault(row.flow, Ordered()).add(row.seq)
        if row.state == "open":
            self.open.setdefault(row.gateway, Ordered()).add((row.due_us, row.seq))

    def _change_command(self, change: CommandChange) -> None:
        old = self.commands[change.row.seq]
        assert old[:_CHANGES_FROM] == change.row[:_CHANGES_FROM], "what is not changed is as it was"
        new = old._replace(state=change.state, attempts=change.attempts, due_us=change.due_us, log=change.log)
        self.commands[old.seq] = new
        if old.state == "open":
            self.open[old.gateway].discard((old.due_us, old.seq))
        if new.state == "open":
            self.open.setdefault(new.gateway, Ordered()).add((new.due_us, new.seq))

    def _apply_timers(self, commit: Commit) -> None:
        for flow in commit.timers_ended:
            for name in list(self.timer_names.get(flow, ())):
                self._drop_timer(flow, name)
        for (flow, name), row in commit.timers.items():
            self._drop_timer(flow, name)
            if row is not None:
                self.timers[flow, name] = row
                self.timer_names.setdefault(flow, set()).add(name)
                self.due.add((row.due_us, flow, name))

    def _drop_timer(self, flow: int, name: str) -> None:
        gone = self.timers.pop((flow, name), None)
        if gone is not None:
            self.due.discard((gone.due_us, flow, name))
            self.timer_names[flow].discard(name)


_CHANGES_FROM = CommandRow._fields.index("state")


def check(store: Store, commit: Commit) -> None:
    """Refuse a commit that does not fit, before any of it is written.

    Raises:
        CommitRejected: as SQLite's constraints would.
    """
    _check_events(store, commit)
    _check_flows(store, commit)
    _new("type", store.types, [(row.kind, row.name, row.version) for row in commit.types])
    _new("step", store.handled, [(row.flow, row.position) for row in commit.steps])
    left = [*commit.unhandled, *store.withdrawn(commit)]
    _new("unhandled", store.unhandled, [(row.position, row.process, row.key) for row in left])
    _new("command seq", store.commands, [row.seq for row in commit.commands])
    _new("command id", store.command_ids, [row.id for row in commit.commands])
    _new("command", store.command_effects, [(row.flow, row.position, row.idx) for row in commit.commands])
    states: dict[int, str] = {row.seq: row.state for row in commit.commands}
    for change in commit.command_changes:
        seq, was = change.row.seq, change.row.state
        stored = store.commands.get(seq)
        state = states.get(seq, None if stored is None else stored.state)
        if state != was:
            raise CommitRejected(f"command {seq} is {state or 'not there'}, not {was}")
        states[seq] = change.state


def _new(what: str, stored: Container[Any], keys: list[Any]) -> None:
    seen: set[Hashable] = set()
    for key in keys:
        if key in stored or key in seen:
            raise CommitRejected(f"{what} {key} exists")
        seen.add(key)


def _check_events(store: Store, commit: Commit) -> None:
    last = store.positions[-1] if store.positions else 0
    for event in commit.events:
        if event.position <= last:
            raise CommitRejected(f"position {event.position} does not follow position {last}")
        last = event.position
    named = [(event.source, event.source_id) for event in commit.events if event.source_id is not None]
    _new("event of source and id", store.sources, named)


def _check_flows(store: Store, commit: Commit) -> None:
    versions = {flow: store.flows[flow].version if flow in store.flows else 0 for flow in commit.flows}
    for step in commit.steps:
        if step.version != versions.get(step.flow, -1) + 1:
            raise CommitRejected(f"version {step.version} of flow {step.flow} does not follow its row")
        versions[step.flow] = step.version
    for row in commit.flows.values():
        if row.version != versions[row.id]:
            raise CommitRejected(f"the row of flow {row.id} is not at the version {versions[row.id]} of its last step")
        if store.by_key.get((row.process, row.key), row.id) != row.id:
            raise CommitRejected(f"flow {row.process} {row.key} exists")
    fresh = [row for row in commit.flows.values() if row.id not in store.flows]
    _new("flow", {}, [(row.process, row.key) for row in fresh])


def undone_in(store: Store) -> Undone:
    """What is not done yet, counted."""
    flows = [row for row in store.flows.values() if row.status in ("unstarted", "active", "quarantined")]
    deliveries = [row for of_flow in store.deliveries.values() for row in of_flow.values()]
    oldest: dict[str, int] = {}
    for row in sorted(deliveries, key=lambda row: row.position):
        oldest.setdefault(row.state, store.events[row.position].recorded_us)
    return Undone(
        nested((row.process, row.status) for row in flows),
        dict(Counter(row.state for row in deliveries)),
        oldest,
        dict(Counter(row.gateway for row in store.commands.values() if row.state == "open")),
        len(store.timers),
    )


def nested(pairs: Iterable[tuple[str, str]]) -> Nested:
    """How often each pair is there."""
    found: Nested = {}
    for (outer, inner), count in Counter(pairs).items():
        found.setdefault(outer, {})[inner] = count
    return found
