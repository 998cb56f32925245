"""Which flows are in memory: found by name, woken when something arrives, evicted when the cache is full."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator

import trio

from procession.actors.mailbox import Mailbox
from procession.engine.flow import Delivery, Flow
from procession.primitives.definition import Definition
from procession.settings import FlowsSettings
from procession.telemetry.names import Counters


class FlowTable:
    """All flows that are resident. A flow leaves only when nothing of it is undone and all of it is durable."""

    def __init__(self, counters: Counters, limits: FlowsSettings, durable: Callable[[], int]) -> None:
        self._counters = counters
        self._awake_max = limits.awake_max
        self._cached_max = limits.cached_max
        self._mailbox_max = limits.mailbox_max
        self._durable = durable
        self._flows: dict[tuple[str, str], Flow] = {}
        self._resting: OrderedDict[tuple[str, str], Flow] = OrderedDict()
        self._ready: deque[Flow] = deque()
        self.start: Callable[[Flow], None] = _not_started
        """Has a flow drained; set by the flows' host."""
        self.paused: set[str] = set()
        """Processes whose deliveries wait in the journal."""
        self.awake = 0
        self._room = trio.lowlevel.ParkingLot()

    def __len__(self) -> int:
        return len(self._flows)

    def __iter__(self) -> Iterator[Flow]:
        return iter(list(self._flows.values()))

    def find(self, process: str, key: str) -> Flow | None:
        """A flow that is resident, or None."""
        return self._flows.get((process, key))

    def flow(self, definition: Definition, key: str) -> Flow:
        """The resident flow of this name; one that was not is made, and knows nothing yet."""
        name = (definition.name, key)
        flow = self._flows.get(name)
        if flow is None:
            flow = Flow(definition=definition, key=key, mailbox=Mailbox(self._mailbox_max))
            self._flows[flow.named] = flow
        elif flow.resting:
            self._rouse(flow)
        return flow

    def post(self, delivery: Delivery) -> None:
        """Hand an event to its flow and wake it. What the mailbox does not keep is read from the journal later."""
        flow = delivery.flow
        if flow.status == "quarantined":
            return
        if flow.process in self.paused:
            flow.mailbox.more = True
        if flow.mailbox.post(delivery) and delivery.timer is not None:
            flow.fired += 1
        self.wake(flow)

    def wake(self, flow: Flow) -> None:
        """Have it drained, now or as soon as fewer are awake."""
        if flow.running or flow.queued or (flow.process in self.paused and not flow.acts):
            return
        if self.awake >= self._awake_max:
            flow.queued = True
            self._ready.append(flow)
            return
        self._begin(flow)

    def ended(self, flow: Flow) -> None:
        """A flow was drained: it rests, and the next that waits for its place begins."""
        flow.running = False
        self.awake -= 1
        if self._ready and self.awake < self._awake_max:
            following = self._ready.popleft()
            following.queued = False
            self._begin(following)
        elif self._room:
            self._room.unpark_all()
        self.rest(flow)

    def rest(self, flow: Flow) -> None:
        """A flow without work stays in the cache; the one that rested longest leaves where there is no room."""
        name = flow.named
        if flow.running or flow.queued or self._flows.get(name) is not flow:
            return
        if flow.resting:
            self._resting.move_to_end(name)
        else:
            self._resting[name], flow.resting = flow, True
        if len(self._resting) > self._cached_max:
            self._evict()

    def has_room(self) -> bool:
        """Whether more flows may be woken without queueing."""
        return self.awake + len(self._ready) < self._awake_max

    async def wait_room(self) -> None:
        """Wait until more flows may be woken without queueing."""
        while not self.has_room():
            await self._room.park()

    def _begin(self, flow: Flow) -> None:
        flow.running = True
        self.awake += 1
        if flow.resting:
            self._rouse(flow)
        self.start(flow)

    def _rouse(self, flow: Flow) -> None:
        del self._resting[flow.named]
        flow.resting = False

    def _evict(self) -> None:
        durable = self._durable()
        for _ in range(len(self._resting)):
            if len(self._resting) <= self._cached_max:
                return
            name, flow = self._resting.popitem(last=False)
            paused = flow.process in self.paused
            if flow.written_in > durable or flow.pins or flow.acts or (flow.has_work() and not paused):
                self._resting[name] = flow
                if flow.written_in > durable:
                    return  # what rests after it is not durable either, or soon will be
                continue
            del self._flows[name]
            flow.resting = False
            self._counters.flows_evicted += 1


def _not_started(flow: Flow) -> None:
    msg = f"{flow.name} was woken before the flows' host runs"
    raise AssertionError(msg)
