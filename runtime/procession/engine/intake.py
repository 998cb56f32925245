"""The outer intake: outside events wait here, bounded; each is accepted once, and durable before its sender hears."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Protocol

import attrs
import trio

from procession.engine.decisions import AggregateStream, Decided, FromOutside
from procession.engine.flow import Flow
from procession.engine.flow_table import FlowTable
from procession.engine.ids import Ids
from procession.engine.ledger import Ledger
from procession.engine.payloads import Payloads
from procession.engine.router import Origin, Router, Target
from procession.engine.solo import Solo
from procession.engine.tracing import Tracing
from procession.errors import IdReused, Overloaded, ProcessionError, RuntimeClosed
from procession.primitives.decisions import AggregateDefinition
from procession.primitives.event import Event
from procession.send_errors import AggregateSetAside, DecisionFailed
from procession.telemetry.names import Counters


class Accepted(NamedTuple):
    """Where an event stands."""

    position: int
    duplicate: bool
    """It was here before, under the same source and id."""


@attrs.frozen(slots=True)
class Incoming:
    """An outside event, encoded, with the flows it concerns."""

    event: Event
    payload: str
    source: str | None
    source_id: str | None
    digest: bytes | None
    targets: tuple[Target, ...]
    trace: str | None
    size: int
    """Of its data, in bytes."""


@attrs.define(eq=False)
class Submission:
    """Events that are accepted together or not at all."""

    incoming: tuple[Incoming | FromOutside, ...]
    """Events; or one command, alone."""
    done: trio.Event = attrs.field(factory=trio.Event)
    error: ProcessionError | None = None
    accepted: list[Accepted] = attrs.field(factory=list)
    ids: list[bytes] = attrs.field(factory=list)
    """Ids of those that are new."""
    decided: Decided | None = None
    """How its command was decided; None where it is a duplicate."""
    unknown: Exception | None = None
    """The commit failed with this; the outcome is not known yet."""

    def durable(self) -> None:
        """All of it is durable."""
        self.done.set()

    def failed(self, error: Exception) -> None:
        """Its commit failed."""
        self.unknown = error

    def refuse(self, error: ProcessionError) -> None:
        """Nothing of it was written."""
        self.error = error
        self.done.set()


class _Recent(NamedTuple):
    position: int
    digest: bytes
    batch: int


class Aggregates(Protocol):
    """What the intake needs of the aggregates."""

    async def hold(self, definition: AggregateDefinition, key: str) -> AggregateStream:
        """An aggregate, loaded; raises AggregateSetAside."""
        ...

    def let_go(self, stream: AggregateStream) -> None:
        """It may leave memory."""
        ...

    def decide(self, sent: FromOutside) -> Decided:
        """Decide a command of an aggregate that is held; raises DecisionFailed."""
        ...


class Intake:
    """Admits submissions in order, a lookup for many at once, then routes them in one stretch."""

    def __init__(
        self,
        ledger: Ledger,
        router: Router,
        table: FlowTable,
        ids: Ids,
        counters: Counters,
        aggregates: Aggregates,
        *,
        solo: Solo,
        events_max: int,
        rows_max: int,
        payloads: Payloads,
        tracing: Tracing | None = None,
    ) -> None:
        self._ledger = ledger
        self._router = router
        self._table = table
        self._ids = ids
        self._counters = counters
        self._aggregates = aggregates
        self._solo = solo
        self._tracing = tracing
        self._events_max = events_max
        self._rows_max = rows_max
        self._payloads = payloads
        self._queue: deque[Submission] = deque()
        self._waiting = 0
        self._recent: dict[tuple[str, str], _Recent] = {}
        self._work = trio.Event()
        self._room = trio.Event()
        self._line = trio.StrictFIFOLock()
        self._closed = False
        self._admitting: list[Submission] = []

    def idle(self) -> bool:
        """Nothing waits to be admitted."""
        return not self._queue and not self._admitting

    async def submit(self, submission: Submission, *, wait: bool) -> None:
        """Queue a submission, waiting for room; those who wait get in in the order they came.

        Raises:
            Overloaded: there is no room and the caller asked not to wait.
            RuntimeClosed: the intake is closed.
        """
        size = len(submission.incoming)
        if not self._line.locked() and not self._is_full(size):
            self._enqueue(submission, size)  # nobody waits before it: no turn of the scheduler is spent on the line
            return
        if not wait:
            raise Overloaded(retry_after_s=_RETRY_AFTER_S)
        async with self._line:
            while self._is_full(size):
                await self._room.wait()
            self._enqueue(submission, size)

    def _enqueue(self, submission: Submission, size: int) -> None:
        if self._closed:
            raise RuntimeClosed
        self._waiting += size
        self._queue.append(submission)
        self._work.set()

    def _is_full(self, size: int) -> bool:
        """One that is larger than the intake gets in when it is empty."""
        return not self._closed and self._waiting > 0 and self._waiting + size > self._events_max

    def withdraw(self, submission: Submission) -> None:
        """Its sender left: where nothing of it is accepted yet, nothing of it will be."""
        if not submission.accepted:
            submission.done.set()

    def submit_again(self, submission: Submission) -> None:
        """Take in what a commit that was rejected for something else held too; it comes before all others."""
        submission.accepted.clear()
        submission.ids.clear()
        submission.unknown = None
        self._waiting += len(submission.incoming)
        self._queue.appendleft(submission)
        self._work.set()

    def close(self) -> list[Submission]:
        """Take nothing more; returns what was not admitted. It must be refused now, or taken in by another intake."""
        self._closed = True
        left = [held for held in self._admitting if not held.accepted and not held.done.is_set()]
        left.extend(self._queue)
        self._queue.clear()
        self._room.set()
        return left

    async def run(self) -> None:
        """Admit what waits, for ever."""
        while True:
            if not self._queue:
                self._work = trio.Event()
                await self._work.wait()
            batch = self._take()
            self._admitting = batch
            flows = self._flows(batch)
            for flow in flows:
                flow.pins += 1
            held: list[AggregateStream] = []
            try:
                await self._hold(batch, held)
                found = await self._look_up(batch, flows)
                if self._solo.active:
                    for submission in batch:
                        async with self._solo.alone(submission):
                            self._admit(submission, found)
                else:
                    for submission in batch:
                        self._admit(submission, found)
            finally:
                for flow in flows:
                    flow.pins -= 1
                    self._table.rest(flow)
                for stream in held:
                    self._aggregates.let_go(stream)
            self._admitting = []
            self._room.set()
            self._room = trio.Event()
            await self._ledger.wait_room(self._rows_max)

    def _take(self) -> list[Submission]:
        """As much as one batch may hold, at least one submission."""
        taken: list[Submission] = []
        size = 0
        while self._queue and (not taken or size + len(self._queue[0].incoming) <= self._rows_max):
            submission = self._queue.popleft()
            size += len(submission.incoming)
            taken.append(submission)
        self._waiting -= size
        return taken

    async def _hold(self, batch: list[Submission], held: list[AggregateStream]) -> None:
        """The aggregates that commands are for; mostly their senders have loaded them."""
        for submission in batch:
            for sent in submission.incoming:
                if isinstance(sent, FromOutside) and not submission.done.is_set():
                    try:
                        held.append(await self._aggregates.hold(sent.definition, sent.key))
                    except AggregateSetAside as error:
                        submission.refuse(error)

    def _flows(self, batch: list[Submission]) -> list[Flow]:
        """The flows concerned that nobody has read about, made resident so that what is read stays true."""
        found: dict[int, Flow] = {}
        for submission in batch:
            for incoming in submission.incoming:
                for definition, key in incoming.targets if isinstance(incoming, Incoming) else ():
                    flow = self._table.flow(definition, key)
                    found[id(flow)] = flow
        return list(found.values())

    async def _look_up(self, batch: list[Submission], flows: list[Flow]) -> dict[tuple[str, str], tuple[int, bytes]]:
        """What the journal knows of the ids; flows that it does not know are known to be new from here on."""
        durable = self._ledger.durable_number
        for name in [name for name, recent in self._recent.items() if recent.batch <= durable]:
            del self._recent[name]
        ids = [
            (incoming.source, incoming.source_id)
            for submission in batch
            for incoming in submission.incoming
            if incoming.source is not None and incoming.source_id is not None
        ]
        unread = [flow for flow in flows if not flow.known and flow.state is None]
        if not ids and not unread:
            return {}
        found = await self._ledger.journal.look_up(ids, [(flow.process, flow.key) for flow in unread])
        for flow in unread:
            if flow.known or flow.state is not None:
                continue
            row = found.flows.get((flow.process, flow.key))
            if row is None:
                if flow.id == 0:
                    flow.known, flow.absent, flow.state = True, True, flow.definition.cls()
            else:
                flow.id = row.id
        return found.ids

    def _admit(self, submission: Submission, found: dict[tuple[str, str], tuple[int, bytes]]) -> None:
        """All of it or none, in one stretch without a checkpoint."""
        if submission.done.is_set():
            return  # while its aggregate was loaded, or its ids looked up: the intake closed, or its sender left
        fresh: dict[tuple[str, str], bytes] = {}
        for incoming in submission.incoming:
            if incoming.source is None or incoming.source_id is None or incoming.digest is None:
                continue
            named = (incoming.source, incoming.source_id)
            known = self._known(named, found)
            digest = fresh.get(named) if known is None else known[1]
            if digest is not None and digest != incoming.digest:
                self._counters.events_refused += len(submission.incoming)
                position = known[0] if known is not None else self._ledger.next_position()
                submission.refuse(IdReused(incoming.source, incoming.source_id, position))
                return
            fresh[named] = incoming.digest
        for incoming in submission.incoming:
            name: tuple[str, str] | None = None
            if incoming.source is not None and incoming.source_id is not None:
                name = (incoming.source, incoming.source_id)
                known = self._known(name, found)
                if known is not None:
                    self._counters.events_duplicate += 1
                    submission.accepted.append(Accepted(known[0], duplicate=True))
                    continue
            if isinstance(incoming, Incoming):
                self._accept(submission, incoming, name)
            elif not self._decide(submission, incoming, name):
                return
        self._ledger.when_durable(submission)

    def _accept(self, submission: Submission, incoming: Incoming, name: tuple[str, str] | None) -> None:
        event_id = self._ids.fresh()
        trace = incoming.trace or None if self._tracing is None else self._tracing.accepted(event_id, incoming.trace)
        origin = Origin(event_id, incoming.source, incoming.source_id, incoming.digest, trace=trace)
        row = self._router.accept(incoming.event, incoming.payload, origin, incoming.targets)
        if name is not None:
            self._recent[name] = _Recent(row.position, incoming.digest or b"", self._ledger.filling.number)
        self._counters.events_accepted += 1
        self._payloads.fit(row.type, incoming.size)
        submission.ids.append(event_id)
        submission.accepted.append(Accepted(row.position, duplicate=False))

    def _decide(self, submission: Submission, sent: FromOutside, name: tuple[str, str] | None) -> bool:
        """Decide a command, which is written down with what came of it; False where it can't be decided."""
        try:
            decided = self._aggregates.decide(sent)
        except DecisionFailed as error:
            submission.refuse(error)
            return False
        if name is not None:
            self._recent[name] = _Recent(decided.position, sent.digest or b"", self._ledger.filling.number)
        submission.decided = decided
        submission.ids.append(decided.id)
        submission.accepted.append(Accepted(decided.position, duplicate=False))
        return True

    def _known(
        self, name: tuple[str, str], found: dict[tuple[str, str], tuple[int, bytes]]
    ) -> tuple[int, bytes] | None:
        recent = self._recent.get(name)
        if recent is not None:
            return recent.position, recent.digest
        return found.get(name)


_RETRY_AFTER_S = 0.5
