"""What is measured beside the counters: durations, and counts by process and gateway. All of it in plain numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from procession.telemetry import names
from procession.telemetry.histograms import Histogram

OTHER = "other"
"""The outcome of flows whose own is not known beforehand: what a flow makes up at run time may hold its key."""
_OUTCOMES_MAX = 8
CANCELLED = "cancelled"


@attrs.define(eq=False)
class ProcessMeasures:
    """Of the flows of one process."""

    known: frozenset[str]
    """Outcomes that its code names."""
    started: int = 0
    quarantined: int = 0
    ended: dict[str, int] = attrs.field(factory=dict)
    """By outcome."""
    wait: Histogram = attrs.field(factory=lambda: Histogram(names.EVENT_WAIT.bounds))
    turn: Histogram = attrs.field(factory=lambda: Histogram(names.TURN.bounds))
    life: Histogram = attrs.field(factory=lambda: Histogram(names.FLOW.bounds))

    def end(self, outcome: str, seconds: float) -> None:
        """A flow ended so, that long after its start."""
        if outcome not in self.ended and (outcome not in self.known or len(self.ended) >= _OUTCOMES_MAX):
            outcome = OTHER
        self.ended[outcome] = self.ended.get(outcome, 0) + 1
        self.life.observe(seconds)


@attrs.define(eq=False)
class GatewayMeasures:
    """Of the commands of one gateway."""

    sent: int = 0
    answered: int = 0
    given_up: int = 0
    cancelled: int = 0
    attempts: int = 0
    attempts_answered: int = 0
    attempts_failed: int = 0
    attempts_cancelled: int = 0
    opened: int = 0
    command: Histogram = attrs.field(factory=lambda: Histogram(names.COMMAND.bounds))
    attempt: Histogram = attrs.field(factory=lambda: Histogram(names.ATTEMPT.bounds))


@attrs.define(eq=False)
class Measures:
    """Of one runtime, since it was opened. Written by its loop only."""

    processes: Mapping[str, ProcessMeasures]
    gateways: Mapping[str, GatewayMeasures]
    accept: Histogram = attrs.field(factory=lambda: Histogram(names.EVENT_ACCEPT.bounds))
    commit: Histogram = attrs.field(factory=lambda: Histogram(names.COMMIT.bounds))
    commit_rows: Histogram = attrs.field(factory=lambda: Histogram(names.COMMIT_ROWS.bounds))
    lateness: Histogram = attrs.field(factory=lambda: Histogram(names.TIMER_LATENESS.bounds))
    lag: Histogram = attrs.field(factory=lambda: Histogram(names.LOOP_LAG.bounds))
    recovery: Histogram = attrs.field(factory=lambda: Histogram(names.RECOVERY.bounds))
    large: dict[str, int] = attrs.field(factory=dict)
    """Large messages, by the types that had any: registered ones, so they are few."""


def measures_of(outcomes: Mapping[str, Iterable[str]], gateways: Iterable[str]) -> Measures:
    """Nothing measured yet.

    Args:
        outcomes: of each process, those that its code names.
        gateways: names.
    """
    return Measures(
        {process: ProcessMeasures(frozenset({*known, CANCELLED})) for process, known in outcomes.items()},
        {name: GatewayMeasures() for name in gateways},
    )
