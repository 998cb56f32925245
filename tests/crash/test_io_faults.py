"""A disk that refuses writes and syncs, once or from then on, takes nothing back; and the harness can tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.io_faults import Fault, Limit, Refusal, run

FAULTS: tuple[Fault, ...] = (
    Refusal("fdatasync", "EIO", 18, lasting=False),
    Refusal("pwrite64", "ENOSPC", 150, lasting=False),
    Refusal("pwrite64", "EIO", 40, lasting=True),
    Limit(300_000, lasting=False),
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.needs("strace", "install strace, on Debian: apt-get install strace"),
]


@pytest.mark.searches
def test_what_was_acknowledged_outlives_a_failing_disk_and_one_that_recovers_needs_no_restart(tmp_path: Path) -> None:
    report = run(tmp_path, FAULTS, seed=1)
    assert report.breaches == [], report
    assert report.struck == len(FAULTS), report
    assert report.survived, f"each that passes is, but for one that strikes while the journal is closed: {report}"


def test_the_harness_finds_a_journal_that_does_not_hear_of_failed_commits(tmp_path: Path) -> None:
    report = run(tmp_path, [Refusal("pwrite64", "EIO", 150, lasting=True)], seed=1, options=("deaf",))
    assert any("was acknowledged at position" in breach for breach in report.breaches), report
