"""Aggregates are killed at any moment, again and again: what was answered is there, and nothing was decided twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.deciding import run_with_kills


@pytest.mark.searches
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_every_answered_command_is_there_once_after_kills(tmp_path: Path) -> None:
    report = run_with_kills(tmp_path, seed=1, kills=10, alive_s_max=0.15)
    assert report.counts.found == [], report
    assert report.answers > 100, report
    assert report.transfers > 20, report


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("answers_before_the_commit", ["was acknowledged at position"]),
        ("decides_again_after_a_start", ["was accepted 2 times"]),
        ("ids_by_chance", ["which is not derived from event and index"]),
        ("keeps_what_it_refused", ["was answered with no, and led to 1 events", "is overdrawn at event"]),
        ("snapshots_lag_behind", ["a_snapshot_holds_what_is_folded: account/"]),
        ("reads_no_open_commands", ["is open", "is active (None), and took and gave"]),
        ("ends_commands_later", ["has 2 events account."]),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, fault: str, found: list[str]) -> None:
    reports = []
    for seed in range(1, 25):  # whether a kill comes in the moment that shows it is chance
        folder = tmp_path / f"killed-{seed}"
        folder.mkdir()
        reports.append(run_with_kills(folder, seed=seed, kills=1, fault=fault))
        if all(any(text in breach for breach in reports[-1].breaches) for text in found):
            return
    pytest.fail(f"it was not found: {reports}")
