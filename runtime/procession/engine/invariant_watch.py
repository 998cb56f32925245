"""Invariants, watched live: each history is judged after its durable steps, beside the turns and never before them."""

from __future__ import annotations

import contextlib
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable

import attrs
import trio

from procession.engine.histories import PAGE, DurableTurn, HistoryReader
from procession.engine.ids import Ids
from procession.engine.ledger import Batch, Ledger
from procession.engine.router import Origin, Router
from procession.engine.solo import Solo
from procession.engine.turn import describe
from procession.errors import InvalidPayload, TooLarge, UnknownType, WiringError
from procession.journal.journal import JournalReader
from procession.journal.rows import FlowQuery
from procession.primitives.event import InvariantBroken
from procession.primitives.history import History, Turned
from procession.primitives.invariant import Invariant
from procession.primitives.registry import Registry
from procession.settings import InvariantsSettings
from procession.telemetry import Counters

logger = logging.getLogger("procession.invariants")
_SLICE_S = 0.002
_LATEST_ONLY = 2**62
_ERROR_CHARS_MAX = 500

Name = tuple[str, str]
"""Process and key of a flow."""


@attrs.define(eq=False)
class _Due:
    """A flow that is to be judged."""

    first: int
    """The history is judged after each turn from this version on, and after the last."""
    turns: list[DurableTurn] | None
    """What became durable, in order; None where it is read from the journal."""


@attrs.define(eq=False)
class _Known:
    """A history that was judged, kept for the next step."""

    version: int = 0
    turns: tuple[Turned, ...] = ()
    alerted: set[str] | None = None
    """Invariants that were reported of this flow; None while nobody has looked."""
    lost: bool = False
    """It can't be judged."""


class InvariantWatch:
    """One per runtime. Without invariants nothing is ever put into it."""

    def __init__(
        self,
        registry: Registry,
        journal: JournalReader,
        ids: Ids,
        counters: Counters,
        limits: InvariantsSettings,
        on_idle: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._journal = journal
        self._ids = ids
        self._counters = counters
        self._limits = limits
        self._on_idle = on_idle
        self._reader = HistoryReader(registry, journal, limits.turns_per_flow_max)
        self._due: OrderedDict[Name, _Due] = OrderedDict()
        self._beyond: tuple[int, int] | None = None
        """Ids of flows, first and last, that found no room: those between are looked through in the journal."""
        self._known: OrderedDict[Name, _Known] = OrderedDict()
        self._turns = 0
        """Turns in the histories that are known."""
        self._busy = True
        self._wake = trio.Event()
        self._stopped = not registry.invariants

    def on_durable(self, batch: Batch) -> None:
        """Take what became durable; it is judged later."""
        if not batch.turned or self._stopped:
            return
        for flow, turn in batch.turned:
            due = self._due.get((flow.process, flow.key))
            if due is None:
                self._take((flow.process, flow.key), flow.id, _Due(turn.version, [turn]))
            elif due.turns is not None:
                due.turns.append(turn)
        self._wake.set()

    def idle(self) -> bool:
        """All that is durable is judged, or nobody judges."""
        return self._stopped or not (self._busy or self._due or self._beyond)

    def stop(self) -> None:
        """Judge no more: it failed too often. What is due is judged after the next start."""
        self._stopped = True
        self._due.clear()
        self._known.clear()
        self._beyond = None

    async def run(self, ledger: Ledger, router: Router, solo: Solo) -> None:
        """Judge what is due, until cancelled."""
        self._known.clear()
        self._turns = 0
        for due in self._due.values():
            due.turns = None  # what it holds may be of a life that has ended: the journal decides
        judge = _Judge(self._registry, self._reader, self._ids, self._counters, ledger, router, solo)
        try:
            await self._look_back(judge, ledger)
            while True:
                self._wake = trio.Event()
                self._busy = True
                await self._judge_due(judge)
                self._busy = False
                self._on_idle()
                await self._wake.wait()
        finally:
            self._busy = True  # as long as nobody has looked again, nobody knows

    def _take(self, name: Name, flow: int, due: _Due) -> None:
        if len(self._due) < self._limits.flows_due_max:
            self._due[name] = due
        else:
            self._look_later(flow, flow)

    def _look_later(self, first: int, last: int) -> None:
        others = self._beyond or (first, last)
        self._beyond = (min(first, others[0]), max(last, others[1]))

    async def _look_back(self, judge: _Judge, ledger: Ledger) -> None:
        """Flows that changed shortly before the last event may have been left unjudged when the runtime ended."""
        last = await self._journal.events(ledger.durable_position - 1, 1)
        if not last:
            return
        since_us = last[0].recorded_us - int(self._limits.look_back_s * 1_000_000) - 1
        for process in self._registry.invariants:
            after = 0
            while True:
                page = await self._journal.flows(FlowQuery(process=process, updated_after_us=since_us), after, PAGE)
                for row in page:
                    if (row.process, row.key) not in self._due:
                        self._take((row.process, row.key), row.id, _Due(_LATEST_ONLY, None))
                await self._judge_due(judge)
                if len(page) < PAGE:
                    break
                after = page[-1].id

    async def _judge_due(self, judge: _Judge) -> None:
        until = trio.current_time() + _SLICE_S
        while self._due or self._beyond:
            if not self._due:
                await self._look_beyond()
                continue
            name, due = self._due.popitem(last=False)
            judged = False
            try:
                await self._judge(judge, name, due)
                judged = True
            finally:
                if not judged:
                    newer = self._due.get(name, due)
                    self._due[name] = _Due(min(due.first, newer.first), None)
            if trio.current_time() > until:
                await trio.lowlevel.checkpoint()
                until = trio.current_time() + _SLICE_S

    async def _look_beyond(self) -> None:
        """Take a page of the flows that found no room."""
        assert self._beyond is not None, "there is something beyond"
        first, last = self._beyond
        self._beyond = None
        page = await self._journal.flows(FlowQuery(), first - 1, PAGE)
        for row in page:
            name = (row.process, row.key)
            if row.id <= last and row.process in self._registry.invariants and name not in self._due:
                self._take(name, row.id, _Due(_LATEST_ONLY, None))
        if len(page) == PAGE and page[-1].id < last:
            self._look_later(page[-1].id + 1, last)

    async def _judge(self, judge: _Judge, name: Name, due: _Due) -> None:
        known = self._known.pop(name, None) or _Known()
        self._turns -= len(known.turns)
        turns = due.turns or []
        if known.lost:
            turns = []
        elif turns and _follow(known.version, turns) and known.version + len(turns) <= self._limits.turns_per_flow_max:
            known.version = turns[-1].version
        else:
            try:
                past = await self._reader.read(*name, known.version)
            except (TooLarge, UnknownType, InvalidPayload, WiringError) as error:
                logger.warning("the invariants of %s/%s are not watched any more: %s", *name, error)
                self._counters.histories_not_judged += 1
                known.lost, known.turns, past = True, (), None
            turns = [] if past is None else list(past.turns)
            known.version = known.version if past is None else past.version
        if turns:
            await judge.judge(name, known, turns, due.first)
        self._keep(name, known)

    def _keep(self, name: Name, known: _Known) -> None:
        """Keep a history for the next step; the one that was judged longest ago leaves where there is no room."""
        if known.turns and known.turns[-1].outcome is not None:
            return  # it ended
        self._known[name] = known
        self._turns += len(known.turns)
        while self._turns > self._limits.turns_cached_max or len(self._known) > self._limits.turns_cached_max:
            _, oldest = self._known.popitem(last=False)
            self._turns -= len(oldest.turns)


def _follow(version: int, turns: list[DurableTurn]) -> bool:
    """Whether these turns follow a version without a gap; an act leaves one."""
    return turns[0].version == version + 1 and turns[-1].version == version + len(turns)


@attrs.frozen
class _Judge:
    """Judges histories in one life of the engine, and reports what is broken."""

    registry: Registry
    reader: HistoryReader
    ids: Ids
    counters: Counters
    ledger: Ledger
    router: Router
    solo: Solo

    async def judge(self, name: Name, known: _Known, turns: list[DurableTurn], first: int) -> None:
        """Put these turns behind what is known, and judge after each that has not been judged."""
        process = self.registry.processes[name[0]].cls
        self.counters.histories_judged += 1
        for turn in turns:
            known.turns = (*known.turns, turn.turned)
            if turn.version < first and turn is not turns[-1]:
                continue
            history = History(process, name[1], known.turns)
            for rule in self.registry.invariants[name[0]]:
                if known.alerted is not None and rule.name in known.alerted:
                    continue
                found = _breach(rule, history)
                if found is not None:
                    await self._report(name, known, turn, rule, found)

    async def _report(self, name: Name, known: _Known, turn: DurableTurn, rule: Invariant, error: str) -> None:
        """Once for each flow and invariant, whatever dies meanwhile: the journal knows what was reported."""
        if known.alerted is None:
            known.alerted = {alert["invariant"] for alert in await self.reader.alerts(*name)}
            if rule.name in known.alerted:
                return
        event = InvariantBroken(*name, rule.name, rule.says, turn.version, turn.event.position, error)
        payload = self.registry.codec.encode(event).decode()
        origin = Origin(
            self.ids.alert(*name, rule.name),
            caused_by=turn.event.id,
            correlation=turn.event.correlation or turn.event.id,
            trace=turn.event.trace,
        )
        async with self._turn_to_write():
            self.router.report(event, payload, origin, self.registry.processes[name[0]], name[1])
            number = self.ledger.latest
        await self.ledger.wait_durable(number)
        if self.ledger.durable_number < number:
            await trio.sleep_forever()  # this life ends, and the next one judges again
        known.alerted.add(rule.name)
        self.counters.invariants_broken += 1
        how = f"can't be judged: {error}" if error else "does not hold"
        logger.error("invariant %s of %s/%s %s; step %d; it says: %s", rule.name, *name, how, turn.version, rule.says)

    @contextlib.asynccontextmanager
    async def _turn_to_write(self) -> AsyncIterator[None]:
        if self.solo.active:
            async with self.solo.alone():
                yield
        else:
            yield


def _breach(rule: Invariant, history: History) -> str | None:
    """None where the rule holds; else what it raised, or nothing where it just said no."""
    try:
        return None if rule(history) else ""
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - as around a turn: whatever the user's code raises is reported
        return describe(error)[:_ERROR_CHARS_MAX]
