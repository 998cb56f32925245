"""A disk that takes seconds to sync: answers do not wait for it, calls do not fail by it; and the harness can tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.slow_disk import run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.needs("strace", "install strace, on Debian: apt-get install strace"),
]


@pytest.mark.searches
def test_a_slow_disk_holds_up_no_loop_and_fails_no_flow(tmp_path: Path) -> None:
    report = run(tmp_path / "slowed", delays_ms=(2_000,), seconds=4, seed=1)
    assert report.breaches == [], report


def test_the_harness_finds_a_sync_in_the_loop(tmp_path: Path) -> None:
    report = run(tmp_path / "slowed", delays_ms=(2_000,), seconds=4, seed=1, fault="syncs_in_the_loop")
    assert any("the p99 of /livez is" in breach for breach in report.breaches), report
    assert any("the loop is late by more than" in breach for breach in report.breaches), report
