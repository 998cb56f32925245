"""Figures of a measurement, the goals they are held to, and how both are shown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Literal

import attrs

Figures = dict[str, float]
"""Named values, units in the names."""


def percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The median, and the 95th and 99th percentile."""
    ordered = sorted(values)
    return tuple(ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.95, 0.99))  # type: ignore[return-value]  # three


def medians(rounds: Sequence[Figures]) -> Figures:
    """The median of each value over the rounds."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


@attrs.frozen
class Goal:
    """What a figure, or its ratio to the floor, is to be."""

    sense: Literal["≤", "≥"]
    limit: float
    of: Literal["ratio", "figure"]

    def met_by(self, row: Row) -> bool:
        value = row.shown_ratio if self.of == "ratio" else row.ours
        assert value is not None, f"{row.figure} has no floor to be a ratio of"
        return value <= self.limit if self.sense == "≤" else value >= self.limit

    def __str__(self) -> str:
        return f"{'ratio ' if self.of == 'ratio' else ''}{self.sense} {self.limit:,g}"


def at_most(limit: float) -> Goal:
    return Goal("≤", limit, "figure")


def at_least(limit: float) -> Goal:
    return Goal("≥", limit, "figure")


def ratio_at_most(limit: float) -> Goal:
    return Goal("≤", limit, "ratio")


def ratio_at_least(limit: float) -> Goal:
    return Goal("≥", limit, "ratio")


@attrs.frozen
class Row:
    """A line of a table: what we reach, beside the floor of the same run."""

    figure: str
    """With its unit."""
    ours: float
    floor: float | None = None
    goal: Goal | None = None
    remark: str = ""
    ratio: float | None = attrs.field(default=None, kw_only=True)
    """The median of the rounds' ratios, where that is not the ratio of the medians."""

    @property
    def shown_ratio(self) -> float | None:
        if self.ratio is not None or not self.floor:
            return self.ratio
        return self.ours / self.floor

    @property
    def met(self) -> bool | None:
        """None: it has no goal."""
        return None if self.goal is None else self.goal.met_by(self)


@attrs.frozen
class Report:
    """What a measurement found."""

    name: str
    about: str
    """How much of what, and what the floor is."""
    rows: Sequence[Row]

    def __str__(self) -> str:
        return _table(f"{self.name}: {self.about}", self.rows)


_HEADS = ("figure", "ours", "floor", "ratio", "goal", "met", "")


def _table(title: str, rows: Sequence[Row]) -> str:
    """Figure, ours, floor, ratio, goal, and whether it is met, in columns."""
    lines = [_HEADS, *map(_cells, rows)]
    wide = [max(len(line[at]) for line in lines) for at in range(len(_HEADS))]
    text = [title]
    for line in lines:
        figure, *values, remark = line
        shown = [f"{value:>{width}}" for value, width in zip(values, wide[1:], strict=False)]
        text.append("  ".join(["", f"{figure:<{wide[0]}}", *shown, remark]).rstrip())
    return "\n".join(text)


def _cells(row: Row) -> tuple[str, ...]:
    met = {None: "", True: "yes", False: "NO"}[row.met]
    goal = "" if row.goal is None else str(row.goal)
    return (row.figure, _number(row.ours), _number(row.floor), _number(row.shown_ratio), goal, met, row.remark)


_DIGITS_UNDER = ((1, 3), (10, 2), (100, 1))


def _number(value: float | None) -> str:
    if value is None:
        return ""
    digits = next((digits for limit, digits in _DIGITS_UNDER if abs(value) < limit), 0)
    return f"{value:,.{digits}f}"


def goals(reports: Sequence[Report]) -> str:
    """Every figure that has a goal, in one table; last, how many of them are met."""
    rows = [
        attrs.evolve(row, figure=f"{report.name}: {row.figure}")
        for report in reports
        for row in report.rows
        if row.goal is not None
    ]
    met = sum(bool(row.met) for row in rows)
    return _table(f"goals: {met} of {len(rows)} met", rows)
