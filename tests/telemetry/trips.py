"""Trips for tests: a flow that asks, arms, records and waits for others; and a second one that its events start."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import attrs
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from procession import (
    Attempt,
    Command,
    Effects,
    Event,
    Gateway,
    ProcessManager,
    Runtime,
    Settings,
    after,
    ends,
    on,
    open_runtime,
    record,
    starts,
)
from procession.engine.clock import Clock
from procession.journal.journal import Journal
from procession.settings import GatewaysSettings
from procession.telemetry_settings import TelemetrySettings

logger = logging.getLogger("procession.gateways.tests")


class Booked(Event, name="trip.booked"):
    trip: str


class SeatHeld(Event, name="seat.held"):
    trip: str


class Noted(Event, name="trip.noted"):
    trip: str


class Charged(Event, name="card.charged"):
    trip: str


class Confirmed(Event, name="trip.confirmed"):
    trip: str


class Expired(Event, name="trip.expired"):
    trip: str


class HoldSeat(Command, name="seat.hold"):
    trip: str


class Charge(Command, name="card.charge"):
    trip: str


class Trip(ProcessManager, name="trip", key="trip"):
    @starts
    def book(self, booked: Booked) -> Effects:
        yield HoldSeat(booked.trip)
        yield after(timedelta(hours=1), Expired(booked.trip))

    @on
    def note(self, held: SeatHeld) -> Effects:
        yield record(Noted(held.trip))

    @on
    def charge(self, noted: Noted) -> Effects:
        yield Charge(noted.trip)

    @on
    def charged(self, charged: Charged) -> None: ...

    @ends(outcome="confirmed")
    def confirmed(self, confirmed: Confirmed) -> None: ...

    @ends(outcome="expired")
    def expired(self, expired: Expired) -> None:
        if expired.trip == "broken":
            raise KeyError(expired.trip)


class Seat(ProcessManager, name="seat", key="trip"):
    """Of another flow's events."""

    @starts
    def seen(self, held: SeatHeld) -> None: ...

    @ends
    def left(self, expired: Expired) -> None: ...


class Seats(Gateway, name="seats"):
    async def hold(self, command: HoldSeat) -> SeatHeld:
        return SeatHeld(command.trip)


class Cards(Gateway, name="cards"):
    """Fails so many times; then it works. What each call saw is noted."""

    failures: int = 0
    traces: list[str | None] = attrs.field(factory=list)
    spans: list[trace.SpanContext] = attrs.field(factory=list)

    async def charge(self, command: Charge, attempt: Attempt) -> Charged:
        self.traces.append(attempt.trace)
        self.spans.append(trace.get_current_span().get_span_context())
        logger.warning("charging")
        if len(self.traces) <= self.failures:
            raise OSError("the line is cut")
        return Charged(command.trip)


def traced(ratio: float = 1.0) -> Settings:
    quick = GatewaysSettings(backoff_initial_s=0.001, backoff_max_s=0.002)
    return Settings(telemetry=TelemetrySettings(trace_ratio=ratio), gateways=quick)


@attrs.define(eq=False)
class Traces:
    """A tracer provider, and the spans that it got."""

    memory: InMemorySpanExporter = attrs.field(factory=InMemorySpanExporter)
    provider: TracerProvider = attrs.field(factory=lambda: TracerProvider(shutdown_on_exit=False))

    def __attrs_post_init__(self) -> None:
        self.provider.add_span_processor(SimpleSpanProcessor(self.memory))

    @property
    def tracer(self) -> trace.Tracer:
        """Of the host: not ours."""
        return self.provider.get_tracer("host")

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.memory.get_finished_spans())

    def named(self, name: str) -> ReadableSpan:
        """The one span of this name."""
        (found,) = (span for span in self.spans if span.name == name)
        return found

    def above(self, span: ReadableSpan) -> list[str]:
        """What a span hangs below, from its parent up to the root; a parent that nobody made is a question mark."""
        of_id = {id_of(each): each for each in self.spans}
        names: list[str] = []
        while span.parent is not None:
            assert span.parent.trace_id == trace_of(span)
            found = of_id.get(span.parent.span_id)
            if found is None:
                return [*names, "?"]
            names.append(found.name)
            span = found
        return names


def context_of(span: ReadableSpan) -> trace.SpanContext:
    found = span.context
    assert isinstance(found, trace.SpanContext)
    return found


def id_of(span: ReadableSpan) -> int:
    return context_of(span).span_id


def trace_of(span: ReadableSpan) -> int:
    return context_of(span).trace_id


@contextlib.asynccontextmanager
async def travelling(
    journal: Journal,
    traces: Traces | None,
    cards: Gateway | None = None,
    settings: Settings | None = None,
    clock: Clock | None = None,
    seats: Callable[[], Gateway] = Seats,
) -> AsyncIterator[Runtime]:
    async with open_runtime(
        journal,
        processes=[Trip, Seat],
        gateways=[seats(), cards or Cards()],
        settings=settings or traced(),
        clock=clock,
        tracer_provider=None if traces is None else traces.provider,
    ) as runtime:
        yield runtime


@contextlib.asynccontextmanager
async def travelling_to(path: Path, settings: Settings) -> AsyncIterator[Runtime]:
    """With traces that go where the settings say."""
    async with open_runtime(path, processes=[Trip, Seat], gateways=[Seats(), Cards()], settings=settings) as runtime:
        yield runtime
