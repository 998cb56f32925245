"""A followed file under kill -9: each line is accepted exactly once, over rotations and restarts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.counts import Counts, read_counts

ROOT = Path(__file__).parents[2]


def follow(folder: Path, kills: int, seed: int, fault: str = "-") -> Counts:
    """What a run counted: in a process without threads, which may fork."""
    counts = folder / f"{seed}.json"
    options = ["--kills", str(kills), "--seed", str(seed), "--fault", fault, "--json", str(counts)]
    command = [sys.executable, "-m", "tests.crash.following", *options]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=220, check=False)
    assert counts.exists(), ended.stderr
    return read_counts(counts)


@pytest.mark.searches
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_twenty_kills_lose_no_line_and_accept_none_twice(tmp_path: Path) -> None:
    counted = follow(tmp_path, kills=20, seed=3)
    assert counted.breaches == [], counted
    assert counted.figures["lines accepted"] == counted.figures["lines written"], counted
    assert counted.figures["rotations"] > 5, counted
    assert counted.figures["different numbers of lines accepted at them"] > 5, "kills hit different places"


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("moves_on_before_the_commit", "lines were lost"),
        ("names_lines_by_chance", "lines were accepted twice"),
        ("names_lines_by_their_text", "lines were lost, the first one of the door same"),
        ("takes_halves", "lines were lost"),
        ("leaves_what_is_rotated", "lines were lost"),
        ("writes_its_position_in_place", "a kill left half a position"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, fault: str, found: str) -> None:
    counted = []
    for seed in range(1, 9):  # whether a kill comes in the moment that shows it is chance
        counted.append(follow(tmp_path, kills=2, seed=seed, fault=fault))
        if any(found in breach for breach in counted[-1].breaches):
            return
    pytest.fail(f"it was not found: {counted}")
