"""What the journal holds names every span: whoever reads it, and whenever, finds the same trace, span and parent."""

from __future__ import annotations

from typing import Any

import hypothesis
import hypothesis.strategies as st
import trio
import trio.testing

from procession import Gateway
from procession.journal.memory import MemoryJournal
from procession.journal.rows import EventRow
from procession.primitives.codec import from_json
from procession.telemetry.trace_context import Context, SpanIds, is_chosen, sampled
from tests.telemetry.trips import (
    Booked,
    Charge,
    Charged,
    Confirmed,
    HoldSeat,
    SeatHeld,
    Traces,
    context_of,
    traced,
    travelling,
)

Where = dict[int, tuple[int, int]]
"""Span id -> trace and parent."""


class SilentSeats(Gateway, name="seats"):
    """Never answers."""

    async def hold(self, command: HoldSeat) -> SeatHeld:
        await trio.sleep_forever()
        raise AssertionError


class SilentCards(Gateway, name="cards"):
    async def charge(self, command: Charge) -> Charged:
        await trio.sleep_forever()
        raise AssertionError


def derived(journal: MemoryJournal) -> Where:
    """Every span that a journal tells of, but for attempts, of which it holds those that led to something."""
    ids, rows = SpanIds(journal.id), journal.contents()
    events: dict[int, EventRow] = {row.position: row for row in rows.events}
    found: Where = {}
    for row in rows.events:
        if (within := sampled(row.trace)) is not None:
            own = ids.of(row.id)
            found[own] = within.trace_id, 0 if within.span_id == own else within.span_id
    first = {step.flow: sampled(events[step.position].trace) for step in rows.steps if step.version == 1}
    flows = {flow.id: flow for flow in rows.flows}
    for step in rows.steps:
        of_flow, flow, event = first[step.flow], flows[step.flow], events[step.position]
        if of_flow is None:
            continue
        turn, came = ids.turn(flow.process, flow.key, step.version), sampled(event.trace)
        known = came is not None and came.trace_id == of_flow.trace_id
        found[turn] = of_flow.trace_id, ids.of(event.id) if known else ids.turn(flow.process, flow.key, 1)
        found[ids.commit(flow.process, flow.key, step.version)] = of_flow.trace_id, turn
        effects: list[dict[str, Any]] = from_json(step.effects) if step.effects else []
        for effect in effects:
            if "record" not in effect:
                found[ids.of(bytes.fromhex(effect["id"]))] = of_flow.trace_id, turn
    return found


def made(traces: Traces) -> tuple[Where, Where]:
    """The spans that a life made: attempts, and all others."""
    attempts: Where = {}
    others: Where = {}
    for span in traces.spans:
        context = context_of(span)
        kind = attempts if span.name.startswith("attempt") else others
        assert context.span_id not in kind, f"{span.name} was made twice"
        kind[context.span_id] = context.trace_id, 0 if span.parent is None else span.parent.span_id
    return attempts, others


@hypothesis.settings(max_examples=8)
@hypothesis.given(
    keys=st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6, unique=True),
    ratio=st.sampled_from([0.5, 1.0]),
    stops_at=st.sampled_from(["seats", "cards", "nowhere"]),
    joins=st.booleans(),
)
def test_a_life_that_goes_on_where_another_stopped_hangs_its_spans_where_that_one_would_have(
    keys: list[str], ratio: float, stops_at: str, joins: bool
) -> None:
    journal, before, later = MemoryJournal(), Traces(), Traces()

    async def first_life() -> None:
        silent = {"seats": {"seats": SilentSeats}, "cards": {"cards": SilentCards()}, "nowhere": {}}[stops_at]
        async with travelling(journal, before, settings=traced(ratio), **silent) as runtime:  # type: ignore[arg-type]
            await runtime.publish([Booked(key) for key in keys])
            await trio.testing.wait_all_tasks_blocked()
            await trio.sleep(0.01)

    async def second_life() -> None:
        async with travelling(journal.reopened(), later, settings=traced(ratio)) as runtime:
            await runtime.drain()
            if joins:
                await runtime.publish([Confirmed(key) for key in keys])
            await runtime.drain()

    trio.run(first_life, clock=trio.testing.MockClock(autojump_threshold=0))
    stood = derived(journal)
    trio.run(second_life)

    stands = derived(journal)
    assert stood.items() <= stands.items()
    attempts_before, others_before = made(before)
    attempts_later, others_later = made(later)
    assert others_before == stood
    assert others_before.keys().isdisjoint(others_later)
    assert others_before | others_later == stands
    assert attempts_before.keys().isdisjoint(attempts_later)
    parents = {parent for _, parent in (stands | attempts_before | attempts_later).values()}
    assert parents <= {0, *stands, *attempts_before, *attempts_later}


@hypothesis.given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_a_derived_context_is_written_and_read_the_same(journal_id: bytes, event_id: bytes) -> None:
    ids = SpanIds(journal_id)
    context = Context(ids.trace(event_id), ids.of(event_id))
    assert sampled(context.text) == context
    assert SpanIds(journal_id).trace(event_id) == context.trace_id


@hypothesis.given(st.binary(min_size=16, max_size=16), st.floats(0, 1), st.floats(0, 1))
def test_who_is_chosen_at_a_share_is_chosen_at_any_larger_one(event_id: bytes, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert not is_chosen(event_id, 0)
    assert is_chosen(event_id, 1)
    assert is_chosen(event_id, small) <= is_chosen(event_id, large)
