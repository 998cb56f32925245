"""A disk that refuses writes and syncs, once or from then on, takes nothing back; and the harness can tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.io_faults import Fault, Limit, Refusal, Report, every, run

FAULTS: tuple[Fault, ...] = (
    Refusal("fdatasync", "EIO", 25, lasting=False),
    Refusal("pwrite64", "ENOSPC", 150, lasting=False),
    Refusal("pwrite64", "EIO", 40, lasting=True),
    Limit(300_000, lasting=False),
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.needs("strace", "install strace, on Debian: apt-get install strace"),
]


def test_what_was_acknowledged_outlives_a_failing_disk_and_one_that_recovers_needs_no_restart(tmp_path: Path) -> None:
    report = run(tmp_path, FAULTS, seed=1)
    assert report.breaches == [], report
    assert report.struck == len(FAULTS), report
    assert report.survived, f"each that passes is, but for one that strikes while the journal is closed: {report}"


def test_the_harness_finds_a_journal_that_does_not_hear_of_failed_commits(tmp_path: Path) -> None:
    report = run(tmp_path, [Refusal("pwrite64", "EIO", 150, lasting=True)], seed=1, options=("deaf",))
    assert any("was acknowledged at position" in breach for breach in report.breaches), report


def test_every_call_fails_until_a_run_has_no_such_call_any_more() -> None:
    report, found = Report(), []
    for fault in every(2, report, calls=["fdatasync"]):
        assert isinstance(fault, Refusal)
        found.append((fault.error, fault.number, fault.lasting))
        report.met = fault.number < 5
    sweep = [(lasting, number) for lasting in (False, True) for number in (1, 3, 5)]
    assert found == [(error, number, lasting) for error in ("ENOSPC", "EIO") for lasting, number in sweep]
