"""Invariants, watched live: each history is judged after its durable steps, beside the turns and never before them."""

from __future__ import annotations

import contextlib
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple

import attrs
import trio

from procession.engine.due_flows import Due, DueFlows, Name
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
from procession.telemetry.names import Counters

logger = logging.getLogger("procession.invariants")
_SLICE_S = 0.002
_ERROR_CHARS_MAX = 500


@attrs.define(eq=False)
class _Known:
    """A history that was judged, kept for the next step."""

    version: int = 0
    turns: tuple[Turned, ...] = ()
    alerted: set[str] | None = None
    """Invariants that were reported of this flow; None while nobody has looked."""
    lost: bool = False
    """It can't be judged."""


class _Breach(NamedTuple):
    """An invariant that did not hold after a turn."""

    turn: DurableTurn
    rule: Invariant
    error: str
    """What it raised; empty where it just said no."""


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
        self._due = DueFlows(limits.flows_due_max, limits.turns_cached_max)
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
            self._due.add((flow.process, flow.key), flow.id, turn)
        self._wake.set()

    def idle(self) -> bool:
        """All that is durable is judged, or nobody judges."""
        return self._stopped or not (self._busy or self._due)

    def stop(self) -> None:
        """Judge no more: it failed too often. What is due is judged after the next start."""
        self._stopped = True
        self._due.clear()
        self._known.clear()

    async def run(self, ledger: Ledger, router: Router, solo: Solo) -> None:
        """Judge what is due, until cancelled."""
        self._known.clear()
        self._turns = 0
        self._due.forget_turns()  # they may be of a life that has ended
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
                    self._due.look_at((row.process, row.key), row.id)
                await self._judge_due(judge)
                if len(page) < PAGE:
                    break
                after = page[-1].id

    async def _judge_due(self, judge: _Judge) -> None:
        until = trio.current_time() + _SLICE_S
        while self._due:
            taken = self._due.take()
            if taken is None:
                await self._look_beyond()
                continue
            name, due = taken
            judged = False
            try:
                known = self._known.pop(name, None) or _Known()
                self._turns -= len(known.turns)
                turns = self._at_hand(known, due)
                if turns is None:
                    turns = await self._read(name, known)
                for breach in judge.judge(name, known, turns, due.first):
                    await judge.report(name, known, breach)
                self._keep(name, known)
                judged = True
            finally:
                if not judged:
                    self._due.give_back(name, due)
            if trio.current_time() > until:
                await trio.lowlevel.checkpoint()
                until = trio.current_time() + _SLICE_S

    async def _look_beyond(self) -> None:
        """Take a page of the flows that found no room."""
        beyond = self._due.take_beyond()
        assert beyond is not None, "what is due is in the queue or beyond it"
        first, last = beyond
        page = None
        try:
            page = await self._journal.flows(FlowQuery(), first - 1, PAGE)
        finally:
            if page is None:
                self._due.look_later(first, last)
        for row in page:
            if row.id <= last and row.process in self._registry.invariants:
                self._due.look_at((row.process, row.key), row.id)
        if len(page) == PAGE and page[-1].id < last:
            self._due.look_later(page[-1].id + 1, last)

    def _at_hand(self, known: _Known, due: Due) -> Sequence[DurableTurn] | None:
        """What happened since a history was judged, where all of it is in memory; its version is then the latest."""
        turns = due.turns
        # What is held of a flow is all that became durable since its first; between them only acts can stand.
        if not turns or turns[0].version != known.version + 1 or turns[-1].version > self._limits.turns_per_flow_max:
            return None
        known.version = turns[-1].version
        return turns

    async def _read(self, name: Name, known: _Known) -> Sequence[DurableTurn]:
        """What happened since a history was judged, from the journal; its version is then the latest."""
        if known.lost:
            return ()
        try:
            past = await self._reader.read(*name, known.version)
        except (TooLarge, UnknownType, InvalidPayload, WiringError) as error:
            said = "the invariants of %s/%s are not watched any more: %s"
            logger.warning(said, *name, error, extra={"flow": f"{name[0]}/{name[1]}"})
            self._counters.histories_not_judged += 1
            known.lost, known.turns = True, ()
            return ()
        known.version = past.version
        return past.turns

    def _keep(self, name: Name, known: _Known) -> None:
        """Keep a history for the next step; the one that was judged longest ago leaves where there is no room."""
        if known.turns and known.turns[-1].outcome is not None:
            return  # it ended
        self._known[name] = known
        self._turns += len(known.turns)
        while self._turns > self._limits.turns_cached_max or len(self._known) > self._limits.turns_cached_max:
            _, oldest = self._known.popitem(last=False)
            self._turns -= len(oldest.turns)


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

    def judge(self, name: Name, known: _Known, turns: Sequence[DurableTurn], first: int) -> list[_Breach]:
        """Put these turns behind what is known, and judge after each that was not judged; the first breach of each."""
        if not turns:
            return []
        self.counters.histories_judged += 1
        process, rules, found = self.registry.processes[name[0]].cls, self.registry.invariants[name[0]], []
        if known.alerted:
            rules = tuple(rule for rule in rules if rule.name not in known.alerted)
        for turn in turns:
            known.turns = (*known.turns, turn.turned)
            if turn.version < first and turn is not turns[-1]:
                continue
            history = History(process, name[1], known.turns)
            for rule in rules:
                error = _error(rule, history)
                if error is not None:
                    found.append(_Breach(turn, rule, error))
                    rules = tuple(other for other in rules if other is not rule)
        return found

    async def report(self, name: Name, known: _Known, breach: _Breach) -> None:
        """Once for each flow and invariant, whatever dies meanwhile: the journal knows what was reported."""
        turn, rule, error = breach
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
        said, flow = "invariant %s of %s/%s %s; step %d; it says: %s", {"flow": f"{name[0]}/{name[1]}"}
        logger.error(said, rule.name, *name, how, turn.version, rule.says, extra=flow)

    @contextlib.asynccontextmanager
    async def _turn_to_write(self) -> AsyncIterator[None]:
        if self.solo.active:
            async with self.solo.alone():
                yield
        else:
            yield


def _error(rule: Invariant, history: History) -> str | None:
    """None where the rule holds; else what it raised, or nothing where it just said no."""
    try:
        return None if rule(history) else ""
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - as around a turn: whatever the user's code raises is reported
        hands = [hand for turn in history.turns for hand in (turn.event, *turn.effects)]
        return describe(error, *hands)[:_ERROR_CHARS_MAX]
