"""Aggregates are killed at any moment, again and again: what was answered is there, and nothing was decided twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.deciding import run_with_kills


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_every_answered_command_is_there_once_after_kills(tmp_path: Path) -> None:
    report = run_with_kills(tmp_path, seed=1, kills=10, alive_s_max=0.15)
    assert report.breaches == [], report
    assert report.answers > 100, report
    assert report.transfers > 20, report
