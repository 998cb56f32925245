"""Counters and gauges as observable instruments of OpenTelemetry: read when collected, free in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from procession.telemetry.metric import Metric
from procession.telemetry.names import METRICS
from procession.telemetry.samples import Family, Sample

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


class _Collected:
    """What was read for one collection, which asks for each metric once: so all of it is read once, not for each."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._found: dict[Metric, Family] = {}
        self._told = set(METRICS)
        self._lock = threading.Lock()

    def of(self, metric: Metric) -> Sequence[Sample]:
        """The series of a metric; asked for it again, all is read anew."""
        with self._lock:
            if metric in self._told:
                self._found = {family.metric: family for family in self._read()}
                self._told.clear()
            self._told.add(metric)
            return self._found[metric].samples if metric in self._found else ()


def observe(read: Read, meter: Meter) -> None:
    """Export every counter and gauge through a meter. Histograms have no observable instrument: see `otlp_metrics`."""
    collected = _Collected(read)
    for metric in METRICS:
        if metric.kind == "counter":
            meter.create_observable_counter(
                metric.in_opentelemetry, [_reader(collected, metric)], unit=metric.unit, description=metric.about
            )
        elif metric.kind == "gauge":
            meter.create_observable_gauge(
                metric.in_opentelemetry, [_reader(collected, metric)], unit=metric.unit, description=metric.about
            )


def _reader(collected: _Collected, metric: Metric) -> Callable[[object], Iterable[object]]:
    from opentelemetry.metrics import Observation  # noqa: PLC0415 - only where something is exported

    def observed(_: object) -> Iterable[object]:
        return [
            Observation(sample.stands, dict(zip(metric.labels, sample.values, strict=True)))  # type: ignore[arg-type]  # of a counter or gauge it is a number
            for sample in collected.of(metric)
        ]

    return observed
