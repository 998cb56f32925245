"""Archiving that is killed at any moment goes on where it stopped, and nothing is lost, twice, or accepted again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.archiving import run_with_kills


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_kills_while_nine_tenths_are_archived_change_nothing(tmp_path: Path) -> None:
    report = run_with_kills(
        tmp_path, 20_000, kills=20, seed=2, lines_max=2, moment_s_max=0.04, sample_every=37, file_flows_max=500
    )
    assert report.faults == []
    assert report.same
    assert report.accepted_again == 0
    assert report.kills == 20, report
    assert len(set(report.left)) > 15, "kills hit different places"
    assert report.bytes_after < report.bytes_before / 3
