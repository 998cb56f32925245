"""A journal in memory, for tests: the contract without a disk, a thread or a clock of its own."""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

import attrs
import trio

from procession.errors import RuntimeClosed
from procession.journal.journal import PAUSES
from procession.journal.memory_search import MemorySearch, matches
from procession.journal.memory_store import Store, check, nested, undone_in
from procession.journal.rows import (
    ArmedTimer,
    CommandRow,
    Commit,
    ConcernRow,
    Contents,
    Delivered,
    DeliveryState,
    EventRow,
    Fault,
    FlowQuery,
    FlowRow,
    Heads,
    JournalCounts,
    LoadedFlow,
    LookUp,
    OpenCommand,
    OwnerInfo,
    ShortFlow,
    Standing,
    Stepped,
    TimerRow,
    TypeInUse,
    TypeRow,
    UnhandledRow,
)
from procession.journal.undone import Undone
from procession.journal_errors import Fenced, JournalUnwritable

_LIVE = ("unstarted", "active", "quarantined")


class MemoryJournal(MemorySearch):
    """A journal in plain dicts. One checkpoint a method and no thread, so trio's MockClock fits.

    What it holds outlives it: `reopened` gives a new owner of the same rows, as a process that starts again on the
    same file. Without `close_clean` before it, that is a start after a crash; the old owner is fenced then, as if
    its process were gone.

        journal = MemoryJournal()
        ...                             # a runtime works, and dies
        journal = journal.reopened()    # the next one starts
    """

    def __init__(
        self, *, journal_id: bytes = bytes(16), clock_us: Callable[[], int] = lambda: 0, unclean_period_s: float = 600
    ) -> None:
        self._clock_us = clock_us
        self._unclean_period_us = int(unclean_period_s * 1_000_000)
        self._closed = False
        self._store = Store(journal_id)
        self._epoch = self._take_over()

    def reopened(self) -> MemoryJournal:
        """A new owner of the same rows; whoever owned them before is fenced, unless closed."""
        journal = MemoryJournal(clock_us=self._clock_us, unclean_period_s=self._unclean_period_us / 1_000_000)
        journal._store = self._store
        journal._epoch = journal._take_over()
        return journal

    def _take_over(self) -> int:
        store, now_us = self._store, self._clock_us()
        last = store.owner
        unclean = 0
        if last is not None and not store.clean and now_us - store.renewed_us <= self._unclean_period_us:
            unclean = 1
            if store.renewed_us - last.started_us <= self._unclean_period_us:
                unclean += last.unclean_starts
        epoch = 1 if last is None else last.epoch + 1
        store.owner = OwnerInfo(os.getpid(), "memory", now_us, epoch, unclean, running=True)
        store.clean, store.renewed_us = False, now_us
        return epoch

    async def _checkpoint(self) -> Store:
        await trio.lowlevel.checkpoint()
        if self._closed:
            raise RuntimeClosed
        return self._store

    @property
    def id(self) -> bytes:
        return self._store.id

    async def heads(self) -> Heads:
        store = await self._checkpoint()
        return Heads(
            store.positions[-1] if store.positions else 0,
            store.flow_ids.keys[-1] if store.flow_ids.keys else 0,
            max(store.commands, default=0),
        )

    async def pauses(self) -> list[EventRow]:
        store = await self._checkpoint()
        return [row for row in store.events.values() if row.type in PAUSES]

    async def look_up(self, ids: Sequence[tuple[str, str]], flows: Sequence[tuple[str, str]]) -> LookUp:
        store = await self._checkpoint()
        found: dict[tuple[str, str], tuple[int, bytes]] = {}
        for source_and_id in ids:
            position = store.sources.get(source_and_id)
            if position is not None:
                found[source_and_id] = (position, store.events[position].digest or b"")
        return LookUp(found, {key: store.flows[store.by_key[key]] for key in flows if key in store.by_key})

    async def load(self, process: str, key: str, steps_max: int) -> LoadedFlow:
        store = await self._checkpoint()
        flow = store.by_key.get((process, key))
        if flow is None:
            return LoadedFlow(None, None, [])
        snapshot = store.snapshots.get(flow)
        steps = self._steps(flow, 0 if snapshot is None else snapshot.version, steps_max)
        return LoadedFlow(store.flows[flow], snapshot, steps, store.trace_of(flow))

    async def load_many(self, flows: Sequence[tuple[str, str]], steps_max: int) -> dict[tuple[str, str], ShortFlow]:
        store = await self._checkpoint()
        return {name: store.short_flow(store.by_key[name], steps_max) for name in flows if name in store.by_key}

    async def steps(self, flow: int, after_version: int, limit: int) -> list[Stepped]:
        await self._checkpoint()
        return self._steps(flow, after_version, limit)

    async def steps_of(self, flows: Sequence[int], after_version: int, limit: int) -> list[Stepped]:
        await self._checkpoint()
        found: list[Stepped] = []
        for flow in flows:
            found += self._steps(flow, after_version, limit - len(found))
            if len(found) >= limit:
                break
            after_version = 0
        return found

    def _steps(self, flow: int, after_version: int, limit: int) -> list[Stepped]:
        found = self._store.steps.get(flow, [])[after_version : after_version + limit]
        return [Stepped(step, self._store.events[step.position]) for step in found]

    async def deliveries(
        self, flow: int, after_position: int, limit: int, states: Sequence[DeliveryState]
    ) -> list[Delivered]:
        store = await self._checkpoint()
        rows = sorted(store.deliveries.get(flow, {}).items())
        found = [row for position, row in rows if position > after_position and row.state in states]
        return [Delivered(row, store.events[row.position]) for row in found[:limit]]

    async def flows_with_deliveries(self, state: DeliveryState, after_flow: int, limit: int) -> list[FlowRow]:
        store = await self._checkpoint()
        found: list[FlowRow] = []
        keys = store.delivering[state].keys if state in store.delivering else []
        place = bisect_right(keys, (after_flow + 1,))
        while place < len(keys) and len(found) < limit:
            flow = keys[place][0]
            found.append(store.flows[flow])
            place = bisect_right(keys, (flow + 1,), place)
        return found

    async def open_commands(
        self, gateway: str, due_us_max: int, limit: int, known: Collection[int] = ()
    ) -> list[OpenCommand]:
        store = await self._checkpoint()
        keys = store.open[gateway].keys if gateway in store.open else []
        due = keys[: bisect_right(keys, (due_us_max + 1, 0))]
        return [self._command(seq) for seq in [seq for _, seq in due if seq not in known][:limit]]

    def _command(self, seq: int) -> OpenCommand:
        store = self._store
        row = store.commands[seq]
        flow, event = store.flows[row.flow], store.events[row.position]
        effects = store.handled[row.flow, row.position].effects or "[]"
        first = event.correlation or event.id
        return OpenCommand(row, flow.process, flow.key, effects, first, store.trace_of(row.flow))

    async def command(self, command_id: bytes) -> OpenCommand | None:
        store = await self._checkpoint()
        seq = store.command_ids.get(command_id)
        return None if seq is None else self._command(seq)

    async def commands(self, flow: int, after_seq: int, limit: int) -> list[OpenCommand]:
        store = await self._checkpoint()
        of_flow = store.commands_of.get(flow)
        return [] if of_flow is None else [self._command(seq) for seq in of_flow.after(after_seq, limit)]

    async def timers(self, after: tuple[int, int, str], limit: int) -> list[ArmedTimer]:
        store = await self._checkpoint()
        return [store.armed(flow, name) for _, flow, name in store.due.after(after, limit)]

    async def timers_of(self, flow: int) -> list[TimerRow]:
        await self._checkpoint()
        return self._timers_of(flow)

    def _timers_of(self, flow: int) -> list[TimerRow]:
        rows = [self._store.timers[flow, name] for name in self._store.timer_names.get(flow, ())]
        return sorted(rows, key=lambda row: (row.due_us, row.name))

    async def columns(
        self,
        names: Sequence[str],
        after_position: int,
        limit: int,
        types: Sequence[str] = (),
        until_position: int | None = None,
    ) -> list[tuple[Any, ...]]:
        assert set(names) <= set(EventRow._fields), f"columns of events are {', '.join(EventRow._fields)}"
        rows = await self.events(after_position, limit, types, until_position)
        return [tuple(getattr(row, name) for name in names) for row in rows]

    async def standing_of(self, flows: Sequence[int], timers_max: int) -> list[Standing]:
        store = await self._checkpoint()
        found: list[Standing] = []
        for flow in flows:
            waiting = store.deliveries.get(flow, {})
            head = Delivered(waiting[min(waiting)], store.events[min(waiting)]) if waiting else None
            found.append(Standing(self._timers_of(flow)[:timers_max], head))
        return found

    async def events(
        self, after_position: int, limit: int, types: Sequence[str] = (), until_position: int | None = None
    ) -> list[EventRow]:
        store = await self._checkpoint()
        found: list[EventRow] = []
        for place in range(bisect_right(store.positions, after_position), len(store.positions)):
            row = store.events[store.positions[place]]
            if len(found) == limit or (until_position is not None and row.position > until_position):
                break
            if not types or row.type in types:
                found.append(row)
        return found

    async def flows(self, query: FlowQuery, after_flow: int, limit: int) -> list[FlowRow]:
        store = await self._checkpoint()
        found: list[FlowRow] = []
        for place in range(bisect_right(store.flow_ids.keys, after_flow), len(store.flow_ids.keys)):
            if len(found) == limit:
                break
            row = store.flows[store.flow_ids.keys[place]]
            if matches(self._store, row, query):
                found.append(row)
        return found

    async def unhandled(
        self, process: str | None, key: str | None, after_position: int, limit: int
    ) -> list[UnhandledRow]:
        store = await self._checkpoint()
        found: list[UnhandledRow] = []
        for place in store.unhandled_keys.after((after_position + 1, "", ""), len(store.unhandled)):
            if len(found) >= limit and place[0] != found[-1].position:
                break
            if process in (None, place[1]) and key in (None, place[2]):
                found.append(store.unhandled[place])
        return found

    async def counts(self) -> JournalCounts:
        store = await self._checkpoint()
        by_type = dict(Counter(row.type for row in store.events.values()))
        flows = store.flows.values()
        aggregates = {row.name for row in store.types.values() if row.kind == "aggregate"}
        deliveries = [row.state for of_flow in store.deliveries.values() for row in of_flow.values()]
        return JournalCounts(
            events=len(store.events),
            events_by_type=by_type,
            steps=len(store.handled),
            flows=nested((row.process, row.status) for row in flows if row.process not in aggregates),
            aggregates=nested((row.process, row.status) for row in flows if row.process in aggregates),
            outcomes=nested((row.process, row.outcome) for row in flows if row.outcome is not None),
            commands=dict(Counter(row.state for row in store.commands.values())),
            timers=len(store.timers),
            deliveries=dict(Counter(deliveries)),
            unhandled=nested((row.process, row.reason) for row in store.unhandled.values()),
        )

    async def undone(self) -> Undone:
        return undone_in(await self._checkpoint())

    async def types(self) -> list[TypeRow]:
        store = await self._checkpoint()
        return [store.types[key] for key in sorted(store.types)]

    async def concerns(self) -> list[ConcernRow]:
        store = await self._checkpoint()
        return [store.concerns[key] for key in sorted(store.concerns)]

    async def types_in_use(self) -> list[TypeInUse]:
        store = await self._checkpoint()
        commands = Counter(
            (row.type, json.loads(store.handled[row.flow, row.position].effects or "[]")[row.idx]["version"])
            for row in store.commands.values()
            if row.state == "open"
        )
        timers = Counter((row.type, row.version) for row in store.timers.values())
        delivered = [store.events[position] for of_flow in store.deliveries.values() for position in of_flow]
        deliveries = Counter((event.type, event.version) for event in delivered)
        live = [row for row in store.flows.values() if row.status in _LIVE]
        asking = {row.flow for row in store.commands.values() if row.state == "open"}
        asking |= {
            flow
            for flow, of_flow in store.deliveries.items()
            if any(row.state == "pending" for row in of_flow.values())
        }
        undone = [row for row in store.flows.values() if row.status in _LIVE or row.id in asking]
        processes = Counter((row.process, 0) for row in undone)
        folded = [step for row in live for step in store.steps.get(row.id, ()) if step.outcome != "skipped"]
        steps = Counter((store.events[step.position].type, store.events[step.position].version) for step in folded)
        found = [TypeInUse("command", *key, number) for key, number in sorted(commands.items())]
        found += [TypeInUse("timer", *key, number) for key, number in sorted(timers.items())]
        found += [TypeInUse("delivery", *key, number) for key, number in sorted(deliveries.items())]
        found += [TypeInUse("flow", *key, number) for key, number in sorted(processes.items())]
        return found + [TypeInUse("step", *key, number) for key, number in sorted(steps.items())]

    async def owner(self) -> OwnerInfo | None:
        return (await self._checkpoint()).owner

    async def verify(self) -> list[Fault]:
        """Nothing to find: memory has no bit that flips on its own."""
        await self._checkpoint()
        return []

    async def backup(self, target: str) -> None:
        await self._checkpoint()
        raise JournalUnwritable(target, "a journal in memory has no file to copy")

    def stored_command(self, command_id: bytes) -> CommandRow | None:
        """A command as it stands now, or None."""
        seq = self._store.command_ids.get(command_id)
        return None if seq is None else self._store.commands[seq]

    def contents(self) -> Contents:
        """All rows, as they stand now."""
        store = self._store
        return Contents(
            tuple(store.events[position] for position in store.positions),
            tuple(step for _, steps in sorted(store.steps.items()) for step in steps),
            tuple(store.flows[flow] for flow in store.flow_ids.keys),
            tuple(row for _, row in sorted(store.commands.items())),
            tuple(row for _, row in sorted(store.timers.items())),
            tuple(row for _, of_flow in sorted(store.deliveries.items()) for _, row in sorted(of_flow.items())),
            tuple(store.unhandled[key] for key in store.unhandled_keys.keys),
            tuple(row for _, row in sorted(store.snapshots.items())),
            tuple(row for _, row in sorted(store.types.items())),
            tuple(row for _, row in sorted(store.concerns.items())),
        )

    async def commit(self, commit: Commit) -> None:
        with trio.CancelScope(shield=True):
            store = await self._checkpoint()
        self._check_owner()
        check(store, commit)
        store.apply(commit)
        store.renewed_us = self._clock_us()

    def _check_owner(self) -> None:
        if self._store.owner is None or self._store.owner.epoch != self._epoch:
            raise Fenced("the journal in memory")

    async def reopen(self) -> None:
        await self._checkpoint()
        self._check_owner()

    async def checkpoint(self) -> None:
        await self._checkpoint()

    async def close_clean(self) -> None:
        with trio.CancelScope(shield=True):
            store = await self._checkpoint()
        if store.owner is not None and store.owner.epoch == self._epoch:
            store.clean, store.renewed_us = True, self._clock_us()
        self._end()

    async def close(self) -> None:
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
        self._end()

    def _end(self) -> None:
        self._closed = True
        owner = self._store.owner
        if owner is not None and owner.epoch == self._epoch:
            self._store.owner = attrs.evolve(owner, running=False)
