"""A span each of what is durable: what it is called, where it hangs, what it tells. Never what a payload holds."""

from __future__ import annotations

from collections.abc import Iterator

from procession.engine.trace_notes import AttemptNote, DecisionNote, FailedTurnNote, TurnNote
from procession.journal.rows import EventRow
from procession.primitives.codec import from_json
from procession.primitives.stored import stored_of
from procession.telemetry.names import Attribute, Operation
from procession.telemetry.spans import Span
from procession.telemetry.trace_context import Context, SpanIds, sampled


def event_span(ids: SpanIds, row: EventRow, within: Context, durable_us: int) -> Span:
    """An event, from its admission until it was durable. One that begins its trace names itself as what led to it."""
    own = ids.of(row.id)
    told: dict[str, str | int] = {Attribute.MESSAGE_ID: row.id.hex(), Attribute.POSITION: row.position}
    told |= _of_event(row)
    concerned = [f"{name}/{key}" for name, keys in from_json(row.keys).items() for key in keys]
    if len(concerned) == 1:
        told[Attribute.FLOW] = concerned[0]
    return Span(
        Operation.PUBLISH,
        row.type,
        Context(within.trace_id, own),
        0 if within.span_id == own else within.span_id,
        row.recorded_us,
        durable_us,
        told,
        from_outside=row.caused_by is None,
    )


def turn_spans(ids: SpanIds, note: TurnNote, sealed_us: int, durable_us: int, events: int) -> Iterator[Span]:
    """A turn, its commit, and what it asked for."""
    flow = f"{note.process}/{note.key}"
    own = Context(note.trace_id, ids.turn(note.process, note.key, note.version))
    parent, links = _led_to(ids, note.process, note.key, note.trace_id, note.event)
    yield Span(
        Operation.HANDLE,
        note.process,
        own,
        parent,
        note.began_us,
        note.ended_us,
        {**_of_turn(flow, note.event), Attribute.HANDLER: note.name, Attribute.VERSION: note.version},
        links,
    )
    yield Span(
        Operation.COMMIT,
        "journal",
        Context(note.trace_id, ids.commit(note.process, note.key, note.version)),
        own.span_id,
        sealed_us,
        durable_us,
        {Attribute.FLOW: flow, Attribute.BATCH: events},
    )
    for new in note.orders.commands:
        yield Span(
            Operation.SEND,
            new.receiver.name,
            Context(note.trace_id, ids.of(new.id)),
            own.span_id,
            note.ended_us,
            durable_us,
            {
                Attribute.FLOW: flow,
                Attribute.MESSAGE_ID: new.id.hex(),
                Attribute.COMMAND: stored_of(type(new.command)).name,
            },
        )
    for _, timer in note.orders.timers:
        if timer is not None:
            yield Span(
                Operation.ARM,
                timer.type,
                Context(note.trace_id, ids.of(timer.id)),
                own.span_id,
                note.ended_us,
                durable_us,
                {Attribute.FLOW: flow, Attribute.MESSAGE_ID: timer.id.hex()},
            )


def failed_turn_span(ids: SpanIds, note: FailedTurnNote) -> Span:
    """A turn that raised."""
    own = ids.failed_turn(note.process, note.key, note.event.id, note.began_us)
    parent, links = _led_to(ids, note.process, note.key, note.trace_id, note.event)
    told = {**_of_turn(f"{note.process}/{note.key}", note.event), Attribute.HANDLER: note.name}
    return Span(
        Operation.HANDLE,
        note.process,
        Context(note.trace_id, own),
        parent,
        note.began_us,
        note.ended_us,
        told,
        links,
        note.error,
    )


def attempt_span(ids: SpanIds, note: AttemptNote) -> Span:
    """A call of a gateway."""
    return Span(
        Operation.ATTEMPT,
        note.gateway,
        note.context,
        ids.of(note.command_id),
        note.began_us,
        note.ended_us,
        {
            Attribute.FLOW: note.flow,
            Attribute.MESSAGE_ID: note.command_id.hex(),
            Attribute.COMMAND: note.command,
            Attribute.ATTEMPT: note.number,
        },
        error=note.error,
    )


def decision_span(ids: SpanIds, note: DecisionNote) -> Span:
    """A decision of an aggregate."""
    told: dict[str, str | int] = {
        Attribute.MESSAGE_ID: note.id.hex(),
        Attribute.COMMAND: note.command,
        Attribute.HANDLER: note.name,
    }
    if note.flow is not None:
        told[Attribute.FLOW] = note.flow
    return Span(
        Operation.DECIDE,
        note.aggregate,
        Context(note.trace_id, ids.decision(note.id)),
        ids.of(note.id),
        note.began_us,
        note.ended_us,
        told,
        error=note.error,
    )


def _led_to(ids: SpanIds, process: str, key: str, trace_id: int, event: EventRow) -> tuple[int, tuple[Context, ...]]:
    """What a turn hangs below: its event; one from another trace is linked, and the flow's first turn stands for it."""
    found = sampled(event.trace)
    if found is not None and found.trace_id == trace_id:
        return ids.of(event.id), ()
    first = ids.turn(process, key, 1)
    return first, () if found is None else (Context(found.trace_id, ids.of(event.id)),)


def _of_turn(flow: str, event: EventRow) -> dict[str, str | int]:
    return {Attribute.FLOW: flow, Attribute.MESSAGE_ID: event.id.hex(), **_of_event(event)}


def _of_event(row: EventRow) -> dict[str, str | int]:
    told: dict[str, str | int] = {Attribute.EVENT_ID: row.source_id or row.id.hex(), Attribute.EVENT_TYPE: row.type}
    if row.source is not None:
        told[Attribute.EVENT_SOURCE] = row.source
    return told
