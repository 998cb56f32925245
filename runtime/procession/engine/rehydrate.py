"""Folding a flow from its steps, in order of version, in slices, from a snapshot where one fits."""

from __future__ import annotations

from collections.abc import Mapping

import trio

from procession.engine.envelopes import message_of
from procession.engine.guard import Guard
from procession.engine.stream import Stream
from procession.engine.turn import TurnFailed, refold
from procession.errors import InvalidPayload, ProcessionError, UnknownType, WiringError
from procession.journal.journal import JournalReader
from procession.journal.rows import SnapshotRow, Stepped
from procession.primitives.registry import Registry
from procession.primitives.state import State
from procession.telemetry import Counters


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
        guard: Guard,
    ) -> None:
        self._registry = registry
        self._journal = journal
        self._counters = counters
        self._fingerprints = fingerprints
        self._slice_steps = slice_steps
        self._guard = guard

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
        flow.known = True
        state = flow.definition.cls()
        if loaded.row is None or flow.life == "ended":
            flow.state = state
            return
        self._counters.flows_loaded += 1
        version = 0
        if loaded.snapshot is not None and loaded.snapshot.fingerprint == self._fingerprints[flow.process]:
            restored = self._restore(flow, loaded.snapshot)
            if restored is not None:
                state, version = restored, loaded.snapshot.version
        steps = loaded.steps
        if loaded.snapshot is not None and version == 0:
            steps = await self._journal.steps(flow.id, 0, self._slice_steps)
        while True:
            for stepped in steps:
                assert stepped.step.version == version + 1, f"{flow.name}: version {version + 1} is missing"
                version = stepped.step.version
                state = self._fold(flow, state, stepped)
            if len(steps) < self._slice_steps:
                break
            await trio.lowlevel.checkpoint()
            steps = await self._journal.steps(flow.id, version, self._slice_steps)
        assert version == flow.version, f"{flow.name}: folded to version {version}, its row says {flow.version}"
        flow.state = state

    def is_fault_of_flow(self, error: Exception) -> bool:
        """Whether an error of `load` lies in the flow and its code, not in the disk."""
        return isinstance(error, TurnFailed | InvalidPayload | UnknownType | WiringError)

    def _fold(self, flow: Stream, state: State, stepped: Stepped) -> State:
        if stepped.step.outcome != "handled":
            return state
        event = message_of(self._registry, stepped.event)
        return refold(flow.definition.reaction(event), state, event, self._guard)

    def _restore(self, flow: Stream, snapshot: SnapshotRow) -> State | None:
        try:
            return self._registry.codec.state_from_json(flow.definition.cls, snapshot.state)
        except ProcessionError:
            return None  # a cache that can't be read is thrown away; the steps are the truth
