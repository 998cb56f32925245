"""Bad flows and bad calls of every kind: each is set aside by name, those beside them end, and do not wait for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.isolating import Report, ended_by, under_load
from tests.crash.isolating_flows import FATAL, FATAL_DECISIONS, IN_GATEWAYS, IN_THREADS, IN_TURNS, LOOPS

NAMED_S_MAX = 9
"""Here others may be at work; the fault takes longer: two looks that come five seconds late each."""


@pytest.mark.searches
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_bad_flows_of_every_kind_are_set_aside_and_no_other_waits(tmp_path: Path) -> None:
    report = Report()
    under_load(tmp_path / "load", report, seed=1, flows=1_400, fault="-", bad_of=8)
    assert report.breaches == [], report
    assert set(report.bad) == {*IN_TURNS, *IN_GATEWAYS, *IN_THREADS}


@pytest.mark.searches
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", [*FATAL, *FATAL_DECISIONS])
def test_what_ends_the_process_is_set_aside_and_no_other_is_blamed(tmp_path: Path, kind: str) -> None:
    report = Report()
    ended_by(tmp_path / "fatal", report, kind, fault="-", named_s_max=NAMED_S_MAX)
    assert report.breaches == [], report


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("sets_nothing_aside", ["(raises) is active, with the reason None"]),
        (
            "stalls_when_it_sets_aside",
            ["the p99 of those that are well is", "the loop stood still for over 100 ms"],
        ),
    ],
)
def test_a_fault_planted_under_load_is_found(tmp_path: Path, fault: str, found: list[str]) -> None:
    report = Report()
    under_load(tmp_path / "load", report, seed=1, flows=900, fault=fault, bad_of=8)
    for breach in found:
        assert any(breach in other for other in report.breaches), report


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_watch_that_names_a_flow_late_is_found(tmp_path: Path) -> None:
    report = Report()
    ended_by(tmp_path / "fatal", report, LOOPS[0], fault="names_late", named_s_max=NAMED_S_MAX)
    assert any("its flow was named after" in breach for breach in report.breaches), report


@pytest.mark.searches
def test_rounds_that_are_slower_beside_bad_flows_more_often_than_by_chance_are_found() -> None:
    noisy, slower = Report(ratios=[0.6, 1.5] * 5), Report(ratios=[*[1.1] * 9, 0.7])
    for report in (noisy, slower):
        report.judge_latencies()
    assert noisy.breaches == []
    assert slower.breaches == ["in 9 of 10 rounds the p99 of the well rose by over 5 %"]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", [LOOPS[0], LOOPS[-1]])
def test_a_start_that_forgets_who_was_suspected_is_found(tmp_path: Path, kind: str) -> None:
    report = Report()
    ended_by(tmp_path / "fatal", report, kind, fault="forgets_who_was_suspected")
    assert any("begins again at start 2" in breach for breach in report.breaches), report
