"""The open commands of one gateway that are in memory: fair among flows, in order of their due time."""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from time import perf_counter
from typing import Literal

import attrs
import trio

from procession.engine.clock import Clock
from procession.journal.rows import CommandRow, CommandState
from procession.primitives.command import Command
from procession.primitives.event import Event
from procession.primitives.gateway import CommandMethod
from procession.telemetry.trace_context import Context

HandleState = Literal["ready", "resting", "running", "stuck", "done"]


Answer = tuple[tuple[Event, str], ...]
"""What a gateway returned, found good: each event with its payload."""


@attrs.define(eq=False)
class Handle:
    """One open command in memory."""

    window: CommandWindow
    row: CommandRow
    command: Command
    process: str
    key: str
    correlation: bytes
    trace: str | None
    method: CommandMethod
    state: HandleState = "resting"
    """`stuck`: a thread of an attempt that was cancelled has not returned; no other attempt begins until then."""
    ended: CommandState = "open"
    late: Answer | None = None
    """What came when it had ended otherwise."""
    attempts: int = 0
    log: tuple[dict[str, object], ...] = ()
    """How its attempts failed."""
    scope: trio.CancelScope | None = None
    broken_off: bool = False
    """Its attempt was cancelled."""
    timed_out: bool = False
    """Its last attempt ran until its deadline."""
    began: float = attrs.field(factory=perf_counter)
    """When it was asked for, or read from the journal."""
    attempt: Context | None = None
    """The span of its last attempt, where it is traced."""

    def durable(self) -> None:
        """Its row is durable: it may begin."""
        self.window.add(self, self.row.due_us)

    def failed(self, error: Exception) -> None:
        """It was not decided: the turn runs again, or the journal has the command."""

    @property
    def context(self) -> str | None:
        """W3C context of what its last attempt led to."""
        return self.trace if self.attempt is None else self.attempt.text

    @property
    def sent_again(self) -> int:
        """How often an operator had it sent again."""
        found = self.log[0].get("sent_again", 0) if self.log else 0
        return found if isinstance(found, int) else 0

    @property
    def flow(self) -> int:
        """Row id of the flow that asked."""
        return self.row.flow


class CommandWindow:
    """Ready commands in turns among flows, resting ones by due time. What does not fit stays in the journal."""

    def __init__(self, size_max: int, *, ordered: bool) -> None:
        self._size_max = size_max
        self._ordered = ordered
        self.known: dict[int, Handle] = {}
        """By number: everything that is in memory, also what runs."""
        self._ready: OrderedDict[int, deque[Handle]] = OrderedDict()
        self._resting: list[tuple[int, int, Handle]] = []
        self.ready = 0
        """How many may begin now, as far as nobody cancelled them."""
        self._readers = 0
        self._forgotten: set[int] = set()
        self.more = True
        """There may be open commands in the journal that are not here."""

    def __len__(self) -> int:
        return len(self.known)

    @property
    def reading(self) -> bool:
        """Somebody reads open commands, which may be here soon."""
        return self._readers > 0

    @property
    def stirs(self) -> bool:
        """Something in here is ready, or rests until it is due."""
        return bool(self._ready) or bool(self._resting)

    @property
    def room(self) -> int:
        """How many more fit."""
        return self._size_max - len(self.known)

    def add(self, handle: Handle, now_us: int) -> None:
        """Take a command in, where there is room; else it stays in the journal."""
        if self.knows(handle.row.seq) or len(self.known) >= self._size_max:
            self.more = True
            return
        self.known[handle.row.seq] = handle
        self._place(handle, now_us)

    def knows(self, seq: int) -> bool:
        """Whether a command is here, or was here when somebody began to read."""
        known = self.known.get(seq)
        if known is not None and known.state == "stuck" and known.ended != "open":
            self.more = True  # opened again: it is read when the thread of its old attempt has returned
        return known is not None or seq in self._forgotten

    def here(self) -> list[int]:
        """Numbers of the commands that are here, and need not be read.

        Not of those that have ended while a thread is left of them: that one was opened again, `knows` must notice.
        """
        return [seq for seq, handle in self.known.items() if handle.state != "stuck" or handle.ended == "open"]

    def rest(self, handle: Handle, due_us: int, now_us: int) -> None:
        """A command waits until it is due again."""
        handle.row = handle.row._replace(due_us=due_us)
        self._place(handle, now_us)

    def forget(self, handle: Handle) -> None:
        """A command is done, and the journal says so; or it goes back there."""
        handle.state = "done"
        if self.known.pop(handle.row.seq, None) is not None and self._readers:
            self._forgotten.add(handle.row.seq)

    def hold_back(self, handle: Handle) -> None:
        """A command that does not run was cancelled: it begins no more, also where somebody reads it as open."""
        handle.state = "done"
        self.known[handle.row.seq] = handle

    def has_ended(self, seq: int) -> bool:
        """Whether a command that somebody read as open (between `begin_read` and `end_read`) has ended since."""
        handle = self.known.get(seq)
        return seq in self._forgotten or (handle is not None and handle.ended != "open")

    def begin_read(self) -> None:
        """Somebody reads open commands from the journal: remember what ends meanwhile."""
        self._readers += 1

    def end_read(self) -> None:
        """What was read has been used."""
        self._readers -= 1
        if not self._readers:
            self._forgotten.clear()

    def next(self, clock: Clock) -> Handle | None:
        """The next command whose turn it is: flows in turns, each flow's commands in order."""
        if self._resting:
            self._rouse(clock.now_us())
        for _ in range(len(self._ready)):
            flow, queue = self._ready.popitem(last=False)
            while queue and queue[0].state != "ready":
                queue.popleft()
                self.ready -= 1
            if not queue:
                continue
            if self._ordered and self._is_behind(queue[0]):
                self._ready[flow] = queue
                continue
            handle = queue.popleft()
            self.ready -= 1
            if queue:
                self._ready[flow] = queue
            return handle
        return None

    def _rouse(self, now_us: int) -> None:
        while self._resting and self._resting[0][0] <= now_us:
            _, _, handle = heapq.heappop(self._resting)
            if handle.state == "resting":
                self._place(handle, now_us)

    def next_due_us(self) -> int | None:
        """When the first resting command is due; None where none rests."""
        while self._resting and self._resting[0][2].state != "resting":
            heapq.heappop(self._resting)
        return self._resting[0][0] if self._resting else None

    def drop_far(self, horizon_us: int) -> None:
        """Leave to the journal what rests beyond the horizon, where others wait for room."""
        far = [handle for due_us, _, handle in self._resting if due_us > horizon_us and handle.state == "resting"]
        if far and not self._ordered and self.room < self._size_max // 2:
            for handle in far:
                self.known.pop(handle.row.seq, None)
            dropped = set(map(id, far))
            self._resting = [entry for entry in self._resting if id(entry[2]) not in dropped]
            heapq.heapify(self._resting)
            self.more = True

    def drop_waiting(self) -> None:
        """Forget all that does not run: the journal is read again."""
        for handle in list(self.known.values()):
            if handle.state in ("ready", "resting"):
                self.forget(handle)
        self._ready.clear()
        self.ready = 0
        self._resting.clear()
        self.more = True

    def _place(self, handle: Handle, now_us: int) -> None:
        # What was never tried is due, also where the clock was set back since its event was accepted.
        if not handle.attempts or handle.row.due_us <= now_us:
            handle.state = "ready"
            queue = self._ready.setdefault(handle.flow, deque())
            queue.append(handle)
            self.ready += 1
            if self._ordered and len(queue) > 1 and queue[-2].row.seq > handle.row.seq:
                # One that failed and is due again stands before those that wait for it, else all wait for ever.
                self._ready[handle.flow] = deque(sorted(queue, key=lambda one: one.row.seq))
        else:
            handle.state = "resting"
            heapq.heappush(self._resting, (handle.row.due_us, handle.row.seq, handle))

    def _is_behind(self, handle: Handle) -> bool:
        """Whether an earlier command of the same flow is still open."""
        return any(
            other.flow == handle.flow and other.row.seq < handle.row.seq and other.ended == "open"
            for other in self.known.values()
        )
