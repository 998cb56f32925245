"""What leaves the process: one name each, one sentence each, the same numbers by every way out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import trio
import trio.testing
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    PeriodicExportingMetricReader,
)

from procession import Settings, open_runtime
from procession.journal.memory import MemoryJournal
from procession.telemetry.histograms import Spread
from procession.telemetry.instruments import observe
from procession.telemetry.measures import OTHER, measures_of
from procession.telemetry.names import COUNTED, COUNTED_BY_OWNER, LOOP_LAG, METRICS, Counters, counter_help
from procession.telemetry.otlp_metrics import WithHistograms
from procession.telemetry.samples import Family, counted
from procession.telemetry_settings import TelemetrySettings

NAMES_MAX = 60


class Receiver(MetricExporter):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[MetricsData] = []

    def export(self, metrics_data: MetricsData, timeout_millis: float = 0, **kwargs: object) -> MetricExportResult:
        self.got.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 0) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 0, **kwargs: object) -> None: ...


Point = NumberDataPoint | HistogramDataPoint


def points(data: MetricsData | None) -> dict[tuple[str, tuple[str, ...]], Point]:
    assert data is not None
    return {
        (metric.name, tuple(str(value) for value in (point.attributes or {}).values())): point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if isinstance(point, NumberDataPoint | HistogramDataPoint)
    }


def test_every_counter_has_a_sentence_and_is_exported_once() -> None:
    assert all(text.endswith(".") for text in counter_help().values())
    assert counter_help().keys() == Counters().as_dict().keys()
    assert {field.name for field in attrs.fields(Counters)} == COUNTED.keys() | COUNTED_BY_OWNER.keys()
    assert not COUNTED.keys() & COUNTED_BY_OWNER.keys()


def test_every_metric_has_a_name_of_its_own_a_unit_and_a_sentence_and_they_are_few() -> None:
    assert len({metric.in_prometheus for metric in METRICS}) == len(METRICS) <= NAMES_MAX
    assert all(metric.about.endswith(".") for metric in METRICS)
    assert all(metric.unit in ("s", "By") or metric.unit.strip("{}").isalpha() for metric in METRICS)
    assert {metric.kind for metric in METRICS if metric.bounds} == {"histogram"}


def test_a_meter_exports_counters_and_gauges_as_they_stand_when_collected() -> None:
    reader = InMemoryMetricReader()
    counters, measures = Counters(), measures_of({"order": ()}, ["payments"])

    reads: list[None] = []

    def read() -> Iterator[Family]:
        reads.append(None)
        return counted(counters, measures)

    observe(read, MeterProvider([reader]).get_meter("test"))
    counters.events_accepted += 421
    measures.processes["order"].started += 7

    found = points(reader.get_metrics_data())
    assert reads == [None]  # once for all that it asks
    accepted = found["procession.events_published", ("accepted",)]
    started = found["procession.flows_started", ("order",)]
    assert isinstance(accepted, NumberDataPoint)
    assert isinstance(started, NumberDataPoint)
    assert (accepted.value, started.value) == (421, 7)

    counters.events_accepted += 1
    accepted = points(reader.get_metrics_data())["procession.events_published", ("accepted",)]
    assert isinstance(accepted, NumberDataPoint)
    assert accepted.value == 422


def test_histograms_join_what_a_reader_of_ones_own_sends() -> None:
    receiver, measures = Receiver(), measures_of({"order": ()}, ["payments"])
    families: list[Family] = list(counted(Counters(), measures))
    measures.commit.observe(0.0005)
    measures.commit.observe(2.0)
    measures.commit.observe(60.0)

    def histograms() -> list[Family]:
        return [family for family in counted(Counters(), measures) if family.metric.kind == "histogram"]

    reader = PeriodicExportingMetricReader(WithHistograms(receiver, histograms), export_interval_millis=3_600_000)
    meters = MeterProvider([reader])
    observe(lambda: families, meters.get_meter("test"))
    meters.force_flush()
    meters.shutdown()

    found = points(receiver.got[0])
    commits = found["procession.commit_duration", ()]
    assert isinstance(commits, HistogramDataPoint)
    assert (commits.count, commits.sum) == (3, 62.0005)
    assert list(commits.bucket_counts) == [1, *[0] * 10, 1, 0, 0, 0, 1]
    assert len(commits.explicit_bounds) == len(commits.bucket_counts) - 1
    assert {metric.in_opentelemetry for metric in METRICS} >= {name for name, _ in found}
    assert ("procession.events_published", ("accepted",)) in found


def test_an_outcome_that_the_code_does_not_name_is_other() -> None:
    order = measures_of({"order": ["shipped"]}, []).processes["order"]
    for outcome in ("shipped", "cancelled", "order 421 is done", "order 422 is done"):
        order.end(outcome, 1.0)
    assert order.ended == {"shipped": 1, "cancelled": 1, OTHER: 2}
    assert order.life.read().count == 4


def test_a_value_at_a_bound_belongs_to_the_bucket_that_it_ends_and_one_under_0_is_0() -> None:
    commit = measures_of({}, []).commit
    commit.observe(0.001)
    commit.observe(-5.0)
    assert commit.read().counts[:3] == (1, 1, 0)
    assert commit.read().sum == 0.001


def test_the_page_has_each_metric_as_its_definition_says() -> None:
    page = (Path(__file__).parent.parent / "docs" / "telemetry.md").read_text("utf-8")
    table = [
        f"| `{metric.in_prometheus}` | {metric.kind} | `{metric.unit}` |"
        f" {', '.join(f'`{label}`' for label in metric.labels)} | {metric.about} |"
        for metric in METRICS
    ]
    assert [line for line in page.splitlines() if line.startswith("| `procession_")] == table


async def test_whatever_holds_the_loop_is_measured_whenever_it_comes_for_as_long_as_it_does() -> None:
    settings = Settings(telemetry=TelemetrySettings(measure=True))
    async with open_runtime(MemoryJournal(), settings=settings) as runtime:
        await trio.testing.wait_all_tasks_blocked()  # it is being measured
        for _ in range(3):
            await trio.sleep(0.03)
            time.sleep(0.25)
        await trio.sleep(0.1)
        found = next(family for family in runtime.histograms() if family.metric is LOOP_LAG).samples[0].stands
    assert isinstance(found, Spread)
    assert sum(count for bound, count in zip((*found.bounds, 60), found.counts, strict=True) if bound > 0.1) >= 6
