"""What a dashboard shows of the whole: sampled once a second, counted as seldom as it is dear, the same for all."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from typing import Any

import attrs
import trio

from procession.daemon.durations import iso, now_us
from procession.daemon.http.source import JournalFile, Source, about
from procession.daemon.http.timings import Timings
from procession.daemon.snapshot import tree_json
from procession.errors import ProcessionError
from procession.journal.rows import FlowQuery
from procession.journal.tally import Tally, read_tally
from procession.primitives.codec import to_json
from procession.telemetry.metric import PREFIX

SAMPLE_S = 1.0
HISTORY_POINTS_MAX = 900
"""A quarter of an hour, about 60 kB as JSON."""
SERIES = ("in", "out", "failed", "ended", "turns", "waiting")
_COUNTED: tuple[tuple[str, ...], ...] = (
    ("events_accepted",),
    ("commands_sent",),
    ("attempts_failed", "turns_failed"),
    ("flows_ended", "flows_cancelled"),
    ("turns_handled",),
)
"""Of each series but the last, the counters whose growth in a second it is."""
_TALLY_SHARE = 50
"""What counting took is waited so many times before it is done again: it never costs more than 2 % of a thread."""
_LOOKED_S = 10.0
"""Nothing is counted for nobody: so long after the last look."""
_SET_ASIDE_SHOWN = 20


@attrs.define(eq=False)
class Sampler:
    """One for all who look."""

    source: Source
    _kept: bool = False
    """A task takes samples; else each look does."""
    _points: deque[tuple[float, ...]] = attrs.field(factory=lambda: deque(maxlen=HISTORY_POINTS_MAX))
    _before: Mapping[str, int] | None = None
    _sampled_at: float = 0.0
    _began_at: float | None = None
    _looked_at: float = 0.0
    _tally: Tally | None = None
    _tally_us: int = 0
    _tally_at: float = 0.0
    _tally_took_s: float = 0.0
    _tally_failed: str = ""
    _aside: tuple[Mapping[str, Any], ...] = ()
    _shown: tuple[float, bytes] | None = None
    _timings: Timings = attrs.field(factory=Timings)
    _lock: trio.Lock = attrs.field(factory=trio.Lock)

    async def keep(self) -> None:
        """Sample until cancelled, so that whoever looks finds the last minutes."""
        self._kept = True
        while True:
            self._sample()
            if trio.current_time() - self._looked_at < _LOOKED_S:
                await self._count_when_due()
            await trio.sleep(SAMPLE_S)

    async def now(self) -> bytes:
        """All of it as JSON, on one line; taken at most once a second, however many ask."""
        async with self._lock:
            self._looked_at = trio.current_time()
            if self._shown is None or self._looked_at - self._shown[0] >= SAMPLE_S * 0.9:
                if not self._kept:
                    self._sample()
                if not self._kept or self._tally is None:
                    await self._count_when_due()
                self._shown = (self._looked_at, to_json(self._snapshot()))
            return self._shown[1]

    def history(self) -> list[tuple[float, ...]]:
        """The last minutes: of each second its time in milliseconds since 1970, then the series."""
        return list(self._points)

    def heat(self) -> dict[str, Any] | None:
        """How long attempts took, by gateway, in the last quarter of an hour; None where there are none."""
        return self._timings.heat()

    def _sample(self) -> None:
        now, counters = trio.current_time(), self.source.counters()
        self._timings.take(self.source.histograms(), now, now_us() // 1_000)
        if self._began_at is None:
            self._began_at = now
        span_s = now - self._sampled_at
        if self._before is not None and counters and span_s > 0:
            grown = [
                round(sum(counters[PREFIX + name] - self._before[PREFIX + name] for name in names) / span_s, 1)
                for names in _COUNTED
            ]
            waiting = sum(state.waiting + state.running for state in self.source.gateways())
            self._points.append((now_us() // 1_000, *grown, waiting))
        self._before, self._sampled_at = counters, now

    async def _count_when_due(self) -> None:
        began = trio.current_time()
        if self._tally is not None and began - self._tally_at < max(SAMPLE_S * 0.9, _TALLY_SHARE * self._tally_took_s):
            return
        try:
            if isinstance(self.source, JournalFile):
                await self.source.look()
            self._tally = await read_tally(self.source.journal)
            aside = await self.source.journal.flows(FlowQuery(status=("quarantined",)), 0, _SET_ASIDE_SHOWN)
        except ProcessionError as error:
            self._tally_failed = str(error)
        else:
            self._aside = tuple(
                {"process": row.process, "key": row.key, "reason": row.reason, "since": iso(row.updated_us)}
                for row in aside
            )
            self._tally_failed, self._tally_us = "", now_us()
        self._tally_at = trio.current_time()
        self._tally_took_s = self._tally_at - began

    def _snapshot(self) -> dict[str, Any]:
        source = self.source
        return {
            "at": iso(now_us()),
            "about": attrs.asdict(about(source)),
            "pid": os.getpid(),
            "uptime_s": 0 if self._began_at is None else round(trio.current_time() - self._began_at, 1),
            "position": source.position,
            "held": source.held,
            "committing_s": round(source.committing_s, 3),
            "series": SERIES,
            "point": self._points[-1] if self._points else None,
            "counters": source.counters(),
            "measured": self._timings.measured(),
            "gateways": [attrs.asdict(state) for state in source.gateways()],
            "projections": [attrs.asdict(info) for info in source.projections()],
            "tree": tree_json(source.tree()),
            "aggregates": sorted(source.registry.aggregates),
            "processes": sorted(source.registry.processes),
            "counted": self._counted(),
        }

    def _counted(self) -> dict[str, Any]:
        tally = self._tally or Tally((), (), 0)
        return {
            "at": iso(self._tally_us) if self._tally_us else None,
            "took_s": round(self._tally_took_s, 4),
            "failed": self._tally_failed,
            "flows": [
                {
                    "process": one.process,
                    "status": one.status,
                    "number": one.number,
                    "oldest_at": None if one.oldest_us is None else iso(one.oldest_us),
                    "oldest_key": one.oldest_key,
                }
                for one in tally.flows
            ],
            "quarantine": self._aside,
            "alerts": [attrs.asdict(alert) for alert in tally.alerts],
            "alerts_total": tally.alerts_total,
        }
