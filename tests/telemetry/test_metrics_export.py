"""Metrics as an OTLP receiver gets them, and what a receiver can't spoil."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import trio
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric

from procession import Runtime, Settings
from procession.errors import SettingsError
from procession.telemetry.names import METRICS
from procession.telemetry_settings import TelemetrySettings
from tests.telemetry.receiver import Receiver, answer_late, answer_without_end, receiving
from tests.telemetry.test_export import nobody
from tests.telemetry.trips import Booked, travelling_to

pytestmark = pytest.mark.slow


def told(endpoint: str, **more: str | float) -> Settings:
    given = {
        "metrics_endpoint": endpoint,
        "metrics_interval_s": 0.05,
        "otlp_timeout_s": 60.0,
        "sample_s": 0.1,
        "trace_ratio": 1.0,
        **more,
    }
    return Settings(telemetry=TelemetrySettings(**given))  # type: ignore[arg-type]  # each has its type


def received(receiver: Receiver) -> dict[str, Metric]:
    """What the last request told."""
    return {
        metric.name: metric
        for resource in receiver.metrics[-1].resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


async def booked(runtime: Runtime) -> None:
    with trio.fail_after(25):  # who waits for a late answer takes longer
        await runtime.publish([Booked(f"{number}") for number in range(50)])
        await runtime.drain()


async def test_all_that_is_measured_arrives_with_the_last_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("procession.telemetry.otlp_metrics.CLOSE_S_MAX", 30)  # this receiver answers
    with receiving() as receiver:
        async with travelling_to(tmp_path / "trips.db", told(receiver.endpoint)) as runtime:
            await booked(runtime)
            await runtime.metrics()
            families = {family.metric: family for family in await runtime.metrics()}
        found = received(receiver)
    assert receiver.paths == {"/v1/metrics"}
    (resource,) = receiver.metrics[-1].resource_metrics
    assert "service.name" in {attribute.key for attribute in resource.resource.attributes}
    known = {metric.in_opentelemetry: metric for metric in METRICS}
    at_work = {metric.in_opentelemetry for metric, family in families.items() if family.samples}
    assert at_work - found.keys() == {"procession.flows_in_memory"}  # what was sent last is from after its end
    for name, metric in found.items():
        assert (metric.unit, metric.description) == (known[name].unit, known[name].about)
        kinds = {"counter": "sum", "gauge": "gauge", "histogram": "histogram"}
        assert metric.WhichOneof("data") == kinds[known[name].kind]
    turns = found["procession.turn_duration"].histogram
    assert turns.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    handled = sum(
        point.as_int
        for point in found["procession.turns"].sum.data_points
        if point.attributes[0].value.string_value == "handled"
    )
    assert sum(point.count for point in turns.data_points) == handled > 100
    assert all(sum(point.bucket_counts) == point.count for point in turns.data_points)
    assert all(len(point.explicit_bounds) == len(point.bucket_counts) - 1 for point in turns.data_points)
    assert found["procession.journal_size"].gauge.data_points[0].as_int > 0


@pytest.mark.parametrize("answer", [None, answer_late, answer_without_end], ids=["dead", "late", "endless"])
async def test_a_receiver_that_is_no_good_costs_flows_nothing_and_the_end_two_seconds_for_both_signals(
    tmp_path: Path, answer: Callable[[BaseHTTPRequestHandler], None] | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with receiving(answer) as receiver:
        endpoint = nobody() if answer is None else receiver.endpoint
        async with travelling_to(tmp_path / "trips.db", told(endpoint, otlp_endpoint=endpoint)) as runtime:
            await booked(runtime)
            assert runtime.counters()["procession_flows_started"] == 100
            closed_at = time.monotonic()
        took_s = time.monotonic() - closed_at
    assert took_s < 20  # two of them for telemetry, and a machine that stalls; a late answer takes 30
    said = [record.getMessage() for record in caplog.records if "metrics" in record.getMessage()]
    assert len(said) <= 1
    assert [record for record in caplog.records if record.name.startswith("opentelemetry")] == []


async def test_an_address_that_is_none_is_refused_by_its_setting() -> None:
    with pytest.raises(SettingsError, match=r"metrics_endpoint: is 'collector', which is no address"):
        TelemetrySettings(metrics_endpoint="collector")
