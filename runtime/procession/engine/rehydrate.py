"""Folding a flow from its steps, in order of version, in slices, from a snapshot where one fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import trio

from procession.engine.flow import Flow
from procession.engine.guard import Guard
from procession.engine.stream import Stream
from procession.engine.turn import TurnFailed, refold
from procession.errors import InvalidPayload, ProcessionError, UnknownType, WiringError
from procession.journal.journal import JournalReader
from procession.journal.rows import ShortFlow, SnapshotRow, StepOutcome
from procession.journal.snapshot_seal import is_of
from procession.primitives.codec import bytes_of
from procession.primitives.definition import Reaction
from procession.primitives.process import ProcessManager
from procession.primitives.registry import Registry
from procession.primitives.state import State
from procession.telemetry.names import Counters


class Rehydrator:
    """Brings flows into memory. Changes nothing in the journal."""

    def __init__(
        self,
        registry: Registry,
        journal: JournalReader,
        counters: Counters,
        fingerprints: Mapping[str, str],
        *,
        slice_steps: int,
        snapshot_every: int,
        guard: Guard,
    ) -> None:
        self._registry = registry
        self._journal = journal
        self._counters = counters
        self._fingerprints = fingerprints
        self._slice_steps = slice_steps
        self._short_steps = min(slice_steps, snapshot_every - 1, _SHORT_STEPS_MAX)
        """A flow of so many steps is folded from all of them: it has no snapshot, or gains nothing by it."""
        self._guard = guard
        self._folding: dict[tuple[str, str, int], Reaction | None] = {}

    async def load(self, flow: Stream) -> None:
        """Read and fold a flow or aggregate that is resident and not folded. One that has ended is not: nothing asks.

        Raises:
            TurnFailed: a fold raised.
            InvalidPayload, UnknownType, WiringError: an event can't be decoded.
        """
        loaded = await self._journal.load(flow.process, flow.key, self._slice_steps)
        if flow.state is not None:
            return  # whoever prefetched it was quicker; nothing has changed since, for it was pinned here
        if not flow.known and loaded.row is not None:
            flow.take_row(loaded.row)
        flow.known, flow.trace = True, loaded.trace
        state = flow.definition.cls()
        if loaded.row is None or flow.life == "ended":
            flow.state = state
            return
        self._counters.flows_loaded += 1
        version, flow.snapshot_version, flow.unsaved_bytes = 0, 0, 0
        if loaded.snapshot is not None and self._fits(flow, loaded.snapshot):
            restored = self._restore(flow, loaded.snapshot)
            if restored is not None:
                state, version = restored, loaded.snapshot.version
                flow.snapshot_version = version
        steps = loaded.steps
        if loaded.snapshot is not None and version == 0:
            steps = await self._journal.steps(flow.id, 0, self._slice_steps)
        while True:
            for stepped in steps:
                assert stepped.step.version == version + 1, f"{flow.name}: version {version + 1} is missing"
                version = stepped.step.version
                event = stepped.event
                state = self._fold(flow, state, stepped.step.outcome, event.type, event.version, event.payload)
            if len(steps) < self._slice_steps:
                break
            await trio.lowlevel.checkpoint()
            steps = await self._journal.steps(flow.id, version, self._slice_steps)
        assert version == flow.version, f"{flow.name}: folded to version {version}, its row says {flow.version}"
        flow.state = state

    def is_fault_of_flow(self, error: Exception) -> bool:
        """Whether an error of `load` lies in the flow and its code, not in the disk."""
        return isinstance(error, TurnFailed | InvalidPayload | UnknownType | WiringError)

    async def load_many(self, flows: Sequence[Flow]) -> list[Flow]:
        """Read and fold flows that are resident and not folded, all at once; returns those with stored deliveries.

        What is long, or can't be folded, stays as it is: `load` it alone.
        """
        found = await self._journal.load_many([(flow.process, flow.key) for flow in flows], self._short_steps)
        held: list[Flow] = []
        steps = 0
        for flow in flows:
            short = found.get((flow.process, flow.key))
            if not self._take_short(flow, short) or short is None:
                continue
            if short.held:
                held.append(flow)
            steps += len(short.steps or ())
            if steps >= self._slice_steps:
                steps = 0
                await trio.lowlevel.checkpoint()
        return held

    def _take_short(self, flow: Flow, short: ShortFlow | None) -> bool:
        """Fold a flow where it is short and nobody did meanwhile."""
        if flow.known or flow.state is not None or (short is not None and short.steps is None):
            return False
        state: State = flow.definition.cls()
        if short is not None:
            version, flow.unsaved_bytes = 0, 0
            try:
                for past in short.steps or ():
                    assert past.version == version + 1, f"{flow.name}: version {version + 1} is missing"
                    version, outcome, kind, kind_version, payload = past
                    state = self._fold(flow, state, outcome, kind, kind_version, payload)
            except (TurnFailed, ProcessionError) as error:
                if not self.is_fault_of_flow(error):
                    raise
                return False
            assert short.row.outcome is not None or version == short.row.version, f"{flow.name}: folded to {version}"
            flow.take_row(short.row)
            flow.trace = short.trace
            self._counters.flows_loaded += short.row.outcome is None
        assert isinstance(state, ProcessManager), "a flow is folded to its process"
        flow.known, flow.state = True, state
        return True

    def _fold(self, flow: Stream, state: State, outcome: StepOutcome, kind: str, version: int, payload: str) -> State:
        """The state after a step. An event that no fold takes is not even decoded."""
        if outcome != "handled":
            return state
        flow.unsaved_bytes += bytes_of(payload)
        reaction = self._reaction_that_folds(flow, kind, version)
        if reaction is None:
            return state
        return refold(reaction, state, self._registry.read(kind, version, payload), self._guard)

    def _reaction_that_folds(self, flow: Stream, kind: str, version: int) -> Reaction | None:
        name = (flow.process, kind, version)
        if name not in self._folding:
            seen = self._registry.chains.newest(self._registry.event_class(kind, version))
            reaction = flow.definition.reactions.get(seen)
            self._folding[name] = None if reaction is None or reaction.fold is None else reaction
        return self._folding[name]

    def _fits(self, flow: Stream, snapshot: SnapshotRow) -> bool:
        return is_of(snapshot, self._fingerprints[flow.process])

    def _restore(self, flow: Stream, snapshot: SnapshotRow) -> State | None:
        try:
            return self._registry.codec.state_from_json(flow.definition.cls, snapshot.state)
        except ProcessionError:
            return None  # a cache that can't be read is thrown away; the steps are the truth


_SHORT_STEPS_MAX = 64
