"""Counters and gauges as observable instruments of OpenTelemetry: read when collected, free in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from procession.telemetry.metric import Metric
from procession.telemetry.names import METRICS
from procession.telemetry.samples import Family

Read = Callable[[], Iterable[Family]]
"""All that stands now; may be called in any thread."""


class Meter(Protocol):
    """What is needed of an OpenTelemetry meter. Its own class would load OpenTelemetry for those who export nothing."""

    def create_observable_counter(
        self,
        name: str,
        callbacks: Sequence[Callable[[Any], Iterable[Any]]] | None = None,
        unit: str = "",
        description: str = "",
    ) -> object:
        """An instrument whose value only grows, and is read, by its callbacks, when it is collected."""
        ...

    def create_observable_gauge(
        self,
        name: str,
        callbacks: Sequence[Callable[[Any], Iterable[Any]]] | None = None,
        unit: str = "",
        description: str = "",
    ) -> object:
        """An instrument whose value is read, by its callbacks, when it is collected."""
        ...


def observe(read: Read, meter: Meter) -> None:
    """Export every counter and gauge through a meter. Histograms have no observable instrument: see `otlp_metrics`."""
    for metric in METRICS:
        if metric.kind == "counter":
            meter.create_observable_counter(
                metric.in_opentelemetry, [_reader(read, metric)], unit=metric.unit, description=metric.about
            )
        elif metric.kind == "gauge":
            meter.create_observable_gauge(
                metric.in_opentelemetry, [_reader(read, metric)], unit=metric.unit, description=metric.about
            )


def _reader(read: Read, metric: Metric) -> Callable[[object], Iterable[object]]:
    from opentelemetry.metrics import Observation  # noqa: PLC0415 - only where something is exported

    def observed(_: object) -> Iterable[object]:
        return [
            Observation(sample.stands, dict(zip(metric.labels, sample.values, strict=True)))  # type: ignore[arg-type]  # of a counter or gauge it is a number
            for family in read()
            if family.metric is metric
            for sample in family.samples
        ]

    return observed
