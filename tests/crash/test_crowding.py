"""A hundred senders for one flow, who say many things twice: each has one place, and the flow keeps that order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.crowding import Place, out_of_order, run


@pytest.mark.searches
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_flow_keeps_the_order_in_which_a_hundred_senders_were_heard(tmp_path: Path) -> None:
    report = run(tmp_path / "crowded", flows=1, senders=100, kills=2, seconds=1, seed=1, places_min=400, resent_min=40)
    assert report.breaches == [], report
    assert len(report.places) >= 200, report
    assert report.resent >= 20, report
    assert {"twice at once", "twice in one batch", "again", "again, before something new"} <= report.ways.keys()


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("takes_last_first", "not in the journal's order"),
        ("takes_again_what_it_has", "was accepted before, and is said to be new"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, fault: str, found: str) -> None:
    # One request of ten is taken for new: among so many that were accepted before, there is one for certain.
    report = run(tmp_path / "crowded", flows=1, senders=100, kills=0, seconds=1, seed=1, fault=fault, resent_min=150)
    assert any(found in breach for breach in report.breaches), report


def test_what_is_said_after_another_was_accepted_must_stand_after_it() -> None:
    places = {
        "beside": Place(asked_at=0, heard_at=4, position=1),
        "first": Place(asked_at=1, heard_at=2, position=7),
        "later": Place(asked_at=3, heard_at=5, position=6),
    }
    assert list(out_of_order(places)) == ["later was said after first was accepted at 7, and is at 6"]
