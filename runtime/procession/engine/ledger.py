"""The one writer: what turns leave fills a batch; while one commits, the next one fills. No timers, no delays."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Protocol

import attrs
import trio

from procession.engine.clock import Clock
from procession.engine.flow import Delivery, Flow
from procession.engine.histories import DurableTurn
from procession.engine.stream import Stream
from procession.engine.trace_notes import Note
from procession.journal.journal import Journal
from procession.journal.rows import (
    Commit,
    DeliveryRow,
    DeliveryState,
    EventRow,
    Heads,
    StepRow,
    UnhandledReason,
    UnhandledRow,
)
from procession.telemetry.measures import Measures
from procession.telemetry.names import Counters


class Released(Protocol):
    """Something that waits for a batch: told once when it is durable, or once when its commit failed."""

    def durable(self) -> None:
        """The batch is durable."""
        ...

    def failed(self, error: Exception) -> None:
        """The batch's commit failed; the outcome is not known yet."""
        ...


@attrs.define(eq=False)
class Batch:
    """What one transaction will write, and who waits for it."""

    number: int
    commit: Commit = attrs.field(factory=Commit)
    deliveries: list[Delivery] = attrs.field(factory=list)
    """Of events in this batch; those not settled when it is sealed get a delivery row."""
    touched: dict[int, Stream] = attrs.field(factory=dict)
    """Flows and aggregates whose row changes, by id."""
    released: list[Released] = attrs.field(factory=list)
    """What may go on when it is durable, in order: receipts, commands, acts."""
    ended: list[Flow] = attrs.field(factory=list)
    """Flows that ended, or were set aside, in this batch."""
    turned: list[tuple[Flow, DurableTurn]] = attrs.field(factory=list)
    """The turns of flows that invariants watch."""
    noted: list[Note] = attrs.field(factory=list)
    """What traced flows did in it."""
    sealed_us: int = 0
    position: int = 0
    """The last position in it."""
    done: trio.Event | None = None

    def __bool__(self) -> bool:
        return bool(self.commit) or bool(self.touched) or bool(self.released)


class Ledger:
    """Owns every counter of the journal (positions, flow ids, command numbers) and the batch that is being filled.

    Everything but `run` is synchronous, so what one turn leaves is in one batch, whole.
    """

    def __init__(self, journal: Journal, heads: Heads, clock: Clock, counters: Counters, measures: Measures) -> None:
        self.journal = journal
        self._clock = clock
        self._counters = counters
        self._measures = measures
        self._position, self._flow, self._command = heads.position, heads.flow, heads.command
        self.filling = Batch(1)
        self.committing: Batch | None = None
        self._commit_began: float | None = None
        """By `perf_counter`; None where no commit runs."""
        self.durable_number = 0
        self.durable_position = heads.position
        self.subscribers: list[Callable[[Batch], None]] = []
        """Called with each batch that has become durable, in order."""
        self.run_ready: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
        """Runs the turns that are ready, so that their steps stand beside their events; set by the flows' host."""
        self._work = trio.Event()
        self._sleeps = False
        """Nothing is to be written until `wake`."""
        self.runs_ready_next = False
        """`run` will have the turns run that are ready, before it does anything else, once it is woken."""
        self._closing = False
        self._abandoned = False

    @property
    def position(self) -> int:
        """The last position given out."""
        return self._position

    @property
    def latest(self) -> int:
        """The number of the last batch that holds anything: all so far is durable when it is."""
        return self.filling.number if self.filling else self.filling.number - 1

    @property
    def committing_s(self) -> float:
        """How long the commit that runs now has taken; 0 where none does."""
        return 0.0 if self._commit_began is None else perf_counter() - self._commit_began

    def next_flow(self) -> int:
        """A new flow id."""
        self._flow += 1
        return self._flow

    def next_command(self) -> int:
        """A new command number."""
        self._command += 1
        return self._command

    def next_position(self) -> int:
        """The position that the next event gets."""
        return self._position + 1

    def append(self, event: EventRow) -> None:
        """Put an event, whose position is `next_position`, into the batch."""
        assert event.position == self._position + 1, "positions are given out in order, by the ledger alone"
        self._position = event.position
        self.filling.position = event.position
        self.filling.commit.events.append(event)
        if self._sleeps:
            self.wake()

    def expect(self, delivery: Delivery) -> None:
        """An event of this batch concerns a flow: its step, an unhandled row, or a delivery row will be in it."""
        self.filling.deliveries.append(delivery)
        delivery.flow.written_in = self.filling.number

    def step(self, step: StepRow, flow: Stream, delivery: Delivery | None) -> None:
        """Put a turn's step, and the flow as it now stands, into the batch."""
        self.filling.commit.steps.append(step)
        if self.filling.touched.get(flow.id) is not flow:
            self.touch(flow)
        if delivery is not None:
            self.settle(delivery)

    def touch(self, flow: Stream) -> None:
        """The flow's row changes with this batch. A flow without a row gets one."""
        assert flow.known, f"{flow.name} can't change before it was read"
        if flow.id == 0:
            flow.id = self.next_flow()
        self.filling.touched[flow.id] = flow
        flow.written_in = self.filling.number
        if self._sleeps:
            self.wake()

    def unhandled(self, delivery: Delivery, reason: UnhandledReason) -> None:
        """Record that no turn handled an event, and why."""
        flow = delivery.flow
        self.filling.commit.unhandled.append(UnhandledRow(delivery.event.position, flow.process, flow.key, reason))
        flow.written_in = self.filling.number
        self.settle(delivery)
        self.wake()

    def settle(self, delivery: Delivery) -> None:
        """This delivery is answered by a row of this batch."""
        assert not delivery.settled, f"position {delivery.event.position} was handled twice by {delivery.flow.name}"
        delivery.settled = True
        if delivery.stored:
            self.filling.commit.deliveries[delivery.flow.id, delivery.event.position] = None

    def withdraw(self, flow: Flow, timer: str) -> list[Delivery]:
        """Deadlines of a flow's timer that this batch holds and no mailbox kept; they are not settled yet.

        Those that are stored already go with the batch.
        """
        self.filling.commit.withdrawn.append((flow.id, timer))
        return [
            delivery
            for delivery in self.filling.deliveries
            if delivery.flow is flow and delivery.timer == timer and not delivery.settled
        ]

    def wake(self) -> None:
        """There is something to write."""
        if self._sleeps:
            self._sleeps = False
            self._work.set()

    def when_durable(self, waiter: Released) -> None:
        """Tell `waiter` when all that is in the batch now is durable."""
        self.filling.released.append(waiter)
        if self._sleeps:
            self.wake()

    async def wait_durable(self, number: int) -> None:
        """Wait until a batch, and all before it, are durable, or `run` has raised: `durable_number` tells."""
        while number > self.durable_number and not self._abandoned:
            batch = (
                self.committing if self.committing is not None and self.committing.number >= number else self.filling
            )
            if batch.done is None:
                batch.done = trio.Event()
            await batch.done.wait()

    async def wait_room(self, rows_max: int) -> None:
        """Wait until the batch that is being filled holds fewer events than this: outside senders wait, no one else."""
        while len(self.filling.commit.events) >= rows_max:
            await self.wait_durable(self.filling.number - 1)
            await trio.lowlevel.checkpoint()

    def idle(self) -> bool:
        """Nothing is filled and nothing commits."""
        return self.committing is None and not self.filling

    def close(self) -> None:
        """`run` returns when all that is here is written."""
        self._closing = True
        self.wake()

    async def run(self) -> None:
        """Write batches until closed.

        Raises:
            CommitFailed, CommitRejected, Fenced: as the journal raises them. `committing` and `filling` then hold
                all whose outcome is not known.
        """
        while True:
            self.runs_ready_next = True
            if not self.filling:
                if self._closing:
                    self.runs_ready_next = False
                    return
                self._work, self._sleeps = trio.Event(), True
                await self._work.wait()
            else:
                await trio.lowlevel.checkpoint()  # attempts that the last commit released may answer at once
            self.runs_ready_next = False
            # Without this, each event whose turn has not come yet would cost a delivery row and a second commit.
            await self.run_ready()
            if not self.filling:
                continue  # it was woken for turns that left nothing to write
            await self._find_rows()
            batch = self._seal()
            if batch.commit:
                self._commit_began = began = perf_counter()
                await self.journal.commit(batch.commit)
                self._commit_began = None
                self._measures.commit.observe(perf_counter() - began)
            self._finish(batch)

    def abandon(self) -> list[Batch]:
        """After `run` has raised: nobody waits here any more; returns the batches whose outcome is not known."""
        self._abandoned = True
        for batch in (self.committing, self.filling):
            if batch is not None and batch.done is not None:
                batch.done.set()
        return [batch for batch in (self.committing, self.filling) if batch is not None and batch]

    async def _find_rows(self) -> None:
        """Learn the row ids of flows that get a delivery row while nobody has read about them yet."""
        while True:
            unread = {
                (flow.process, flow.key): flow
                for flow in (delivery.flow for delivery in self.filling.deliveries if not delivery.settled)
                if flow.id == 0 and not flow.known and not flow.absent
            }
            if not unread:
                return
            found = (await self.journal.look_up((), tuple(unread))).flows
            for name, flow in unread.items():
                if name in found and flow.id == 0:
                    flow.id = found[name].id
                flow.absent = name not in found

    def _seal(self) -> Batch:
        batch, commit = self.filling, self.filling.commit
        for delivery in batch.deliveries:
            if not delivery.settled:
                flow = delivery.flow
                if flow.id == 0:
                    flow.id = self.next_flow()
                    batch.touched[flow.id] = flow
                commit.deliveries[flow.id, delivery.event.position] = DeliveryRow(
                    flow.id, delivery.event.position, self._delivery_state(flow, delivery), delivery.timer, 0
                )
                delivery.stored = True
        now_us = batch.sealed_us = self._clock.now_us()
        for flow_id, touched in batch.touched.items():
            commit.flows[flow_id] = touched.row(now_us)
        self.committing = batch
        self.filling = Batch(batch.number + 1)
        self.filling.position = batch.position
        return batch

    def _delivery_state(self, flow: Flow, delivery: Delivery) -> DeliveryState:
        if flow.status == "quarantined":
            return "quarantined"
        return "waiting" if delivery.event.position in flow.waiting else "pending"

    def _finish(self, batch: Batch) -> None:
        self.committing = None
        self.durable_number = batch.number
        self.durable_position = max(self.durable_position, batch.position)
        self._counters.commits += 1
        rows = len(batch.commit.events) + len(batch.commit.steps)
        self._counters.rows_written += rows
        self._measures.commit_rows.observe(rows)
        for waiter in batch.released:
            waiter.durable()
        for subscriber in self.subscribers:
            subscriber(batch)
        if batch.done is not None:
            batch.done.set()
