"""How a command ends: answered, given up or cancelled, by compare-and-set, in one transaction with its event."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Literal

import attrs

from procession.actors.supervisor import CallResult
from procession.engine.command_window import Answer, Handle
from procession.engine.flow_table import FlowTable
from procession.engine.ids import Ids
from procession.engine.ledger import Ledger
from procession.engine.payloads import Payloads
from procession.engine.router import Origin, Router
from procession.engine.solo import MARKS_MAX, Solo
from procession.engine.tracing import AttemptSpan, Tracing
from procession.engine.turns import Turns
from procession.errors import InvalidKey, InvalidPayload
from procession.journal.rows import CommandChange, CommandState
from procession.primitives.codec import to_json
from procession.primitives.event import CommandGivenUp, Event
from procession.primitives.registry import Registry
from procession.primitives.stored import stored_of
from procession.telemetry.measures import Measures
from procession.telemetry.names import Counters


@attrs.frozen
class Desk:
    """The parts of one life of the engine that answers are written to."""

    ledger: Ledger
    router: Router
    table: FlowTable
    turns: Turns
    solo: Solo


@attrs.define(eq=False)
class Verdict:
    """How a command ended, and its answer; kept until it is durable."""

    answers: Answers
    handle: Handle
    state: CommandState
    answer: Answer
    forget: Callable[[Handle], None]

    def durable(self) -> None:
        """The command is done for good."""
        if self.handle.state != "stuck":
            self.forget(self.handle)

    def withdraw(self) -> None:
        """It never was: the command is open. One whose call has ended is read from the journal again.

        An answer that came too late for it has come in time.
        """
        handle = self.handle
        handle.ended = "open"
        if handle.late is not None:
            late, handle.late = handle.late, None
            self.answers.answered(handle, late)
        elif handle.scope is None and handle.state != "stuck":
            self.forget(handle)

    def failed(self, error: Exception) -> None:
        """Whether it is written is not known: it is kept, and written first when the journal is well."""
        self.answers.kept.append(self)


@attrs.define(eq=False)
class LateAnswer:
    """An answer to a command that has ended otherwise: recorded, and it never reopens the command."""

    answers: Answers
    handle: Handle
    answer: Answer
    ids: tuple[bytes, ...]
    """Of its events."""
    position: int = 0
    """Of the first of them; 0 as long as none was put into a batch."""

    def durable(self) -> None:
        """It is recorded."""

    def failed(self, error: Exception) -> None:
        """Whether it is written is not known: it is kept, and recorded when the journal is well."""
        self.answers.kept_late.append(self)


class Answers:
    """Lives as long as the runtime.

    While the engine is held, verdicts and late answers are kept: at most as many as calls run.
    """

    def __init__(
        self,
        registry: Registry,
        ids: Ids,
        counters: Counters,
        measures: Measures,
        forget: Callable[[Handle], None],
        *,
        payloads: Payloads,
        tracing: Tracing | None = None,
    ) -> None:
        self.payloads = payloads
        self._registry = registry
        self._codec = registry.codec
        self._ids = ids
        self._counters = counters
        self._measures = measures.gateways
        self._forget = forget
        self.desk: Desk | None = None
        """None while the engine is held."""
        self.kept: list[Verdict] = []
        self.kept_late: list[LateAnswer] = []
        self.tracing = tracing

    def examined(self, handle: Handle, value: object) -> Answer | str:
        """The answer in a returned value; or why it is none."""
        contract = handle.method.contract
        if not contract.accepts(value):
            return f"{type(value).__name__} was returned, the contract is {contract.shown}"
        definition = self._registry.processes.get(handle.process)
        found: list[tuple[Event, str]] = []
        for event in _events(value):
            try:
                payload = self._codec.encode(event)
                if not self.payloads.fit(stored_of(type(event)).name, len(payload)):
                    bound = f"at most {self.payloads.bytes_max} (payload_bytes_max)"
                    return f"{type(event).__name__} has {len(payload)} bytes, {bound}"
                seen = self._registry.lifted(event)
                concerned = definition is not None and type(seen) in definition.concerned
                keys = definition.keys(seen) if concerned and definition is not None else (handle.key,)
            except (InvalidPayload, InvalidKey) as error:
                return str(error)
            if keys != (handle.key,):
                return f"{type(event).__name__} of flow {', '.join(keys)} was returned to flow {handle.key}"
            found.append((event, payload.decode()))
        return tuple(found)

    def answered(self, handle: Handle, answer: Answer) -> None:
        """The whole answer and the command's completion are one transaction, whatever the turn makes of it."""
        if handle.ended != "open":
            self._too_late(handle, answer)
            return
        self._end(Verdict(self, handle, "answered", answer, self._forget))

    def gave_up(self, handle: Handle, reason: Literal["refused", "unknown"], found: str) -> None:
        """No attempt follows: the flow hears of it."""
        if handle.ended != "open":
            return
        event = CommandGivenUp(handle.command, handle.row.id.hex(), reason, handle.attempts, found)
        answer = (event, self._codec.encode(event).decode())
        self._end(Verdict(self, handle, "given_up", (answer,), self._forget))

    def cancelled(self, handle: Handle, *, unknown: bool) -> None:
        """The flow was cancelled; where a call runs, whether it was done is not known."""
        if unknown:
            self._note_of(handle, "cancelled while it ran: outcome unknown")
        self._end(Verdict(self, handle, "cancelled", (), self._forget))

    def _note_of(self, handle: Handle, found: str) -> None:
        handle.log = (*handle.log, {"n": handle.attempts, "at_us": self._ids.now_us(), "found": found})

    async def mark(self, handle: Handle) -> bool:
        """After the process died more than once: mark a command before it runs; False where it died of it too often."""
        if self.desk is None or not self.desk.solo.active:
            return True
        marks = 0
        for entry in reversed(handle.log):
            if entry["found"] != _MARK:
                break
            marks += 1
        if marks >= MARKS_MAX:
            return False
        self._note_of(handle, _MARK)
        self.retry_later(handle, handle.row.due_us)
        ledger = self.desk.ledger
        await ledger.wait_durable(ledger.latest)
        return True

    def retry_later(self, handle: Handle, due_us: int) -> None:
        """The retry state is durable with the next commit."""
        if self.desk is None or handle.ended != "open":
            return
        change = CommandChange(handle.row, "open", handle.attempts, due_us, _log(handle))
        self.desk.ledger.filling.commit.command_changes.append(change)
        self.desk.ledger.wake()

    def write(self, verdict: Verdict) -> None:
        """Put a verdict into the batch."""
        assert self.desk is not None, "verdicts are written while the engine runs"
        desk, handle = self.desk, verdict.handle
        change = CommandChange(handle.row, verdict.state, handle.attempts, handle.row.due_us, _log(handle))
        desk.ledger.filling.commit.command_changes.append(change)
        desk.ledger.when_durable(verdict)
        self._count(verdict)
        definition = self._registry.processes[handle.process]
        for index, (event, payload) in enumerate(verdict.answer):
            if verdict.state == "given_up":
                event_id = self._ids.given_up(handle.row.id, handle.sent_again)
            else:
                event_id = self._ids.answer(handle.row.id, index)
            origin = Origin(event_id, caused_by=handle.row.id, correlation=handle.correlation, trace=handle.context)
            flow = desk.table.flow(definition, handle.key)
            flow.id = flow.id or handle.flow
            desk.router.address(event, payload, origin, flow)

    def note(self, handle: Handle, span: AttemptSpan, result: CallResult[object] | None) -> None:
        """An attempt that is traced has ended, and what became of it is written or kept."""
        assert self.tracing is not None, "somebody began this span"
        error = "timeout" if handle.timed_out else "cancelled"
        if result is not None and result.error is not None:
            error = type(result.error).__name__
        elif result is not None:
            error = "" if handle.ended in ("answered", "cancelled") else "wrong_answer"
        self.tracing.attempted(None if self.desk is None else self.desk.ledger, handle, span, error or None)

    def _end(self, verdict: Verdict) -> None:
        verdict.handle.ended = verdict.state
        # A cancellation stands in the commit of its flow, or nowhere.
        if self.desk is None or (self.desk.solo.active and verdict.state != "cancelled"):
            self.kept.append(verdict)
        else:
            self.write(verdict)

    def _too_late(self, handle: Handle, answer: Answer) -> None:
        handle.late = answer
        late = LateAnswer(self, handle, answer, tuple(self._ids.fresh() for _ in answer))
        if self.desk is None:
            self.kept_late.append(late)
        else:
            self.record(late)

    def record(self, late: LateAnswer) -> None:
        """Put an answer that came too late into the batch."""
        assert self.desk is not None, "answers are recorded while the engine runs"
        desk, handle = self.desk, late.handle
        definition = self._registry.processes[handle.process]
        positions = []
        for event_id, (event, payload) in zip(late.ids, late.answer, strict=True):
            flow = desk.table.flow(definition, handle.key)
            origin = Origin(event_id, caused_by=handle.row.id, correlation=handle.correlation, trace=handle.context)
            row, delivery = desk.router.note(event, payload, origin, flow)
            positions.append(row.position)
            desk.turns.unhandled(delivery, "late_answer")
            desk.table.rest(flow)
        if positions:
            late.position = positions[0]
            desk.ledger.when_durable(late)

    def _count(self, verdict: Verdict) -> None:
        gateway = self._measures[verdict.handle.row.gateway]
        if verdict.state == "answered":
            gateway.answered += 1
            gateway.command.observe(perf_counter() - verdict.handle.began)
            self._counters.commands_answered += 1
            self._counters.answers_recorded += len(verdict.answer)
        elif verdict.state == "given_up":
            self._counters.commands_given_up += 1
            gateway.given_up += 1
        else:
            self._counters.commands_cancelled += 1
            gateway.cancelled += 1


_MARK = "begun, alone, after the process had died"


def _events(value: object) -> tuple[Event, ...]:
    if value is None:
        return ()
    if isinstance(value, tuple):
        return value
    assert isinstance(value, Event), "the contract was checked"
    return (value,)


def _log(handle: Handle) -> str | None:
    return to_json(handle.log).decode() if handle.log else None
