"""The way out of spans: a full queue drops and counts, a receiver that fails is told of once, nobody waits."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence

import attrs
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from procession.telemetry.span_queue import SpanQueue

OF_EXPORTER = "tests.exporter"
_PATIENCE_S = 30


@attrs.define(eq=False)
class Slow(SpanExporter):
    """Takes a batch, or fails at it, once it is let; says so each time."""

    results: list[SpanExportResult]
    batches: list[int] = attrs.field(factory=list)
    let: threading.Semaphore = attrs.field(factory=lambda: threading.Semaphore(0))
    begun: threading.Semaphore = attrs.field(factory=lambda: threading.Semaphore(0))

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.begun.release()
        assert self.let.acquire(timeout=_PATIENCE_S)
        self.batches.append(len(spans))
        result = self.results.pop(0) if self.results else SpanExportResult.SUCCESS
        if result is SpanExportResult.FAILURE:
            logging.getLogger(OF_EXPORTER).error("nobody is there")
        return result

    def shutdown(self) -> None:
        self.let.release(1000)


def queue_to(exporter: Slow, waiting_max: int = 16, interval_s: float = 0.01) -> SpanQueue:
    return SpanQueue(
        exporter, waiting_max=waiting_max, interval_s=interval_s, address="there", logger_of_exporter=OF_EXPORTER
    )


@pytest.fixture(autouse=True)
def nothing_is_given_up_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is sent, however long a busy machine takes to it."""
    monkeypatch.setattr("procession.telemetry.span_queue.CLOSE_S_MAX", _PATIENCE_S)


@pytest.fixture
def exporter() -> Iterator[Slow]:
    slow = Slow([])
    yield slow
    slow.shutdown()


def end(queue: SpanQueue, number: int) -> None:
    """So many spans end."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(queue)
    for _ in range(number):
        provider.get_tracer("tests").start_span("one").end()


def test_what_finds_no_room_is_dropped_and_counted_and_the_rest_is_sent(exporter: Slow) -> None:
    told: list[int] = []
    queue = queue_to(exporter)
    queue.on_dropped = told.append
    end(queue, 1)
    assert exporter.begun.acquire(timeout=_PATIENCE_S)
    end(queue, 20)
    exporter.shutdown()
    queue.close()

    assert (queue.dropped, told) == (4, [1, 2, 3, 4])
    assert sum(exporter.batches) == 17


def test_an_outage_is_told_of_when_it_begins_and_when_it_ends_and_not_in_between(
    exporter: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    exporter.results = [SpanExportResult.FAILURE] * 3
    queue = queue_to(exporter, waiting_max=2, interval_s=_PATIENCE_S)  # two spans are a batch, and never one
    for _ in range(4):
        end(queue, 2)
        assert exporter.begun.acquire(timeout=_PATIENCE_S)
        exporter.let.release()
    exporter.shutdown()
    queue.close()

    assert queue.dropped == 6
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("procession.telemetry", "spans are not delivered to there, and are dropped until they are: nobody is there"),
        ("procession.telemetry", "spans are delivered again; 6 were dropped so far"),
        ("procession.telemetry", "6 spans in all were not delivered to there"),
    ]


def test_what_others_log_through_the_same_exporter_is_left_alone(
    exporter: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    queue = queue_to(exporter)
    logging.getLogger(OF_EXPORTER).error("a receiver of somebody else is gone")
    queue.close()
    assert [record.getMessage() for record in caplog.records] == ["a receiver of somebody else is gone"]


def test_what_ends_after_the_end_is_dropped(exporter: Slow) -> None:
    queue = queue_to(exporter)
    queue.close()
    end(queue, 1)
    assert queue.dropped == 1
