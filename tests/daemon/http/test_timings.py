"""How long things took lately, from histograms that only grow."""

from __future__ import annotations

import pytest

from procession.daemon.http.timings import SPANS_MAX, Timings, quantile
from procession.telemetry import names
from procession.telemetry.histograms import Spread
from procession.telemetry.samples import Family, Sample

BOUNDS = (0.1, 1.0)


def attempts(*counts: int) -> list[Family]:
    """What a gateway's histogram says."""
    return [Family(names.ATTEMPT, [Sample(("bank",), Spread(BOUNDS, counts, 0.0))])]


@pytest.mark.parametrize(
    ("counts", "share", "value"), [((10, 0, 0), 0.5, 0.05), ((1, 1, 0), 0.99, 0.982), ((0, 0, 1), 0.5, 1)]
)
def test_a_quantile_is_spread_evenly_within_its_bucket(counts: tuple[int, ...], share: float, value: float) -> None:
    assert quantile(BOUNDS, counts, share) == pytest.approx(value)


def test_what_was_there_before_the_first_span_is_not_counted() -> None:
    timings = Timings()
    timings.take(attempts(1_000, 0, 0), 0, 0)
    assert timings.measured()["gateways"]["bank"] == {"rate": 0.0, "quantiles": None}
    timings.take(attempts(1_000, 20, 0), 10, 10_000)
    found = timings.measured()["gateways"]["bank"]
    assert found["rate"] == 2
    assert found["quantiles"] == pytest.approx([0.55, 0.955, 0.991])
    assert timings.heat() == {"bounds": BOUNDS, "columns": [(10_000, {"bank": (0, 20, 0)})]}


def test_waits_are_those_of_all_processes() -> None:
    timings = Timings()
    for at_s, count in ((0, 0), (10, 5)):
        samples = [Sample((process,), Spread(BOUNDS, (count, 0, 0), 0.0)) for process in ("order", "batch")]
        timings.take([Family(names.EVENT_WAIT, samples)], at_s, 0)
    assert timings.measured()["waits"] == pytest.approx([0.05, 0.095, 0.099])
    assert timings.heat() is None


def test_commits_are_those_of_the_last_minute_too() -> None:
    timings = Timings()
    for at_s, count in ((0, 0), (10, 5)):
        timings.take([Family(names.COMMIT, [Sample((), Spread(BOUNDS, (0, count, 0), 0.0))])], at_s, 0)
    assert timings.measured() == {"waits": None, "commits": pytest.approx([0.55, 0.955, 0.991]), "gateways": {}}
    assert timings.heat() is None


def test_a_quarter_of_an_hour_is_kept_and_quantiles_are_of_the_last_minute() -> None:
    timings = Timings()
    for span in range(200):
        timings.take(attempts(span * 10, 0, 0), span * 10, span)
        timings.take(attempts(10_000, 0, 0), span * 10 + 1, span)  # too early: the span is not over
    heat = timings.heat()
    assert heat is not None
    assert len(heat["columns"]) == SPANS_MAX
    assert timings.measured()["gateways"]["bank"]["rate"] == 1
