"""Counters as observable instruments of OpenTelemetry: read when collected, free in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import attrs

from procession.telemetry.names import PREFIX, Counters


class Meter(Protocol):
    """What is needed of an OpenTelemetry meter. Its own class would load OpenTelemetry for those who export nothing."""

    def create_observable_counter(
        self,
        name: str,
        callbacks: Sequence[Callable[[Any], Iterable[Any]]] | None = None,
        unit: str = "",
        description: str = "",
    ) -> object:
        """An instrument whose value is read, by its callbacks, when it is collected."""
        ...


def observe(counters: Counters, meter: Meter) -> None:
    """Export every counter through a meter, as observable counters: read when collected, free in between."""
    for field in attrs.fields(Counters):
        meter.create_observable_counter(
            f"{PREFIX}{field.name}", [_reader(counters, field.name)], description=field.metadata["help"]
        )


def _reader(counters: Counters, name: str) -> Callable[[object], Iterable[object]]:
    from opentelemetry.metrics import Observation  # noqa: PLC0415 - only where counters are exported

    def read(_: object) -> Iterable[object]:
        return (Observation(getattr(counters, name)),)

    return read
