"""One owner for each journal, whoever races for it, and whatever becomes of the lock."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.owning import STARTERS, run


@pytest.mark.searches
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_one_of_eight_starters_wins_and_an_owner_that_was_overtaken_writes_nothing(tmp_path: Path) -> None:
    report = run(tmp_path, seed=1, races=2, fences=2, losers_s_max=20)  # here others may be at work
    assert report.breaches == [], report
    assert report.refused == 2 * (STARTERS - 1), report
    assert report.fences == 2, report


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_commit_that_does_not_look_at_the_epoch_is_found(tmp_path: Path) -> None:
    report = run(tmp_path, seed=1, races=0, fences=1, fault="commits_whoever_owns")
    assert report.breaches == ["an owner that was overtaken accepted an event"]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_starters_that_race_for_the_address_instead_are_found(tmp_path: Path) -> None:
    report = run(tmp_path, seed=1, races=1, fences=0, fault="takes_the_address_first", losers_s_max=20)
    assert report.refused < STARTERS - 1
    assert any("a starter that lost" in breach and "http.bind" in breach for breach in report.breaches), report
