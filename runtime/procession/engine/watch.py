"""Who waits for something durable: the end of a flow, or the next event."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

import attrs
import trio

from procession.engine.flow import Flow
from procession.engine.ledger import Batch
from procession.errors import FlowQuarantined, RuntimeClosed
from procession.journal.journal import JournalReader
from procession.journal.rows import EventRow, FlowRow
from procession.journal_errors import CommitFailed

_LOOK_AGAIN_S = 0.1


@attrs.define(eq=False)
class _Waiting:
    """Those who wait for the end of one flow."""

    woken: trio.Event = attrs.field(factory=trio.Event)
    outcome: str | None = None
    """Told with the wake-up, so that nobody needs to read what was just written."""
    waiters: int = 0


class Watch:
    """Lives as long as the runtime; sees durable steps only, and survives restarts of the engine."""

    def __init__(self, journal: JournalReader) -> None:
        self._journal = journal
        self._flows: dict[tuple[str, str], _Waiting] = {}
        self._changed = trio.Event()
        self._waiters = 0
        """How many wait for a change."""
        self._closed = False
        self._position = 0
        self.find: Callable[[str, str], Flow | None] = nowhere
        """The flows in memory; set by each life."""

    @property
    def position(self) -> int:
        """The last durable position that is known."""
        return self._position

    @property
    def closed(self) -> bool:
        """Nothing more will become durable."""
        return self._closed

    def on_durable(self, batch: Batch) -> None:
        """Wake those who wait for what this batch holds."""
        if self._flows:
            for flow in batch.ended:
                waiting = self._flows.pop((flow.process, flow.key), None)
                if waiting is not None:
                    waiting.outcome = flow.outcome
                    waiting.woken.set()
        self._position = max(self._position, batch.position)
        self.stir()

    def reset(self, position: int) -> None:
        """The engine starts anew from this durable position: everybody looks again."""
        self.find = nowhere
        self._position = position
        for waiting in self._flows.values():
            waiting.woken.set()
        self._flows.clear()
        self.stir()

    def close(self) -> None:
        """Nothing more will become durable."""
        self._closed = True
        self.reset(self._position)

    def stir(self) -> None:
        """Something that somebody may wait for has changed."""
        if self._waiters:
            self._changed.set()
            self._changed = trio.Event()

    async def changed(self) -> None:
        """Wait for the next change."""
        await self._wait(self._changed)

    async def _wait(self, change: trio.Event) -> None:
        self._waiters += 1
        try:
            await change.wait()
        finally:
            self._waiters -= 1

    async def flow_ended(self, process: str, key: str) -> str:
        """The outcome of a flow, once it is durable; waits for a flow that nobody has heard of too.

        Raises:
            FlowQuarantined: it was set aside.
            RuntimeClosed: the runtime closed first.
        """
        name = (process, key)
        while True:
            waiting = self._flows.setdefault(name, _Waiting())  # first subscribe, then look
            waiting.waiters += 1
            try:
                row = None if self._runs(process, key) else await self._row(name)
                if row is not None and row.outcome is not None:
                    return row.outcome
                if row is not None and row.status == "quarantined" and not waiting.woken.is_set():
                    raise FlowQuarantined(f"{process}/{key}", row.reason or "")
                if self._closed:
                    raise RuntimeClosed
                await waiting.woken.wait()
            finally:
                waiting.waiters -= 1
                if not waiting.waiters and self._flows.get(name) is waiting:
                    del self._flows[name]
            if waiting.outcome is not None:
                return waiting.outcome

    def _runs(self, process: str, key: str) -> bool:
        """Whether the flow is in memory and goes on there: then nothing durable can say otherwise."""
        flow = self.find(process, key)
        return flow is not None and flow.known and flow.outcome is None and not flow.is_set_aside()

    async def _row(self, name: tuple[str, str]) -> FlowRow | None:
        """What the journal has of a flow; while it is held, that is waited for."""
        while True:
            try:
                return (await self._journal.look_up((), (name,))).flows.get(name)
            except CommitFailed:
                await self._reopened()

    async def _reopened(self) -> None:
        """Wait for what may be a journal that is well again.

        Raises:
            RuntimeClosed: the runtime closed first.
        """
        if self._closed:
            raise RuntimeClosed
        with trio.move_on_after(_LOOK_AGAIN_S):
            await self.changed()

    async def follow(self, after_position: int, page: int) -> AsyncGenerator[EventRow, None]:
        """Durable events after a position, in order, for ever; ends when the runtime closes."""
        while True:
            waiting, closed, until = self._changed, self._closed, self._position
            try:
                rows = await self._journal.events(after_position, page, (), until) if until > after_position else []
            except CommitFailed:  # the journal is held
                if self._closed:
                    return
                await self._reopened()
                continue
            except RuntimeClosed:
                if not self._closed:
                    raise
                return  # the journal was closed while somebody was still behind
            for row in rows:
                yield row
                after_position = row.position
            if not rows:
                if closed:
                    return
                if until == self._position:
                    await self._wait(waiting)


def nowhere(process: str, key: str) -> None:
    """No life runs."""
