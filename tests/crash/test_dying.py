"""A daemon that is killed under load, at random and at a write, keeps what it promised; and what it breaks is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.dying import run
from tests.crash.judging import complaints
from tests.crash.lab import Load

NEEDS = pytest.mark.needs("strace", "apt-get install strace")
FEW = Load(http=3, socket=1, pause_ms=150)


@pytest.mark.searches
@NEEDS
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_clients_heard_was_accepted_outlives_any_kill_and_happens_once(tmp_path: Path) -> None:
    report = run(tmp_path / "killed", seed=1, kills=3, writes=6)
    assert report.breaches == [], report
    assert report.at_write >= 4, report
    assert report.at_work >= 7, report


def test_what_no_sound_daemon_says_is_found(tmp_path: Path) -> None:
    sound = '{"level": "WARNING", "message": "a gateway is slow"}'
    bad = ['{"level": "ERROR", "message": "it broke"}', "Segmentation fault", '{"level": "INFO", "error": "Traceback"}']
    (tmp_path / "stderr").write_text("\n".join([sound, *bad, sound]))
    assert complaints(tmp_path) == [f"a daemon said: {line}" for line in bad]


@NEEDS
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("answers_before_the_commit", "was acknowledged at position"),
        ("sends_before_the_commit", "which the journal does not know"),
        ("ids_by_chance", "which is not derived from event and index"),
        ("calls_twice", "and the same process began it again"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, fault: str, found: str) -> None:
    reports = []
    for seed in range(1, 5):  # whether a kill comes in the moment that shows it is chance
        reports.append(run(tmp_path / f"killed-{seed}", seed=seed, kills=0, writes=9, fault=fault, load=FEW))
        if any(found in breach for breach in reports[-1].breaches):
            return
    pytest.fail(f"it was not found: {reports}")
