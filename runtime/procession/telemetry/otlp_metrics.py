"""Metrics for OpenTelemetry's exporters: points made from our own numbers, and a thread that sends them.

The SDK has no observable histogram, and recording each observation in one of its own costs twenty times as much. So
the points are made here, of all that is measured, at the moment when they are sent.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    DataT,
    Gauge,
    Histogram,
    HistogramDataPoint,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Metric as Exported
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from procession.telemetry.histograms import Spread
from procession.telemetry.instruments import Read
from procession.telemetry.metric import Metric
from procession.telemetry.samples import Family, Sample
from procession.telemetry.span_queue import Hushed

logger = logging.getLogger("procession.telemetry")
_SCOPE = InstrumentationScope("procession")
CLOSE_S_MAX = 1.5
"""What is sent at the end may take so long, however the receiver is."""
_LOGGER_OF_EXPORTER = "opentelemetry.exporter.otlp.proto.http.metric_exporter"


def exported(families: Iterable[Family], began_ns: int, now_ns: int) -> list[Exported]:
    """As OpenTelemetry has them, cumulative since a time in nanoseconds since 1970."""
    return [
        Exported(
            family.metric.in_opentelemetry,
            family.metric.about,
            family.metric.unit,
            _data(family, began_ns, now_ns),
        )
        for family in families
        if family.samples
    ]


def _data(family: Family, began_ns: int, now_ns: int) -> DataT:
    metric = family.metric
    if metric.kind == "histogram":
        spreads = [_spread(metric, sample, began_ns, now_ns) for sample in family.samples]
        return Histogram(spreads, AggregationTemporality.CUMULATIVE)
    began_ns = now_ns if metric.kind == "gauge" else began_ns
    points = [
        NumberDataPoint(_attributes(metric, sample), began_ns, now_ns, sample.stands)
        for sample in family.samples
        if not isinstance(sample.stands, Spread)
    ]
    return Gauge(points) if metric.kind == "gauge" else Sum(points, AggregationTemporality.CUMULATIVE, True)  # noqa: FBT003 - their signature


def _spread(metric: Metric, sample: Sample, began_ns: int, now_ns: int) -> HistogramDataPoint:
    found = sample.stands
    assert isinstance(found, Spread), "the metric is a histogram"
    return HistogramDataPoint(
        _attributes(metric, sample),
        began_ns,
        now_ns,
        found.count,
        found.sum,
        found.counts,
        found.bounds,
        None,  # type: ignore[arg-type]  # smallest and greatest are optional where it is sent, and are not kept
        None,  # type: ignore[arg-type]  # as above
    )


def _attributes(metric: Metric, sample: Sample) -> dict[str, str]:
    return dict(zip(metric.labels, sample.values, strict=True))


class WithHistograms(MetricExporter):
    """An exporter that adds our histograms to what it is given, for a reader of your own beside `Runtime.observe`.

    reader = PeriodicExportingMetricReader(WithHistograms(OTLPMetricExporter(), runtime.histograms))
    """

    def __init__(self, exporter: MetricExporter, read: Read) -> None:
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)  # noqa: SLF001 - readers ask so
        self._exporter = exporter
        self._read = read
        self._began_ns = _now_ns()

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> MetricExportResult:
        """Hand on what came, and our histograms under the same resource."""
        ours = ScopeMetrics(_SCOPE, exported(self._read(), self._began_ns, _now_ns()), "")
        theirs = list(metrics_data.resource_metrics)
        resource = theirs[0].resource if theirs else Resource.create()
        added = ResourceMetrics(resource, [ours], "")
        return self._exporter.export(MetricsData([*theirs, added]), timeout_millis, **kwargs)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        self._exporter.shutdown(timeout_millis, **kwargs)


def otlp_exporter(address: str, timeout_s: float) -> MetricExporter:
    """One that sends to an OTLP receiver.

    Raises:
        ModuleNotFoundError: OpenTelemetry's exporter is not installed.
    """
    # An extra has them.
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415

    from procession.telemetry.otlp import ShortAnswers  # noqa: PLC0415

    return OTLPMetricExporter(address, timeout=timeout_s, session=ShortAnswers())


class Sending:
    """A thread that sends all that is measured, every so many seconds. A receiver that is dead holds up nobody else."""

    def __init__(
        self, exporter: MetricExporter, read: Read, service_name: str, every_s: float, on_dropped: Callable[[], None]
    ) -> None:
        from procession.telemetry.otlp import resource_of  # noqa: PLC0415 - as above

        self._exporter = exporter
        self._read = read
        self._resource = resource_of(service_name)
        self._every_s = every_s
        self._on_dropped = on_dropped
        self._began_ns = _now_ns()
        self._closing = threading.Event()
        self._well = True
        self._hushed = Hushed()
        # No end of the process waits for it: what a receiver does not take at the end is lost.
        self._thread = threading.Thread(target=self._run, name="procession metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send once more, and end; returns within `CLOSE_S_MAX`. Call it in a thread."""
        self._closing.set()
        self._thread.join(CLOSE_S_MAX)
        self._exporter.shutdown()  # ends a wait for another try

    def _run(self) -> None:
        self._hushed.thread = threading.get_ident()
        exporters = logging.getLogger(_LOGGER_OF_EXPORTER)
        exporters.addFilter(self._hushed)
        try:
            while not self._closing.wait(self._every_s):
                self._send()
            self._send()
        finally:
            exporters.removeFilter(self._hushed)

    def _send(self) -> None:
        try:
            ours = ScopeMetrics(_SCOPE, exported(self._read(), self._began_ns, _now_ns()), "")
            data = MetricsData([ResourceMetrics(self._resource, [ours], "")])
            taken = self._exporter.export(data) is MetricExportResult.SUCCESS
        except Exception:  # the thread must live on, whatever an exporter does
            logger.exception("the exporter of metrics failed")
            taken = False
        if not taken:
            self._on_dropped()
        if taken != self._well:
            self._well = taken
            if taken:
                logger.info("metrics are delivered again")
            else:
                text = "metrics are not delivered; it is tried again every %g s: %s"
                logger.warning(text, self._every_s, self._hushed.said)


def _now_ns() -> int:
    return time.time_ns()  # noqa: TID251 - what leaves the process is stamped where it leaves
