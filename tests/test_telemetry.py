"""Counters: one name each, one sentence each, exported as they stand."""

from __future__ import annotations

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData, Sum

from procession.telemetry.instruments import observe
from procession.telemetry.names import PREFIX, Counters, counter_help


def exported(reader: InMemoryMetricReader) -> dict[str, int | float]:
    data = reader.get_metrics_data()
    assert isinstance(data, MetricsData)
    found: dict[str, int | float] = {}
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                assert isinstance(metric.data, Sum)
                found[metric.name] = next(iter(metric.data.data_points)).value
    return found


def test_every_counter_has_a_sentence() -> None:
    assert all(text.endswith(".") for text in counter_help().values())
    assert counter_help().keys() == Counters().as_dict().keys()


def test_a_meter_exports_each_counter_as_it_stands_when_collected() -> None:
    reader = InMemoryMetricReader()
    counters = Counters()

    observe(counters, MeterProvider([reader]).get_meter("test"))
    counters.events_accepted += 421

    assert exported(reader) == counters.as_dict()
    assert exported(reader)[f"{PREFIX}events_accepted"] == 421
