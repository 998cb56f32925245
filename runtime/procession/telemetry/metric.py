"""What one exported name is; names.py has them all."""

from __future__ import annotations

from typing import Literal

import attrs

PREFIX = "procession_"
"""Of names in Prometheus."""
MetricKind = Literal["counter", "gauge", "histogram"]
_SUFFIXES = {"s": "_seconds", "By": "_bytes"}


@attrs.frozen
class Metric:
    """One exported name. No label ever carries a flow or a key: values come from the registry, or stand in the code."""

    name: str
    """Without prefix and unit."""
    kind: MetricKind
    unit: str
    """As UCUM has it, which OpenTelemetry takes: `s`, `By`, or what is counted in braces."""
    about: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    """Upper bounds of the buckets of a histogram, in its unit."""

    @property
    def in_prometheus(self) -> str:
        """With its base unit, `procession_event_wait_seconds`; of a counter, as its series are called."""
        total = "_total" if self.kind == "counter" else ""
        return f"{PREFIX}{self.name}{_SUFFIXES.get(self.unit, '')}{total}"

    @property
    def in_opentelemetry(self) -> str:
        """`procession.event_wait`: a Collector makes the name in Prometheus of it and its unit."""
        return f"procession.{self.name}"
