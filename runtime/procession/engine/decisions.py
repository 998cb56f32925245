"""What an aggregate makes of a command, in the ledger: its events in its stream, or the refusal beside it.

Decision, events, and what becomes of the command stand in one commit, whole.
"""

from __future__ import annotations

import attrs

from procession.engine.decide import Verdict, apply, decide
from procession.engine.flow import Flow
from procession.engine.flow_table import FlowTable
from procession.engine.guard import Guard
from procession.engine.ids import Ids
from procession.engine.ledger import Ledger
from procession.engine.payloads import Payloads
from procession.engine.router import Origin, Router
from procession.engine.state_snapshots import StateSnapshots
from procession.engine.stream import Stream
from procession.engine.trace_notes import DecisionNote
from procession.engine.tracing import Tracing
from procession.engine.turn import TurnFailed
from procession.engine.turn_watch import AtWork
from procession.errors import ImpureTurn, InvalidKey, InvalidPayload
from procession.journal.rows import CommandChange, CommandRow, CommandState, StepRow
from procession.primitives.aggregate import Aggregate
from procession.primitives.codec import bytes_of, from_json
from procession.primitives.command import Command
from procession.primitives.decisions import AggregateDefinition
from procession.primitives.definition import Definition
from procession.primitives.event import CommandDecided, CommandGivenUp, CommandRefused, Event
from procession.primitives.refusal import Refusal
from procession.primitives.registry import Registry
from procession.primitives.stored import stored_of
from procession.settings import AggregatesSettings
from procession.telemetry.names import Counters


@attrs.define(eq=False, kw_only=True)
class AggregateStream(Stream):
    """One aggregate in memory."""

    definition: AggregateDefinition
    state: Aggregate | None = None


@attrs.define(eq=False)
class Asked:
    """A flow's command on its way to an aggregate."""

    row: CommandRow
    command: Command
    process: Definition
    key: str
    correlation: bytes
    trace: str | None
    done: bool = False
    """It is decided, given up or cancelled: in the batch, or durable."""

    @property
    def asker(self) -> str:
        """The flow that asked, by name."""
        return f"{self.process.name}/{self.key}"


@attrs.frozen(slots=True)
class FromOutside:
    """A command that was sent from outside, checked and encoded; it is written down when it is decided."""

    command: Command
    definition: AggregateDefinition
    key: str
    source: str | None
    source_id: str | None
    digest: bytes | None
    trace: str | None
    size: int
    """Of its data, in bytes."""


@attrs.frozen(slots=True)
class Decided:
    """How a command from outside was decided."""

    id: bytes
    """Of the event that says so."""
    position: int
    """Of that event; the events follow at the next positions."""
    last_position: int
    events: tuple[Event, ...]
    refusal: Refusal | None


@attrs.frozen(slots=True)
class _Ready:
    """A verdict that was found good, encoded, and applied: nothing can fail any more."""

    verdict: Verdict
    payloads: tuple[str, ...]
    states: list[Aggregate]
    snapshot: str | None
    """What a snapshot after the last event will hold; None where none is due."""


class Decisions:
    """Runs decisions and puts what they leave into the ledger. Synchronous: one command is answered whole."""

    def __init__(
        self,
        registry: Registry,
        ledger: Ledger,
        router: Router,
        table: FlowTable,
        ids: Ids,
        counters: Counters,
        guard: Guard,
        *,
        snapshots: StateSnapshots,
        limits: AggregatesSettings,
        payloads: Payloads,
        at_work: AtWork,
        tracing: Tracing | None = None,
    ) -> None:
        self._registry = registry
        self._codec = registry.codec
        self._ledger = ledger
        self._router = router
        self._table = table
        self._ids = ids
        self._counters = counters
        self._snapshots = snapshots
        self._guard = guard
        self._events_max = limits.events_per_decision_max
        self._payloads = payloads
        self._tracing = tracing
        self._at_work = at_work

    def from_outside(self, stream: AggregateStream, sent: FromOutside) -> Decided:
        """Decide a command from outside, and write down both.

        Raises:
            TurnFailed: it can't be decided; nothing was written.
        """
        began_us = 0 if self._tracing is None else self._tracing.now_us()
        ready = self._ready(stream, sent.command, None)
        self._payloads.fit(stored_of(type(sent.command)).name, sent.size)
        verdict, event_id = ready.verdict, self._ids.fresh()
        news: CommandDecided[Command] | CommandRefused[Command]
        if verdict.refusal is None:
            news = CommandDecided(sent.command, stream.process, stream.key, verdict.name, len(verdict.events))
        else:
            named = sent.source_id if sent.source_id is not None else event_id.hex()
            news = CommandRefused(sent.command, named, stream.process, stream.key, verdict.refusal)
        trace = sent.trace or None if self._tracing is None else self._tracing.accepted(event_id, sent.trace)
        origin = Origin(event_id, sent.source, sent.source_id, sent.digest, trace=trace)
        row = self._router.log(news, self._codec.encode(news).decode(), origin)
        trace = self._decided(stream, sent.command, event_id, trace, verdict, None, began_us)
        cause = _Cause(event_id, event_id, trace)
        last = self._write(stream, ready, cause, None) or row.position
        self._count(verdict)
        return Decided(event_id, row.position, last, verdict.events, verdict.refusal)

    def from_flow(self, stream: AggregateStream, asked: Asked) -> None:
        """Decide a flow's command; what can't be decided is given up."""
        began_us = 0 if self._tracing is None or asked.trace is None else self._tracing.now_us()
        try:
            ready = self._ready(stream, asked.command, asked)
        except TurnFailed as error:
            self.give_up(asked, str(error))
            return
        verdict, flow = ready.verdict, self._flow(asked)
        trace = self._decided(stream, asked.command, asked.row.id, asked.trace, verdict, flow.name, began_us)
        self._end(asked, "answered" if verdict.refusal is None else "refused")
        if verdict.refusal is not None:
            news = CommandRefused(asked.command, asked.row.id.hex(), stream.process, stream.key, verdict.refusal)
            origin = self._origin(asked, self._ids.answer(asked.row.id, 0), trace)
            self._router.address(news, self._codec.encode(news).decode(), origin, flow)
        self._write(stream, ready, _Cause(asked.row.id, asked.correlation, trace), flow)
        self._count(verdict)

    def give_up(self, asked: Asked, found: str) -> None:
        """A command that can't be decided: its flow hears of it. Nothing was done, so it is no `unknown`."""
        news = CommandGivenUp(asked.command, asked.row.id.hex(), "refused", _TRIES, found)
        self._end(asked, "given_up")
        origin = self._origin(asked, self._ids.given_up(asked.row.id, _sent_again(asked.row)), asked.trace)
        self._router.address(news, self._codec.encode(news).decode(), origin, self._flow(asked))
        self._counters.commands_given_up += 1

    def cancel(self, asked: Asked) -> None:
        """The flow that asked was cancelled: its command is decided no more."""
        self._end(asked, "cancelled")
        self._counters.commands_cancelled += 1

    def _ready(self, stream: AggregateStream, command: Command, asked: Asked | None) -> _Ready:
        """The decision, tried twice: a pure one fails the same way again, and then it is its own fault."""
        assert stream.state is not None, "an aggregate is folded before it decides"
        at_work = self._at_work
        for last in (False, True):
            at_work.count += 1
            at_work.command, at_work.asker = stored_of(type(command)).name, "" if asked is None else asked.asker
            at_work.what, at_work.position = stream, 0
            try:
                verdict = decide(stream.definition, stream.state, command, self._guard)
                payloads = self._encoded(verdict, asked)
                seen = tuple(self._registry.lifted(event) for event in verdict.events)
                states = apply(stream.definition, stream.state, seen, self._guard)
                snapshot = None
                if states:
                    stream.unsaved_bytes += sum(map(bytes_of, payloads))
                    snapshot = self._snapshots.due(stream, states[-1], verdict.name, len(states))
                return _Ready(verdict, payloads, states, snapshot)
            except (InvalidPayload, InvalidKey) as error:
                failed = TurnFailed(stream.definition.decisions[type(command)].name, str(error))
            except TurnFailed as error:
                failed = error
            finally:
                at_work.what = None
            self._counters.decisions_failed += 1
            if last or isinstance(failed.__cause__, ImpureTurn):
                raise failed
        raise AssertionError("a decision is tried twice")

    def _encoded(self, verdict: Verdict, asked: Asked | None) -> tuple[str, ...]:
        """The events as they are stored, within all bounds.

        Raises:
            TurnFailed, InvalidPayload, InvalidKey: they can't be stored, or name another flow of the one that asked.
        """
        if len(verdict.events) > self._events_max:
            found = f"decided {len(verdict.events)} events, at most {self._events_max} (events_per_decision_max)"
            raise TurnFailed(verdict.name, found)
        if verdict.refusal is not None:
            self._codec.check(verdict.refusal)
        payloads: list[str] = []
        for event in verdict.events:
            payload = self._codec.encode(event)
            name = stored_of(type(event)).name
            if not self._payloads.fit(name, len(payload)):
                found = f"{len(payload)} bytes, at most {self._payloads.bytes_max} (payload_bytes_max)"
                raise InvalidPayload(name, found)
            if asked is not None:
                self._check_key(verdict, event, asked)
            payloads.append(payload.decode())
        return tuple(payloads)

    def _check_key(self, verdict: Verdict, event: Event, asked: Asked) -> None:
        seen = self._registry.lifted(event)
        keys = asked.process.keys(seen) if type(seen) in asked.process.concerned else (asked.key,)
        if keys != (asked.key,):
            found = f"decided {type(event).__name__} of flow {', '.join(keys)} for flow {asked.key}, which asked"
            raise TurnFailed(verdict.name, found)

    def _write(self, stream: AggregateStream, ready: _Ready, cause: _Cause, flow: Flow | None) -> int:
        """The events and the steps of the stream; returns the last position, 0 where there are none."""
        position = 0
        for index, event in enumerate(ready.verdict.events):
            origin = Origin(
                self._ids.answer(cause.id, index), caused_by=cause.id, correlation=cause.correlation, trace=cause.trace
            )
            row = self._router.decided(event, ready.payloads[index], origin, stream, flow)
            position = row.position
            if stream.started_us == 0:
                stream.started_us, stream.status = row.recorded_us, "active"
            stream.version += 1
            stream.state = ready.states[index]
            self._ledger.touch(stream)
            step = StepRow(stream.id, stream.version, position, "handled", ready.verdict.name, None)
            self._ledger.step(step, stream, None)
        if ready.snapshot is not None and (taken := self._snapshots.take(stream, ready.snapshot)) is not None:
            self._ledger.filling.commit.snapshots.append(taken)
        return position

    def _end(self, asked: Asked, state: CommandState) -> None:
        asked.done = True
        row = asked.row
        change = CommandChange(row, state, row.attempts, row.due_us, row.log)
        self._ledger.filling.commit.command_changes.append(change)
        self._ledger.wake()

    def _origin(self, asked: Asked, event_id: bytes, trace: str | None) -> Origin:
        return Origin(event_id, caused_by=asked.row.id, correlation=asked.correlation, trace=trace)

    def _decided(
        self,
        stream: AggregateStream,
        command: Command,
        id: bytes,
        trace: str | None,
        verdict: Verdict,
        flow: str | None,
        began_us: int,
    ) -> str | None:
        """Note a decision where it is traced; the context of what follows from it."""
        if self._tracing is None or trace is None:
            return trace
        error = None if verdict.refusal is None else stored_of(type(verdict.refusal)).name
        named = stored_of(type(command)).name
        return self._tracing.decided(
            self._ledger, trace, DecisionNote(flow, stream.process, named, id, 0, verdict.name, error, began_us, 0)
        )

    def _flow(self, asked: Asked) -> Flow:
        return self._table.flow(asked.process, asked.key)

    def _count(self, verdict: Verdict) -> None:
        if verdict.refusal is None:
            self._counters.commands_decided += 1
            self._counters.events_decided += len(verdict.events)
        else:
            self._counters.commands_refused += 1


@attrs.frozen(slots=True)
class _Cause:
    id: bytes
    correlation: bytes
    trace: str | None


def _sent_again(row: CommandRow) -> int:
    """How often an operator had it sent again."""
    entries = from_json(row.log) if row.log else [{}]
    found = entries[0].get("sent_again", 0)
    return found if isinstance(found, int) else 0


_TRIES = 2
