"""A full disk: nothing accepted is lost, reading goes on, and it recovers by itself; and the harness can tell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.crash.full_disk import FILLINGS, Report, run
from tests.crash.no_room import Kind
from tests.small_disk import NothingMounted

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.needs("strace", "install strace, on Debian: apt-get install strace"),
]


@pytest.mark.searches
@pytest.mark.parametrize(
    "kind",
    ["injected", pytest.param("mounted", marks=pytest.mark.needs("mount", "on Debian: apt-get install mount"))],
)
def test_a_full_disk_refuses_and_reads_and_recovers_without_a_restart(tmp_path: Path, kind: Kind) -> None:
    report = Report()
    try:
        run(tmp_path / "full", kind, report, seed=1)
    except NothingMounted as why:
        pytest.skip(f"{why}; the same was tried with writes that are refused")
    assert report.counts.found == [], report
    assert report.fillings == len(report.recovered_s) == FILLINGS, report
    assert report.acknowledgements > 100, report
    assert report.refusals > 20, report


LOST = "the journal (does not have it|has it at None)"


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("takes_it_for_damage", "it ended with 1 for its disk was full"),
        ("takes_a_failed_commit_for_done", LOST),
        ("closes_all_to_try_again", r"/v1/flows\?limit=10 was answered by 503 while its disk was full"),
        ("never_tries_again", "nothing was accepted 5 s after there was room again"),
        ("does_not_say_that_it_is_held", "/readyz was answered by 200 while its disk was full"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, fault: str, found: str) -> None:
    report = Report()
    run(tmp_path / "full", "injected", report, seed=1, fault=fault, fillings=1)
    assert any(re.search(found, breach) for breach in report.breaches), report


@pytest.mark.timeout(400)
def test_what_is_said_to_be_kept_and_was_not_is_found(tmp_path: Path) -> None:
    """It is said to those who wait until there is room again; whether the commit that failed held anyone is chance."""
    reports = []
    for seed in range(1, 12):
        reports.append(Report())
        folder = tmp_path / f"full-{seed}"
        run(folder, "injected", reports[-1], seed=seed, fault="says_that_all_was_kept", outcome_wait_s=30)
        if any(re.search(LOST, breach) for breach in reports[-1].breaches):
            return
    pytest.fail(f"it was not found: {reports}")
