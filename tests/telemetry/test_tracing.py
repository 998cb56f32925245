"""One trace for each flow: what led to what, whoever did it, and nothing at all where a flow is not traced."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import trio
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor

from procession import Outside, open_runtime
from procession.daemon.log_lines import JsonLines
from procession.engine.clock import TrioClock
from procession.errors import FlowQuarantined, WiringError
from procession.journal.memory import MemoryJournal
from procession.telemetry.trace_context import SpanIds
from tests.engine.bank import Account, Deposit, Transfer, TransferRequested
from tests.telemetry.trips import (
    Booked,
    Cards,
    Confirmed,
    Expired,
    Traces,
    Trip,
    id_of,
    trace_of,
    traced,
    travelling,
)

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"
HELD = ["attempt seats", "send seats", "handle trip", "publish trip.booked"]
"""What a held seat hangs below."""


@pytest.fixture
def traces() -> Traces:
    return Traces()


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged, as a service writes it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logging.getLogger("procession").addHandler(handler)
    yield stream
    logging.getLogger("procession").removeHandler(handler)


async def test_all_that_a_flow_did_is_one_tree_below_its_first_event(traces: Traces) -> None:
    async with travelling(MemoryJournal(), traces) as runtime:
        await runtime.publish(Booked("a"), id="a/booked", source="shop")
        await runtime.drain()

    assert len({trace_of(span) for span in traces.spans}) == 1
    assert traces.above(traces.named("publish trip.booked")) == []
    assert traces.above(traces.named("arm trip.expired")) == ["handle trip", "publish trip.booked"]
    held = ["publish seat.held", *HELD]
    assert traces.above(traces.named("handle seat")) == held
    noted = ["handle trip", "publish trip.noted", "handle trip", *held]
    assert traces.above(traces.named("publish card.charged")) == ["attempt cards", "send cards", *noted]
    commits = [traces.above(span)[0] for span in traces.spans if span.name == "commit journal"]
    assert sorted(commits) == ["handle seat", *["handle trip"] * 4]
    assert len({id_of(span) for span in traces.spans}) == len(traces.spans)


async def test_a_span_says_what_it_is_by_the_conventions_and_tells_of_no_payload(traces: Traces) -> None:
    async with travelling(MemoryJournal(), traces) as runtime:
        await runtime.publish(Booked("a"), id="a/booked", source="shop")
        await runtime.drain()
        (first, *_) = await runtime.events()

    accepted = traces.named("publish trip.booked")
    assert accepted.kind is trace.SpanKind.PRODUCER
    assert dict(accepted.attributes or {}) == {
        "messaging.system": "procession",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.name": "trip.booked",
        "messaging.message.id": first.envelope.event_id.hex,
        "messaging.message.conversation_id": "trip/a",
        "cloudevents.event_id": "a/booked",
        "cloudevents.event_source": "shop",
        "cloudevents.event_type": "trip.booked",
        "procession.position": 1,
    }


async def test_what_a_gateway_calls_hangs_below_the_attempt_that_it_is_part_of(traces: Traces) -> None:
    cards = Cards(failures=1)
    async with travelling(MemoryJournal(), traces, cards) as runtime:
        await runtime.publish(Booked("a"))
        await runtime.drain()

    failed, well = (span for span in traces.spans if span.name == "attempt cards")
    contexts = [f"00-{trace_of(span):032x}-{id_of(span):016x}-01" for span in (failed, well)]
    assert cards.traces == contexts
    assert [found.span_id for found in cards.spans] == [id_of(failed), id_of(well)]
    assert (failed.attributes or {})["error.type"] == "OSError"
    assert (failed.status.status_code, well.status.status_code) == (trace.StatusCode.ERROR, trace.StatusCode.UNSET)
    assert [(span.attributes or {})["procession.attempt"] for span in (failed, well)] == [1, 2]
    assert traces.above(traces.named("publish card.charged"))[0] == "attempt cards"
    parent = traces.named("publish card.charged").parent
    assert parent is not None
    assert parent.span_id == id_of(well)


async def test_a_flow_hangs_below_the_span_that_its_event_was_published_in(traces: Traces) -> None:
    async with travelling(MemoryJournal(), traces, settings=traced(0)) as runtime:
        with traces.tracer.start_as_current_span("checkout"):
            await runtime.publish(Booked("a"))
        await runtime.drain()

    assert traces.above(traces.named("handle seat")) == ["publish seat.held", *HELD, "checkout"]


async def test_the_span_that_a_runtime_is_opened_in_leads_to_nothing(traces: Traces) -> None:
    with traces.tracer.start_as_current_span("start of the service"):
        async with travelling(MemoryJournal(), traces) as runtime:
            await runtime.publish(Booked("a"))
            await runtime.drain()

    assert traces.above(traces.named("publish trip.booked")) == []


@pytest.mark.parametrize("given", [None, PARENT + "0"])
async def test_a_flow_that_is_not_traced_makes_no_span_and_writes_no_more_than_it_was_given(
    traces: Traces, given: str | None
) -> None:
    async with travelling(MemoryJournal(), traces, settings=traced(0)) as runtime:
        await runtime.publish([Outside(Booked("a"), trace=given)])
        await runtime.drain()
        found = {recorded.envelope.trace for recorded in await runtime.events()}

    assert found == {given}
    assert traces.spans == []


async def test_a_caller_who_is_not_traced_decides_that_his_flow_is_not(traces: Traces) -> None:
    async with travelling(MemoryJournal(), traces) as runtime:
        unsampled = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=True))
        with trace.use_span(unsampled):
            await runtime.publish(Booked("a"))
        await runtime.drain()
        assert {recorded.envelope.trace for recorded in await runtime.events()} == {None}
    assert traces.spans == []


async def test_where_nothing_is_traced_a_trace_from_outside_is_passed_on_as_it_came() -> None:
    cards = Cards()
    async with travelling(MemoryJournal(), None, cards) as runtime:
        await runtime.publish([Outside(Booked("a"), trace=PARENT + "1"), Outside(Booked("b"), trace="nonsense")])
        await runtime.drain()
    assert sorted(cards.traces, key=str) == [PARENT + "1", "nonsense"]


async def test_an_event_of_another_trace_is_handled_in_that_of_its_flow_with_a_link(traces: Traces) -> None:
    async with travelling(MemoryJournal(), traces) as runtime:
        await runtime.publish(Booked("a"))
        await runtime.drain()
        await runtime.publish([Outside(Confirmed("a"), trace=PARENT + "1")])
        await runtime.flow(Trip, "a").wait_ended(5)

    confirmed = traces.named("publish trip.confirmed")
    assert f"{trace_of(confirmed):032x}" == PARENT[3:35]
    handled = next(s for s in traces.spans if (s.attributes or {}).get("procession.handler") == "confirmed")
    assert traces.above(handled) == ["handle trip", "publish trip.booked"]
    assert [link.context for link in handled.links] == [
        trace.SpanContext(trace_of(confirmed), id_of(confirmed), is_remote=True, trace_flags=trace.TraceFlags(1))
    ]


async def test_one_event_that_starts_several_flows_leads_to_a_turn_of_each(traces: Traces) -> None:
    async with travelling(MemoryJournal(), traces) as runtime:
        await runtime.publish(Booked("a"))
        await runtime.drain()
    below = [span.name for span in traces.spans if traces.above(span)[:1] == ["publish seat.held"]]
    assert sorted(below) == ["handle seat", "handle trip"]


async def test_a_deadline_hangs_below_the_turn_that_armed_it_whoever_fires_it(
    traces: Traces, autojump_clock: trio.testing.MockClock
) -> None:
    clock, journal, lost = TrioClock(), MemoryJournal(), Traces()
    async with travelling(journal, lost, clock=clock) as runtime:
        await runtime.publish(Booked("a"))
        await runtime.drain()
    async with travelling(journal.reopened(), traces, clock=clock) as runtime:
        await runtime.flow(Trip, "a").wait_ended(4000)

    expired = traces.named("publish trip.expired")
    assert expired.parent is not None
    assert expired.parent.span_id == id_of(lost.named("arm trip.expired"))
    assert trace_of(expired) == trace_of(lost.named("publish trip.booked"))


async def test_a_decision_hangs_below_the_command_and_its_events_below_the_decision(traces: Traces) -> None:
    async with open_runtime(
        MemoryJournal(),
        processes=[Transfer],
        aggregates=[Account],
        settings=traced(),
        tracer_provider=traces.provider,
    ) as runtime:
        with traces.tracer.start_as_current_span("till"):
            await runtime.send(Deposit("a", 500), timeout_s=5)
        till = traces.above(traces.named("publish account.deposited"))
        assert till == ["decide account", "publish procession.command_decided", "till"]
        await runtime.publish(TransferRequested("t", "a", "b", 600))
        await runtime.drain()

    refused = traces.named("publish procession.command_refused")
    above = ["decide account", "send account", "handle transfer", "publish transfer.requested"]
    assert traces.above(refused) == above
    decision = next(span for span in traces.spans if id_of(span) == (refused.parent and refused.parent.span_id))
    assert (decision.attributes or {})["error.type"] == "account.too_little_money"


async def test_a_turn_that_raises_is_a_span_with_an_error_in_the_trace_of_its_flow(traces: Traces) -> None:
    async with travelling(MemoryJournal(), traces) as runtime:
        await runtime.publish(Booked("broken"))
        await runtime.drain()
        await runtime.publish(Expired("broken"))
        with pytest.raises(FlowQuarantined):
            await runtime.flow(Trip, "broken").wait_ended(5)

    (failed,) = (s for s in traces.spans if (s.attributes or {}).get("error.type") == "KeyError")
    assert (failed.name, trace_of(failed)) == ("handle trip", trace_of(traces.named("publish trip.booked")))


async def test_a_log_line_of_a_turn_or_a_gateway_tells_flow_trace_and_span(traces: Traces, lines: io.StringIO) -> None:
    async with travelling(MemoryJournal(), traces) as runtime:
        await runtime.publish(Booked("broken"))
        await runtime.drain()
        await runtime.publish(Expired("broken"))
        await runtime.drain()

    told = {line["message"].partition(":")[0]: line for line in map(json.loads, lines.getvalue().splitlines())}
    trace_id = f"{trace_of(traces.named('publish trip.booked')):032x}"
    for message in ("charging", "flow trip/broken is in quarantine"):
        assert (told[message]["flow"], told[message]["trace_id"]) == ("trip/broken", trace_id)
    assert told["charging"]["span_id"] == f"{id_of(traces.named('attempt cards')):016x}"


async def test_a_log_line_of_what_is_not_traced_is_as_it_was(lines: io.StringIO) -> None:
    async with travelling(MemoryJournal(), None) as runtime:
        await runtime.publish(Booked("a"))
        await runtime.drain()
    assert json.loads(lines.getvalue()).keys() == {"at", "level", "logger", "message"}


@pytest.mark.parametrize("where", ["on_start", "on_end"])
async def test_a_processor_that_raises_ends_nothing(
    traces: Traces, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise KeyError("http.route")

    processor = SpanProcessor()
    monkeypatch.setattr(processor, where, missing)
    traces.provider.add_span_processor(processor)
    async with travelling(MemoryJournal(), traces) as runtime:
        await runtime.publish(Booked("a"))
        await runtime.drain()
        assert runtime.counters()["procession_actors_restarted"] == 0
    said = [record for record in caplog.records if "a span processor" in record.getMessage()]
    assert len(said) == 1


async def test_a_provider_that_makes_no_spans_is_refused() -> None:
    with pytest.raises(WiringError, match="NoOpTracerProvider that makes no spans; give an opentelemetry"):
        async with open_runtime(MemoryJournal(), tracer_provider=trace.NoOpTracerProvider()):
            """Never reached."""


def test_ids_are_told_apart_by_journal_and_by_what_they_are_of() -> None:
    one, other = SpanIds(bytes(16)), SpanIds(bytes([1] * 16))
    found = [ids.turn("a", "b", 1) for ids in (one, other)]
    found += [one.turn("a", "b", 2), one.commit("a", "b", 1), one.of(b"x"), one.decision(b"x"), one.turn("ab", "", 1)]
    found += [one.attempt(b"x", 0, 1, 0), one.attempt(b"x", 0, 1, 1), one.attempt(b"x", 1, 1, 0)]
    assert len(set(found)) == len(found)
