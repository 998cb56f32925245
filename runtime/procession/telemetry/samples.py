"""All that leaves the process, as it stands at one moment: the one thing that every exporter reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from procession.telemetry import names
from procession.telemetry.histograms import Histogram, Spread
from procession.telemetry.measures import GatewayMeasures, Measures
from procession.telemetry.metric import Metric
from procession.telemetry.names import COUNTED, Counters


@attrs.frozen
class Sample:
    """One series: its labels' values, in the order of the metric's labels, and where it stands."""

    values: tuple[str, ...]
    stands: float | Spread
    """A `Spread` of a histogram."""


@attrs.frozen
class Family:
    """One metric with all its series."""

    metric: Metric
    samples: Sequence[Sample]


def counted(counters: Counters, measures: Measures) -> Iterator[Family]:
    """Counters and histograms, read from plain numbers: may be called in any thread."""
    found: dict[Metric, list[Sample]] = {}
    for counter, (metric, value) in COUNTED.items():
        found.setdefault(metric, []).append(Sample((value,) if value else (), getattr(counters, counter)))
    yield from (Family(metric, samples) for metric, samples in found.items())
    yield from _of_processes(measures)
    yield from _of_gateways(measures)
    large = sorted(measures.large.copy().items())
    yield Family(names.PAYLOADS_LARGE, [Sample((name,), number) for name, number in large])
    for metric, histogram in (
        (names.EVENT_ACCEPT, measures.accept),
        (names.COMMIT, measures.commit),
        (names.COMMIT_ROWS, measures.commit_rows),
        (names.TIMER_LATENESS, measures.lateness),
        (names.LOOP_LAG, measures.lag),
        (names.RECOVERY, measures.recovery),
    ):
        yield Family(metric, [Sample((), histogram.read())])


def _of_processes(measures: Measures) -> Iterator[Family]:
    of = measures.processes.items()
    yield Family(names.FLOWS_STARTED, [Sample((name,), process.started) for name, process in of])
    yield Family(names.FLOWS_QUARANTINED, [Sample((name,), process.quarantined) for name, process in of])
    yield Family(
        names.FLOWS_ENDED,
        [
            Sample((name, outcome), number)
            for name, process in of
            for outcome, number in sorted(process.ended.copy().items())
        ],
    )
    yield _spreads(names.EVENT_WAIT, {name: process.wait for name, process in of})
    yield _spreads(names.TURN, {name: process.turn for name, process in of})
    yield _spreads(names.FLOW, {name: process.life for name, process in of})


def _of_gateways(measures: Measures) -> Iterator[Family]:
    of = measures.gateways.items()
    yield Family(names.COMMANDS_SENT, [Sample((name,), gateway.sent) for name, gateway in of])
    yield Family(names.ATTEMPTS_STARTED, [Sample((name,), gateway.attempts) for name, gateway in of])
    yield Family(names.BREAKERS_OPENED, [Sample((name,), gateway.opened) for name, gateway in of])
    yield Family(
        names.COMMANDS_ENDED, [Sample((name, how), number) for name, gateway in of for how, number in _ends(gateway)]
    )
    yield Family(
        names.ATTEMPTS_ENDED,
        [Sample((name, how), number) for name, gateway in of for how, number in _attempts(gateway)],
    )
    yield _spreads(names.COMMAND, {name: gateway.command for name, gateway in of})
    yield _spreads(names.ATTEMPT, {name: gateway.attempt for name, gateway in of})


def _ends(gateway: GatewayMeasures) -> tuple[tuple[str, int], ...]:
    return ("answered", gateway.answered), ("given_up", gateway.given_up), ("cancelled", gateway.cancelled)


def _attempts(gateway: GatewayMeasures) -> tuple[tuple[str, int], ...]:
    return (
        ("answered", gateway.attempts_answered),
        ("failed", gateway.attempts_failed),
        ("cancelled", gateway.attempts_cancelled),
    )


def _spreads(metric: Metric, histograms: dict[str, Histogram]) -> Family:
    return Family(metric, [Sample((name,), histogram.read()) for name, histogram in histograms.items()])
