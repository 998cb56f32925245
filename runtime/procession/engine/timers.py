"""Timers: rows in the journal, the next due of them on one heap, one task. When due they become their event."""

from __future__ import annotations

import heapq
from typing import NamedTuple

import attrs
import trio

from procession.engine.clock import Clock
from procession.engine.flow import NONE_ARMED, Flow
from procession.engine.flow_table import FlowTable
from procession.engine.ids import Ids
from procession.engine.ledger import Ledger
from procession.engine.router import Origin, Router
from procession.engine.solo import Solo
from procession.engine.tracing import Tracing
from procession.errors import InvalidPayload
from procession.journal.rows import ArmedTimer, TimerRow
from procession.primitives.registry import Registry
from procession.settings import TimersSettings
from procession.telemetry.measures import Measures
from procession.telemetry.names import Counters

_PAGE = 500
_START = (-1, -1, "")


class _Due(NamedTuple):
    due_us: int
    flow: int
    name: str
    timer: ArmedTimer


@attrs.define
class _Meanwhile:
    """What happened to timers while a page of them was read."""

    touched: set[tuple[int, str]] = attrs.field(factory=set)
    ended: set[int] = attrs.field(factory=set)
    armed: dict[tuple[int, str], ArmedTimer] = attrs.field(factory=dict)


class Timers:
    """Fires deadlines in order. Wall-clock decides; a jump of the clock loses none and fires none twice."""

    def __init__(
        self,
        registry: Registry,
        ledger: Ledger,
        router: Router,
        table: FlowTable,
        ids: Ids,
        clock: Clock,
        counters: Counters,
        measures: Measures,
        *,
        solo: Solo,
        limits: TimersSettings,
        tracing: Tracing | None,
    ) -> None:
        self._registry = registry
        self._ledger = ledger
        self._router = router
        self._table = table
        self._ids = ids
        self._clock = clock
        self._counters = counters
        self._measures = measures
        self._solo = solo
        self._tracing = tracing
        self._loaded_max = limits.loaded_max
        self._check_interval_s = limits.check_interval_s
        self._heap: list[_Due] = []
        self._armed: dict[int, dict[str, bytes]] = {}
        """Loaded timers: flow -> name -> id. A heap entry with another id is stale."""
        self._loaded = 0
        self._horizon: tuple[int, int, str] | None = None
        """Every stored timer up to here is loaded; None: all of them are."""
        self._reading: _Meanwhile | None = None
        self._changed = trio.Event()
        self._closed = False

    def __len__(self) -> int:
        return self._loaded

    def arm(self, flow: Flow, row: TimerRow) -> None:
        """Set or replace a timer, with the batch that is filling."""
        self._ledger.filling.commit.timers[flow.id, row.name] = row
        flow.note_armed(row.name)
        self._counters.timers_armed += 1
        self._drop(flow.id, row.name)
        timer = ArmedTimer(row, flow.process, flow.key, flow.trace)
        if self._reading is not None:
            self._reading.touched.add((flow.id, row.name))
            self._reading.armed[flow.id, row.name] = timer
            return
        if self._loaded >= self._loaded_max:
            self._shrink()
        self._load(timer)

    def disarm(self, flow: Flow, name: str) -> None:
        """Disarm a timer, or with an empty name all of a flow; the batch that is filling holds it."""
        timers = self._ledger.filling.commit.timers
        if name:
            if name in flow.armed or flow.timers_stored:
                timers[flow.id, name] = None
                self._counters.timers_cancelled += 1
                flow.note_disarmed(name)
                self._drop(flow.id, name)
            return
        if flow.armed or flow.timers_stored:
            self._ledger.filling.commit.timers_ended.add(flow.id)
        for other in flow.armed:
            timers.pop((flow.id, other), None)
            self._drop(flow.id, other)
        for other in list(self._armed.get(flow.id, ())):
            self._drop(flow.id, other)
        if self._reading is not None:
            self._reading.ended.add(flow.id)
        flow.armed = NONE_ARMED
        flow.timers_stored = False

    async def run(self) -> None:
        """Fire what is due, until closed."""
        while not self._closed:
            self._changed = trio.Event()
            await self.fire_due()
            next_us = self._next_us()
            if not self._heap and self._horizon is not None:
                continue  # all that was loaded is disarmed: read on
            wait_s = max(0.0, (next_us - self._clock.now_us()) / 1_000_000)
            if self._clock.drifts:
                wait_s = min(wait_s, self._check_interval_s)
            with trio.move_on_after(wait_s):
                await self._changed.wait()

    async def fire_due(self) -> None:
        """Append the events of all timers that are due, in order of their deadlines, page by page."""
        while not self._closed:
            if not self._heap and self._horizon is not None:
                await self._refill()
            now_us = self._clock.now_us()
            fired = 0
            while self._heap and self._heap[0].due_us <= now_us and fired < _PAGE and not self._closed:
                due = heapq.heappop(self._heap)
                if self._is_live(due):
                    self._fire(due.timer)
                    self._measures.lateness.observe((now_us - due.due_us) / 1_000_000)
                    fired += 1
                    if self._solo.active:
                        break
            if self._heap and self._heap[0].due_us <= now_us:
                await self._ledger.wait_durable(self._ledger.latest)
            elif self._heap or self._horizon is None:
                return

    def close(self) -> None:
        """Fire no more: the runtime closes."""
        self._closed = True
        self._changed.set()

    async def load(self) -> None:
        """Load the timers that are due next; what is left stays in the journal."""
        self._horizon = _START
        await self._refill()

    def _next_us(self) -> int:
        while self._heap and not self._is_live(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0].due_us if self._heap else _FAR_US

    async def _refill(self) -> None:
        while self._horizon is not None and self._loaded < max(1, self._loaded_max // 2):
            # From here on, not only while it reads: what is armed while it waits is in no commit yet that it could see.
            meanwhile = self._reading = _Meanwhile()
            try:
                await self._ledger.wait_durable(self._ledger.latest)
                page = await self._ledger.journal.timers(self._horizon, _PAGE)
            finally:
                self._reading = None
            last = page[-1].row if len(page) == _PAGE else None
            self._horizon = None if last is None else (last.due_us, last.flow, last.name)
            for timer in page:
                name = (timer.row.flow, timer.row.name)
                if name not in meanwhile.touched and timer.row.flow not in meanwhile.ended:
                    self._load(timer)
            for timer in meanwhile.armed.values():
                self._load(timer)

    def _shrink(self) -> None:
        """Leave the later half to the journal."""
        live = sorted(due for due in self._heap if self._is_live(due))
        self._heap = live[: max(1, self._loaded_max // 2)]
        for due in live[len(self._heap) :]:
            self._drop(due.flow, due.name)
        last = self._heap[-1]
        self._horizon = (last.due_us, last.flow, last.name)

    def _load(self, timer: ArmedTimer) -> None:
        row = timer.row
        if self._horizon is not None and (row.due_us, row.flow, row.name) > self._horizon:
            return
        names = self._armed.setdefault(row.flow, {})
        if row.name not in names:
            self._loaded += 1
        names[row.name] = row.id
        due = _Due(row.due_us, row.flow, row.name, timer)
        heapq.heappush(self._heap, due)
        if self._heap[0] is due:
            self._changed.set()

    def _drop(self, flow: int, name: str) -> None:
        if self._reading is not None:
            self._reading.touched.add((flow, name))
            self._reading.armed.pop((flow, name), None)
        names = self._armed.get(flow)
        if names is not None and names.pop(name, None) is not None:
            self._loaded -= 1
            if not names:
                del self._armed[flow]

    def _is_live(self, due: _Due) -> bool:
        return self._armed.get(due.flow, _NONE).get(due.name) == due.timer.row.id

    def _fire(self, timer: ArmedTimer) -> None:
        """The event and the going of its row are one commit."""
        row = timer.row
        definition = self._registry.processes[timer.process]
        flow = self._table.flow(definition, timer.key)
        if flow.id == 0:
            flow.id = row.flow
        cls = self._registry.event_class(row.type, row.version)
        self._ledger.filling.commit.timers[row.flow, row.name] = None
        self._drop(row.flow, row.name)
        flow.note_disarmed(row.name)
        trace = timer.trace if self._tracing is None else self._tracing.of_effect(timer.trace, row.id)
        origin = Origin(self._ids.deadline(row.id), caused_by=row.id, correlation=row.correlation, trace=trace)
        try:
            event = self._registry.codec.decode(cls, row.payload)
        except InvalidPayload:
            self._router.address_unread(cls, row.payload, origin, flow, timer=row.name)
        else:
            self._router.address(event, row.payload, origin, flow, timer=row.name)
        self._counters.deadlines_fired += 1


_FAR_US = 2**62
_NONE: dict[str, bytes] = {}
