"""SIGTERM under full load ends a daemon in order, quickly, and loses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.ending import run

GRACE_S = 5.0


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_each_of_ten_ends_is_in_order_and_none_needs_the_grace(tmp_path: Path) -> None:
    report = run(tmp_path / "loaded", seed=1, times=10)
    assert set(report.codes) == {0}, report
    assert report.breaches == [], report
    assert min(report.under_way) > 0, report
    assert max(report.took_s) < GRACE_S, report
    assert report.took_s_p50 < 2, report


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_what_was_accepted_and_dropped_is_found(tmp_path: Path) -> None:
    report = run(tmp_path / "loaded", seed=1, times=1, fault="drops_what_it_accepted")
    assert any("was acknowledged at position" in breach for breach in report.breaches), report
