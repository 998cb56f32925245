"""The disk of a simulation: rows that outlive processes, and commits that fail, hang, come back, or kill."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

import trio

from procession.journal.memory import MemoryJournal
from procession.journal.memory_store import Store, check
from procession.journal.rows import (
    ArmedTimer,
    Commit,
    Delivered,
    DeliveryState,
    FlowRow,
    LoadedFlow,
    LookUp,
    OpenCommand,
    ShortFlow,
    Stepped,
)
from procession.journal_errors import CommitFailed, CommitRejected, Fenced
from procession.testing.simulation.fault import Fault, numbers
from procession.testing.simulation.plan import AtCommit, Plan
from procession.testing.simulation.trace import Trace

T = TypeVar("T")
TOUCHES_MAX = 20_000
"""Of one run; those that end well need some hundreds."""
_DELAYS_S = (0.0, 0.0, 0.0, 0.001, 0.02, 0.5)
_READS_S = (0.0, 0.0, 0.001, 0.02)


class Disk:
    """What is left when a process is gone, and what its journal does wrong next."""

    def __init__(self, plan: Plan, clock_us: Callable[[], int], trace: Trace) -> None:
        self.plan = plan
        self.clock_us = clock_us
        self.trace = trace
        self.calm = False
        """Nothing fails any more."""
        self.written: list[Commit] = []
        """Every commit that is durable, in order."""
        self.commits = 0
        self.faults: dict[int, AtCommit] = {one.number: one for one in plan.at_commits}
        self.chance: random.Random = numbers("disk", plan.seed)
        self.reopens_failing = 0
        self.on_death: Callable[[], None] = _unheard
        self.reads = 0
        self.touches = 0
        """Reads, commits and whatever else asks something of it."""
        self.on_spinning: Callable[[], None] = _unheard
        self.pending: Commit | None = None
        """A commit that failed and comes back."""
        self.journal = DiskJournal(self, None)

    def start(self) -> DiskJournal:
        """A process starts on these rows; whoever had them before is fenced. A commit that was kept is there."""
        self.bring_back()
        self.reopens_failing = 0
        self.journal = DiskJournal(self, self.journal)
        return self.journal

    def bring_back(self) -> None:
        """A commit that failed is there all the same."""
        if self.pending is not None:
            commit, self.pending = self.pending, None
            self.journal.write_now(commit)
            self.trace.add("commit", "what failed is there all the same")

    def next_fault(self, commit: Commit) -> AtCommit | None:
        """The fault of the commit that begins now; one that waits for work left undone may be put off."""
        self.commits += 1
        planned = None if self.calm else self.faults.pop(self.commits, None)
        pending = any(row is not None and row.state == "pending" for row in commit.deliveries.values())
        if planned is not None and planned.waits and not pending:
            self.faults.setdefault(self.commits + 1, planned)
            return None
        return planned

    def delay_s(self, choices: tuple[float, ...]) -> float:
        """How long the disk takes."""
        slow = Fault.SLOW_JOURNAL in self.plan.constant and not self.calm
        return self.chance.choice(choices) if slow else 0.0


class ReadError(OSError):
    """A read that fails; the next one may succeed."""


class DiskJournal(MemoryJournal):
    """The journal of one process."""

    def __init__(self, disk: Disk, before: MemoryJournal | None) -> None:
        super().__init__(journal_id=numbers("journal", disk.plan.seed).randbytes(16), clock_us=disk.clock_us)
        self._disk = disk
        self.dead = False
        if before is not None:
            self._store = before._store  # noqa: SLF001 - the same rows, under another owner
            self._epoch = self._take_over()

    def die(self) -> None:
        """The process is gone: it writes nothing more."""
        if not self.dead:
            self.dead = True
            self._disk.on_death()

    def write_now(self, commit: Commit) -> None:
        """Apply a commit that failed and was written."""
        check(self._store, commit)
        self._store.apply(commit)
        self._disk.written.append(commit)

    def forget_snapshots(self, states: dict[str, str]) -> None:
        """Snapshots become those of another version of the code, in which flows had other states."""
        for flow, row in self._store.snapshots.items():
            state = states[self._store.flows[flow].process]
            self._store.snapshots[flow] = row._replace(fingerprint="another version", state=state)

    def holds(self, source: str | None, id_: str | None) -> bool:
        """Whether an outside event is stored."""
        return (source, id_) in self._store.sources

    async def _checkpoint(self) -> Store:
        """Each read and each commit comes by here: whoever spins, for which no clock is needed, is stopped here."""
        self._disk.touches += 1
        if self._disk.touches > TOUCHES_MAX:
            self.die()
            self._disk.on_spinning()
        return await super()._checkpoint()

    async def commit(self, commit: Commit) -> None:
        disk = self._disk
        planned = disk.next_fault(commit)
        number, fault = disk.commits, None if planned is None else planned.fault
        with trio.CancelScope(shield=True):
            await trio.sleep(disk.delay_s(_DELAYS_S))
        if self.dead or fault is Fault.CRASH_BEFORE_COMMIT:
            disk.trace.add("crash", f"before commit {number}")
            self.die()
            raise Fenced(_DEAD)
        if planned is not None and fault in (Fault.COMMIT_LOST, Fault.COMMIT_KEPT):
            disk.trace.add("commit", f"{number} fails")
            disk.pending = commit if fault is Fault.COMMIT_KEPT else None
            disk.reopens_failing = planned.reopens_failing
            raise CommitFailed("simulated: I/O failed")
        if fault is Fault.COMMIT_REJECTED:
            disk.trace.add("commit", f"{number} is rejected")
            raise CommitRejected("simulated: the data is refused")
        await super().commit(commit)
        disk.written.append(commit)
        disk.trace.commit(number, commit)
        if fault is Fault.CRASH_AFTER_COMMIT:
            disk.trace.add("crash", f"after commit {number}")
            self.die()
            raise Fenced(_DEAD)
        await self._tell()

    async def _tell(self) -> None:
        """What was written can be read for a while before its process hears so."""
        with trio.CancelScope(shield=True):
            await trio.sleep(self._disk.delay_s(_DELAYS_S))
        if self.dead:
            raise Fenced(_DEAD)

    async def reopen(self) -> None:
        disk = self._disk
        if disk.reopens_failing and not disk.calm:
            disk.reopens_failing -= 1
            disk.trace.add("reopen", "fails")
            await trio.lowlevel.checkpoint()
            raise CommitFailed("simulated: the journal can't be opened")
        if self.dead:
            raise Fenced(_DEAD)
        disk.bring_back()
        await super().reopen()

    async def look_up(self, ids: Sequence[tuple[str, str]], flows: Sequence[tuple[str, str]]) -> LookUp:
        return await self._read(super().look_up(ids, flows))

    async def load(self, process: str, key: str, steps_max: int) -> LoadedFlow:
        return await self._read(super().load(process, key, steps_max))

    async def load_many(self, flows: Sequence[tuple[str, str]], steps_max: int) -> dict[tuple[str, str], ShortFlow]:
        return await self._read(super().load_many(flows, steps_max))

    async def steps(self, flow: int, after_version: int, limit: int) -> list[Stepped]:
        return await self._read(super().steps(flow, after_version, limit))

    async def deliveries(
        self, flow: int, after_position: int, limit: int, states: Sequence[DeliveryState]
    ) -> list[Delivered]:
        return await self._read(super().deliveries(flow, after_position, limit, states))

    async def flows_with_deliveries(self, state: DeliveryState, after_flow: int, limit: int) -> list[FlowRow]:
        return await self._read(super().flows_with_deliveries(state, after_flow, limit))

    async def open_commands(
        self, gateway: str, due_us_max: int, limit: int, known: Collection[int] = ()
    ) -> list[OpenCommand]:
        return await self._read(super().open_commands(gateway, due_us_max, limit, known))

    async def commands(self, flow: int, after_seq: int, limit: int) -> list[OpenCommand]:
        return await self._read(super().commands(flow, after_seq, limit))

    async def timers(self, after: tuple[int, int, str], limit: int) -> list[ArmedTimer]:
        return await self._read(super().timers(after, limit))

    async def _read(self, reading: Awaitable[T]) -> T:
        """What is read is as old as the disk is slow; or it can't be read."""
        disk = self._disk
        found = await reading
        disk.reads += 1
        if disk.reads in disk.plan.at_reads and not disk.calm:
            disk.trace.add("read", f"{disk.reads} fails")
            raise ReadError("simulated: the disk can't be read")
        delay_s = disk.delay_s(_READS_S)
        if delay_s:
            await trio.sleep(delay_s)
        return found


def _unheard() -> None:
    pass


_DEAD = "the journal of a process that died"
