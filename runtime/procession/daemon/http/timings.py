"""How long events waited and attempts took lately: histograms that only grow, seen as what was added in each span."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from procession.telemetry import names
from procession.telemetry.histograms import Spread
from procession.telemetry.samples import Family, Sample

SPAN_S = 10.0
SPANS_MAX = 90
"""A quarter of an hour."""
_LATELY_SPANS = 6
"""Quantiles and rates are of the last minute."""
_QUANTILES = (0.5, 0.95, 0.99)
_EVENTS = ""
"""What stands for events in place of a gateway's name."""
_COMMITS = "/"
"""What stands for commits; no gateway is called so."""
_SINGLE = {_EVENTS: "waits", _COMMITS: "commits"}
"""What is no gateway, by the name under which it is shown."""

Counts = tuple[int, ...]


@attrs.define(eq=False)
class Timings:
    """Of one runtime; made of what its histograms say at the end of each span."""

    _spans: deque[tuple[int, float, dict[str, Counts]]] = attrs.field(factory=lambda: deque(maxlen=SPANS_MAX))
    _stood: dict[str, Counts] = attrs.field(factory=dict)
    _bounds: dict[str, tuple[float, ...]] = attrs.field(factory=dict)
    _taken_at_s: float | None = None

    def take(self, families: Iterable[Family], now_s: float, now_ms: int) -> None:
        """Close a span, where one is over."""
        if self._taken_at_s is not None and now_s - self._taken_at_s < SPAN_S:
            return
        stands = self._read(families)
        if self._taken_at_s is not None:
            added = {
                name: tuple(
                    new - old for new, old in zip(counts, self._stood.get(name, (0,) * len(counts)), strict=True)
                )
                for name, counts in stands.items()
            }
            self._spans.append((now_ms, now_s - self._taken_at_s, added))
        self._stood, self._taken_at_s = stands, now_s

    def measured(self) -> dict[str, Any]:
        """Waits of events, durations of commits, rates and durations of attempts by gateway: of the last minute."""
        lately = list(self._spans)[-_LATELY_SPANS:]
        seconds = sum(span_s for _, span_s, _ in lately)
        found: dict[str, Any] = {"waits": None, "commits": None, "gateways": {}}
        for name in self._stood:
            summed = [
                sum(column) for column in zip(*(added[name] for _, _, added in lately if name in added), strict=True)
            ]
            quantiles = [quantile(self._bounds[name], summed, share) for share in _QUANTILES] if sum(summed) else None
            if name in _SINGLE:
                found[_SINGLE[name]] = quantiles
            else:
                rate = round(sum(summed) / seconds, 2) if seconds else 0.0
                found["gateways"][name] = {"rate": rate, "quantiles": quantiles}
        return found

    def heat(self) -> dict[str, Any] | None:
        """Attempts of each span by duration and gateway; None where there are no gateways."""
        gateways = [name for name in self._stood if name not in _SINGLE]
        if not gateways:
            return None
        return {
            "bounds": self._bounds[gateways[0]],
            "columns": [
                (at_ms, {name: counts for name, counts in added.items() if name not in _SINGLE and any(counts)})
                for at_ms, _, added in self._spans
            ],
        }

    def _read(self, families: Iterable[Family]) -> dict[str, Counts]:
        stands: dict[str, Counts] = {}
        for family in families:
            for sample in family.samples:
                name = _name_of(family, sample)
                if name is not None and isinstance(sample.stands, Spread):
                    before = stands.get(name, (0,) * len(sample.stands.counts))
                    stands[name] = tuple(a + b for a, b in zip(before, sample.stands.counts, strict=True))
                    self._bounds[name] = sample.stands.bounds
        return stands


def _name_of(family: Family, sample: Sample) -> str | None:
    """A gateway, or what stands for events or commits; None for what is not kept."""
    if family.metric is names.ATTEMPT:
        return sample.values[0]
    return {names.EVENT_WAIT: _EVENTS, names.COMMIT: _COMMITS}.get(family.metric)


def _grown(counts: Counts, before: Counts | None) -> Counts:
    return counts if before is None else tuple(new - old for new, old in zip(counts, before, strict=True))


def quantile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float:
    """The value that so many are under, spread evenly within its bucket; the last bound for what is over all."""
    wanted, below, low = share * sum(counts), 0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count and below + count >= wanted:
            return round(low + (bound - low) * (wanted - below) / count, 6)
        below, low = below + count, bound
    return bounds[-1]
