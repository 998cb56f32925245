"""SIGTERM under full load ends a daemon in order, quickly, and loses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.ending import HELD_S_MAX, run


@pytest.mark.searches
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_each_of_six_ends_is_in_order_and_leaves_nothing_to_do(tmp_path: Path) -> None:
    report = run(tmp_path / "loaded", seed=1, times=6)
    assert set(report.codes) == {0}, report
    assert report.breaches == [], report
    assert max(report.under_way) > 0, report
    assert max(report.took_s) < HELD_S_MAX, report
    assert report.took_s_p50 < 4, report  # and not the grace
    assert report.starting, report
    assert min(report.held_s) > 1, report


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("drops_what_it_accepted", "was acknowledged at position"),
        ("ends_without_closing", "the journal was not closed in order"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, fault: str, found: str) -> None:
    report = run(tmp_path / "loaded", seed=1, times=1, fault=fault)
    assert any(found in breach for breach in report.breaches), report
