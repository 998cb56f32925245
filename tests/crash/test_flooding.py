"""Ten times what a daemon can take: it refuses aloud, drops nothing that it accepted, and its memory stays bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.flooding import OFFERED_TIMES_MIN, run


@pytest.mark.searches
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_flood_is_refused_aloud_and_what_was_accepted_is_kept(tmp_path: Path) -> None:
    report = run(tmp_path / "flooded", seconds=6, waiting=3_000)
    assert report.breaches == [], report
    assert report.times >= OFFERED_TIMES_MIN, report


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("takes_without_bound", "nothing was refused: the intake has no bound"),
        ("drops_what_it_accepted", "was accepted at"),
        ("keeps_what_it_is_sent", "memory grew by"),
        ("takes_a_thread_for_each_request", "threads grew from"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, fault: str, found: str) -> None:
    report = run(tmp_path / "flooded", seconds=4, waiting=0, fault=fault)
    assert any(found in breach for breach in report.breaches), report
