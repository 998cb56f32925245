"""Archiving that is killed at any moment goes on where it stopped, and nothing is lost, twice, or accepted again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import trio

from tests.bench import large
from tests.crash.archiving import LIVE_EVERY, run_with_kills

FLOWS = 600


@pytest.mark.searches
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_kills_while_nine_tenths_are_archived_change_nothing(tmp_path: Path) -> None:
    report = run_with_kills(
        tmp_path, 20_000, kills=20, seed=2, lines_max=2, moment_s_max=0.04, sample_every=37, file_flows_max=500
    )
    assert report.counts.found == []
    assert report.kills == 20, report
    assert len(set(report.left)) > 15, "kills hit different places"
    assert report.bytes_after < report.bytes_before / 3


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "large.db"
    trio.run(large.write, path, large.Large(FLOWS, LIVE_EVERY))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("names_files_last", "archiving ended by itself with 1: procession.journal_errors.ArchiveUnreadable"),
        ("begins_files_anew", "flows stand in several files"),
        ("cuts_files", "archive_file: 000001.jsonl.gz is not what was written"),
        ("forgets_ids", "events that were archived were accepted again"),
        ("leaves_events", "events of flows that ended are still in the journal"),
        ("forgets_attempts", "timelines are not what they were"),
        ("rounds_times", "the events are not what they were"),
        ("counts_at_the_end", "the counts say steps"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, journal: Path, fault: str, found: str) -> None:
    shutil.copy(journal, tmp_path)
    report = run_with_kills(
        tmp_path,
        FLOWS,
        kills=1,
        seed=1,
        lines_max=1,
        moment_s_max=0,
        sample_every=37,
        slice_s=0,  # one block in each transaction,
        pause_s=0.02,  # and time for a kill between two of them
        fault=fault,
    )
    assert report.kills == 1, report
    assert any(found in breach for breach in report.breaches), report.breaches
