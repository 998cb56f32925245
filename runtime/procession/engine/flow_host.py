"""The flows' host: one task for each flow that has work, in one nursery, each with its own cancel scope."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio

from procession.engine.flow import Delivery, Flow
from procession.engine.flow_table import FlowTable
from procession.engine.ledger import Ledger
from procession.engine.loader import Loader
from procession.engine.operator import Operator
from procession.engine.quarantine import Quarantine
from procession.engine.rehydrate import Rehydrator
from procession.engine.solo import Solo
from procession.engine.turn import TurnFailed
from procession.engine.turn_watch import Suspects
from procession.engine.turns import Turns
from procession.errors import ProcessionError
from procession.journal.rows import DeliveryState
from procession.settings import FlowsSettings


class FlowHost:
    """Drains mailboxes. A flow that waits for an event has no task and costs no memory.

    Turns are synchronous, so one dispatcher runs those of all flows that are ready. Flows that must be loaded first are
    loaded together; only one that must itself wait for something (to be loaded alone, to read on, to run alone, for an
    operator's act) gets a task, which ends with its work.
    A task for each awake flow was tried: a third less throughput on the order saga (docs/performance.md).
    """

    def __init__(
        self,
        table: FlowTable,
        ledger: Ledger,
        turns: Turns,
        rehydrator: Rehydrator,
        quarantine: Quarantine,
        operator: Operator,
        *,
        solo: Solo,
        suspects: Suspects,
        limits: FlowsSettings,
    ) -> None:
        self._table = table
        self._ledger = ledger
        self._turns = turns
        self._rehydrator = rehydrator
        self._quarantine = quarantine
        self._operator = operator
        self._solo = solo
        self._suspects = suspects
        self._slice_s = limits.turn_slice_ms / 1000
        self._page = limits.mailbox_max
        self.recoveries = 1
        """Walks through the stored deliveries that have not ended. While there are any, a flow that is loaded looks for
        its own."""
        self.loader = Loader(
            table,
            rehydrator,
            cached_max=limits.cached_max,
            is_careful=lambda: solo.active,
            stored_first=self._stored_first,
        )
        self.on_idle: Callable[[], None] = _nothing
        self._nursery: trio.Nursery | None = None
        self._ready: deque[Flow] = deque()
        self._work = trio.Event()

    @property
    def recovering(self) -> bool:
        """Whether stored deliveries are still being taken up."""
        return self.recoveries > 0

    def attach(self, nursery: trio.Nursery) -> None:
        """Run flows in this nursery from now on."""
        self._nursery = nursery
        self._table.start = self._make_ready
        nursery.start_soon(self._dispatch, name="flows")
        nursery.start_soon(self.loader.run, self._make_ready, self._task_for, name="loader")

    def detach(self) -> None:
        """Run no flow any more: the nursery is closed."""
        self._nursery = None

    def _make_ready(self, flow: Flow) -> None:
        self._ready.append(flow)
        if self._ledger.runs_ready_next:
            self._ledger.wake()  # it runs this turn, and writes what it leaves, in one turn of the scheduler
        else:
            self._work.set()

    async def _dispatch(self) -> None:
        while True:
            if not self._ready:
                self._work = trio.Event()
                await self._work.wait()
            await self.run_ready()

    async def run_ready(self) -> None:
        """Run the turns of all flows that are ready now; others get their turn after each slice of time.

        None runs once something in this life has failed: what that left in memory may be half of something.
        """
        if self._is_over():
            await trio.lowlevel.checkpoint()
            return
        await self._run_those_ready()
        if self._ready:
            self._work.set()  # what became ready meanwhile: whoever called this may have no time for it

    async def _run_those_ready(self) -> None:
        now = trio.lowlevel.current_clock().current_time  # asked after each flow: three calls less than trio's own
        until = now() + self._slice_s
        for _ in range(len(self._ready)):
            if not self._ready:
                return  # whoever ran meanwhile took the rest
            flow = self._ready.popleft()
            if flow.state is None and not flow.known and not flow.acts and not self._solo.active:
                self.loader.put(flow)
            elif not self._must_wait(flow) and self._drain(flow, until) and not self._goes_on(flow):
                self._leave(flow)
            else:
                self._task_for(flow)
            if now() > until:
                await trio.lowlevel.checkpoint()
                if self._is_over():
                    return
                until = now() + self._slice_s

    def _is_over(self) -> bool:
        return self._nursery is None or self._nursery.cancel_scope.cancel_called

    def _task_for(self, flow: Flow) -> None:
        if self._nursery is not None:  # else this life is over
            self._nursery.start_soon(self._run, flow, name=flow.name)

    def _must_wait(self, flow: Flow) -> bool:
        """Whether this flow has to wait for something before, or instead of, its turns."""
        if not flow.mailbox or flow.state is None or flow.acts or self._solo.active:
            return True
        return flow.status == "quarantined" or (bool(self._suspects.found) and self._is_suspect(flow))

    def _is_suspect(self, flow: Flow) -> bool:
        return self._suspects.of(flow.process, flow.key) is not None

    async def _run(self, flow: Flow) -> None:
        """Handle what is there until nothing is; never between two checkpoints more than a slice of time."""
        try:
            if flow.state is None:
                await self._load(flow)
            while self._goes_on(flow):
                if flow.acts:
                    await self._operator.apply(flow)
                elif flow.is_set_aside():
                    await self._keep_back(flow)
                elif flow.mailbox:
                    if self._is_suspect(flow):
                        await self._set_aside_suspect(flow)
                    elif self._solo.active:
                        await self._run_alone(flow)
                    elif not self._drain(flow, trio.current_time() + self._slice_s):
                        await trio.lowlevel.checkpoint()
                else:
                    await self._read_on(flow)
        finally:
            self._leave(flow)

    def _leave(self, flow: Flow) -> None:
        # "Find it empty and leave" is one stretch without a checkpoint, as "look it up and put" is.
        self._table.ended(flow)
        if self._table.awake == 0:
            self.on_idle()

    def _goes_on(self, flow: Flow) -> bool:
        """Whether there is something for it that it may do now."""
        return flow.has_work() and (bool(flow.acts) or flow.process not in self._table.paused)

    def _drain(self, flow: Flow, until: float) -> bool:
        """Handle the mailbox; False where the slice of time was over first."""
        mailbox, paused = flow.mailbox, self._table.paused
        while mailbox and not flow.acts and flow.status != "quarantined" and flow.process not in paused:
            self._turns.handle(flow, mailbox.take())
            if mailbox and trio.current_time() > until:
                return False
        return True

    async def _keep_back(self, flow: Flow) -> None:
        """What came for a flow in quarantine waits with its other events, in order."""
        if not flow.mailbox:
            await self._read_on(flow)
        if flow.is_set_aside():
            self._quarantine.keep_back(flow)

    async def _run_alone(self, flow: Flow) -> None:
        """Handle one delivery, with nothing else in its commit."""
        marks = next(iter(flow.mailbox)).marks
        async with self._solo.apart(marks), self._solo.alone(flow):
            if not flow.mailbox:
                return
            delivery = flow.mailbox.take()
            rejected = self._solo.guilty.pop((flow.process, flow.key), None)
            if rejected is not None:
                self._quarantine.set_aside(
                    flow, delivery, "commit", f"what its turn leaves can't be written: {rejected}"
                )
            elif await self._solo.mark(delivery):
                self._turns.handle(flow, delivery)
            else:
                self._quarantine.set_aside(
                    flow, delivery, "crash", f"the process died {delivery.marks} times while this event ran alone"
                )

    async def _set_aside_suspect(self, flow: Flow) -> None:
        """The process was ended while a turn of this flow did not return: it is not run again unasked."""
        suspect = self._suspects.of(flow.process, flow.key)
        assert suspect is not None, "it was asked before, and nobody else settles it"
        async with self._solo.alone(flow):
            found = f"a turn of it did not return and the process ended: {suspect.place}"
            self._quarantine.set_aside(flow, flow.mailbox.take(), "crash", found)
        self._suspects.settle(suspect)

    async def _load(self, flow: Flow) -> None:
        """Fold the flow from its steps; what a crash left undone of it stands before what is new."""
        try:
            await self._rehydrator.load(flow)
        except (TurnFailed, ProcessionError) as error:
            if not self._rehydrator.is_fault_of_flow(error):
                raise
            if flow.status != "quarantined":
                self._quarantine.set_aside_unread(flow, f"its past can't be folded: {error}")
            return
        self._stored_first(flow)

    def _stored_first(self, flow: Flow) -> None:
        """Of a flow that was loaded, what is stored undone is read before what came since."""
        if flow.id and (self.recovering or flow.status == "unstarted"):
            flow.mailbox.leave_to_store()

    async def _read_on(self, flow: Flow) -> None:
        """Read what the mailbox did not keep, once it is durable."""
        while flow.written_in > self._ledger.durable_number:
            await self._ledger.wait_durable(flow.written_in)  # what came while it waited is in a later batch
        flow.mailbox.more = False
        states: tuple[DeliveryState, ...] = ("pending", "waiting") if flow.life == "unstarted" else ("pending",)
        seen = max(flow.waiting, default=0) if flow.life == "unstarted" else 0
        page = await self._ledger.journal.deliveries(flow.id, seen, self._page, states) if flow.id else []
        last = page[-1].event.position if page else 0
        more = flow.mailbox.more
        kept = [delivery for delivery in flow.mailbox if delivery.event.position > last]
        read = [
            Delivery(flow, found.event, None, timer=found.row.timer, stored=True, marks=found.row.marked)
            for found in page
        ]
        if len(page) >= self._page:
            kept, more = [], True
        flow.mailbox.refill([*read, *kept], more=more)
        flow.fired = sum(delivery.timer is not None for delivery in flow.mailbox)


def _nothing() -> None:
    pass
