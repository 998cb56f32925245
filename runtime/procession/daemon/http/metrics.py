"""All that is measured, for Prometheus: by its client library, in its text format or as OpenMetrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from procession.telemetry.histograms import Spread
from procession.telemetry.names import HTTP_REFUSED, HttpCounters
from procession.telemetry.samples import Family, Sample


class _Collector:
    """What a registry of Prometheus' client takes: families that were read before."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            if family.samples:
                yield _metric(family)


_PROCESS = ProcessCollector(registry=CollectorRegistry())
"""CPU, memory, and open files of this process, under the names that every client of Prometheus has for them."""


def exposition(families: Sequence[Family], accept: str) -> tuple[bytes, str]:
    """The text, and its media type; the one that Prometheus asks for. May be called in any thread."""
    encode, media = choose_encoder(accept)
    registry = CollectorRegistry()
    registry.register(_Collector(families))
    registry.register(_PROCESS)
    return encode(registry), media


def refused(counters: HttpCounters) -> Family:
    """What the HTTP facade did not let in."""
    return Family(HTTP_REFUSED, [Sample((reason,), number) for reason, number in attrs.asdict(counters).items()])


def _metric(family: Family) -> Metric:
    metric = family.metric
    name, about, labels = metric.in_prometheus, metric.about, metric.labels
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(name, about, labels=labels)
        for sample in family.samples:
            assert isinstance(sample.stands, Spread), "the metric is a histogram"
            histogram.add_metric(sample.values, _buckets(sample.stands), sample.stands.sum)
        return histogram
    found = (CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily)(name, about, labels=labels)
    for sample in family.samples:
        assert not isinstance(sample.stands, Spread), "the metric is no histogram"
        found.add_metric(sample.values, sample.stands)
    return found


def _buckets(spread: Spread) -> list[tuple[str, float]]:
    """Cumulative, the last of them over all."""
    found: list[tuple[str, float]] = []
    below = 0
    for bound, count in zip((*map(str, map(float, spread.bounds)), "+Inf"), spread.counts, strict=True):
        below += count
        found.append((bound, below))
    return found
