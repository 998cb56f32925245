"""Figures of a measurement, and how they are shown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

Figures = dict[str, float]
"""Named values, units in the names."""


def percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The median, and the 95th and 99th percentile."""
    ordered = sorted(values)
    return tuple(ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.95, 0.99))  # type: ignore[return-value]  # three


def medians(rounds: Sequence[Figures]) -> Figures:
    """The median of each value over the rounds."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def table(title: str, rows: Sequence[tuple[str, float, str]]) -> str:
    """Name, value and remark, in columns."""
    wide = max((len(name) for name, _, _ in rows), default=0)
    return "\n".join(
        [title, *(f"  {name:<{wide}}  {value:>12,.3f}  {remark}".rstrip() for name, value, remark in rows)]
    )
