"""Traces of flows: decided once, when a flow's first event is accepted; made of what is durable.

A flow lies in the trace of the event that it handled first. What it asks for, and what comes back, carry that trace
on; an event from elsewhere is handled in the flow's own trace, with a link to where it came from. Nothing here is
called for a flow that is not traced.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import attrs

from procession.engine.clock import Clock
from procession.engine.command_window import Handle
from procession.engine.ledger import Batch, Ledger
from procession.engine.outbox import Orders
from procession.engine.span_makers import attempt_span, decision_span, event_span, failed_turn_span, turn_spans
from procession.engine.stream import Stream
from procession.engine.trace_notes import AttemptNote, DecisionNote, FailedTurnNote, Note, TurnNote
from procession.engine.turn import TurnFailed
from procession.journal.rows import EventRow
from procession.telemetry.spans import Spans
from procession.telemetry.trace_context import Context, SpanIds, is_chosen, sampled, within


@attrs.frozen
class TurnSpan:
    """A turn of a traced flow, while it runs."""

    trace_id: int
    context: Context
    began_us: int


@attrs.frozen
class AttemptSpan:
    """An attempt at a command of a traced flow, while it runs."""

    number: int
    context: Context
    began_us: int


class Tracing:
    """Of one runtime whose traces go somewhere; it outlives a failed commit."""

    def __init__(self, spans: Spans, journal_id: bytes, ratio: float, clock: Clock) -> None:
        self._spans = spans
        self._ids = SpanIds(journal_id)
        self._ratio = ratio
        self._clock = clock

    def accepted(self, event_id: bytes, given: str | None) -> str | None:
        """The trace of an event that came from outside: as its caller decided, else by the share that is traced."""
        if given is not None:
            return given or None
        if not is_chosen(event_id, self._ratio):
            return None
        return Context(self._ids.trace(event_id), self._ids.of(event_id)).text

    def of_effect(self, trace: str | None, id: bytes) -> str | None:
        """The context of a command or timer of a flow in this trace: what comes of it hangs below it."""
        if trace is None:
            return None
        found = sampled(trace)
        return trace if found is None else Context(found.trace_id, self._ids.of(id)).text

    def begin_turn(self, flow: Stream) -> TurnSpan | None:
        """A turn begins that leaves the next version of a flow; None where the flow is not traced."""
        found = sampled(flow.trace)
        if found is None:
            return None
        span_id = self._ids.turn(flow.process, flow.key, flow.version + 1)
        return TurnSpan(found.trace_id, Context(found.trace_id, span_id), self._clock.now_us())

    def turned(self, ledger: Ledger, flow: Stream, span: TurnSpan, event: EventRow, name: str, orders: Orders) -> None:
        """A turn has left its step in the batch."""
        now_us = self._clock.now_us()
        note = TurnNote(flow.process, flow.key, flow.version, span.trace_id, event, name, orders, span.began_us, now_us)
        ledger.filling.noted.append(note)

    def turn_failed(self, ledger: Ledger, flow: Stream, span: TurnSpan, event: EventRow, error: TurnFailed) -> None:
        """A turn raised, and its flow is set aside."""
        kind = type(error.__cause__ or error).__name__
        now_us = self._clock.now_us()
        note = FailedTurnNote(flow.process, flow.key, span.trace_id, event, error.handler, kind, span.began_us, now_us)
        ledger.filling.noted.append(note)

    def begin_attempt(self, handle: Handle) -> AttemptSpan | None:
        """An attempt begins; None where its flow is not traced."""
        handle.attempt = None
        found = sampled(handle.trace)
        if found is None:
            return None
        number = handle.attempts
        broken_off = sum(entry.get("n") == number for entry in handle.log)
        handle.attempt = Context(
            found.trace_id, self._ids.attempt(handle.row.id, handle.sent_again, number, broken_off)
        )
        return AttemptSpan(number, handle.attempt, self._clock.now_us())

    @contextlib.contextmanager
    def within_attempt(self, handle: Handle, span: AttemptSpan) -> Iterator[None]:
        """What is logged in the block tells of this attempt, and what calls on from it finds it as its current span."""
        with within(f"{handle.process}/{handle.key}", span.context), self._spans.current(span.context):
            yield

    def attempted(self, ledger: Ledger | None, handle: Handle, span: AttemptSpan, error: str | None) -> None:
        """An attempt has ended; what became of it is in the batch, or is kept while the engine is held."""
        note = AttemptNote(
            f"{handle.process}/{handle.key}",
            handle.row.gateway,
            handle.row.type,
            handle.row.id,
            span.number,
            span.context,
            error,
            span.began_us,
            self._clock.now_us(),
        )
        if ledger is None:
            self._tell(note, None)
        else:
            ledger.filling.noted.append(note)

    def decided(self, ledger: Ledger, trace: str, note: DecisionNote) -> str:
        """A decision on a command of this trace; the context that its events hang below."""
        found = sampled(trace)
        if found is None:
            return trace
        ledger.filling.noted.append(note._replace(trace_id=found.trace_id, ended_us=self._clock.now_us()))
        return Context(found.trace_id, self._ids.decision(note.id)).text

    def now_us(self) -> int:
        """The time that spans begin and end at."""
        return self._clock.now_us()

    def on_durable(self, batch: Batch) -> None:
        """Make the spans of a batch."""
        durable_us = 0
        for row in batch.commit.events:
            if row.trace is not None:
                found = sampled(row.trace)
                if found is not None:
                    durable_us = durable_us or self._clock.now_us()
                    self._spans.make(event_span(self._ids, row, found, durable_us))
        for note in batch.noted:
            self._tell(note, batch)

    def _tell(self, note: Note, batch: Batch | None) -> None:
        if isinstance(note, AttemptNote):
            self._spans.make(attempt_span(self._ids, note))
        elif isinstance(note, DecisionNote):
            self._spans.make(decision_span(self._ids, note))
        elif isinstance(note, FailedTurnNote):
            self._spans.make(failed_turn_span(self._ids, note))
        else:
            assert batch is not None, "a turn is told of with its batch"
            rows = len(batch.commit.events)
            for span in turn_spans(self._ids, note, batch.sealed_us, self._clock.now_us(), rows):
                self._spans.make(span)
