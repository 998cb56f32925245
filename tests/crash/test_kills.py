"""A process that is killed at any moment, again and again, ends as one that nobody disturbed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.driver import run_with_kills


@pytest.mark.searches
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_few_kills_change_nothing(tmp_path: Path) -> None:
    report = run_with_kills(tmp_path, seed=1, kills=8, alive_s_max=0.2)
    assert report.breaches == [], report
    assert report.kills_at_work >= 6, report


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_harness_finds_an_outbox_that_is_committed_apart(tmp_path: Path) -> None:
    report = run_with_kills(tmp_path, seed=1, kills=4, options=("split",), alive_s_max=0.2)
    assert any("and the command is lost" in breach for breach in report.breaches), report
    assert any(breach.startswith("command_missing: ") for breach in report.breaches), report


@pytest.mark.searches
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_thirty_kills_change_nothing(tmp_path: Path) -> None:
    report = run_with_kills(tmp_path, seed=2, kills=30)
    assert report.breaches == [], report
    assert report.kills_at_work >= 20, report
