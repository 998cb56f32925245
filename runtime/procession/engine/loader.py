"""Bringing flows into memory: all that wait for it are read together; and some are read before anything arrives."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

import trio

from procession.engine.flow import Flow
from procession.engine.flow_table import FlowTable
from procession.engine.rehydrate import Rehydrator
from procession.primitives.definition import Definition

TOGETHER_MAX = 256
"""Flows in one question: enough to hide the hop, few enough that the first does not wait for long."""


class Loader:
    """One per life. What is long, or can't be folded, is left to be loaded alone."""

    def __init__(
        self,
        table: FlowTable,
        rehydrator: Rehydrator,
        *,
        cached_max: int,
        is_careful: Callable[[], bool],
        stored_first: Callable[[Flow], None],
    ) -> None:
        self._table = table
        self._rehydrator = rehydrator
        self._is_careful = is_careful
        self._stored_first = stored_first
        self.ahead_max = cached_max // 2
        """Flows that may be prefetched and not used yet: with more, the cache would lose the first of them."""
        self._waiting: deque[Flow] = deque()
        self._work = trio.Event()

    def put(self, flow: Flow) -> None:
        """Have a flow loaded that has work."""
        self._waiting.append(flow)
        self._work.set()

    async def run(self, loaded: Callable[[Flow], None], alone: Callable[[Flow], None]) -> None:
        """Load what waits, for ever, and hand over each flow: loaded, or to be loaded alone."""
        while True:
            if not self._waiting:
                self._work = trio.Event()
                await self._work.wait()
            flows = [self._waiting.popleft() for _ in range(min(len(self._waiting), TOGETHER_MAX))]
            await self._load(flows)
            for flow in flows:
                if flow.state is None:
                    alone(flow)
                else:
                    loaded(flow)

    async def prefetch(self, named: Iterable[tuple[Definition, str]]) -> None:
        """Load flows that something will arrive for, so that its turn can stand in the same commit. Wakes none.

        While things run alone nothing is prefetched: a fold may be what the process died of.
        """
        if self._is_careful():
            return
        flows: dict[int, Flow] = {}
        for definition, key in named:
            flow = self._table.find(definition.name, key) or self._table.flow(definition, key)
            if flow.state is None and not flow.running:
                flows[id(flow)] = flow
        for flow in flows.values():
            flow.pins += 1  # it must stay what it was when it was read
        try:
            wanted = list(flows.values())
            for at in range(0, len(wanted), TOGETHER_MAX):
                await self._load(wanted[at : at + TOGETHER_MAX])
        finally:
            for flow in flows.values():
                flow.pins -= 1
                self._table.rest(flow)

    async def _load(self, flows: Sequence[Flow]) -> None:
        for flow in await self._rehydrator.load_many(flows):
            self._stored_first(flow)
