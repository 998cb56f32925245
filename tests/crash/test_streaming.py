"""Five hundred clients follow a daemon, one of which never reads: nobody notices, and all end in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.streaming import run


@pytest.mark.searches
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_one_that_never_reads_delays_nobody_and_every_stream_ends_in_order(tmp_path: Path) -> None:
    report = run(tmp_path / "loaded", clients=500, seconds=6, history=10_000)
    assert report.counts.found == [], report
    assert report.ended == 499, report


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_connections_that_wait_for_each_other_are_found(tmp_path: Path) -> None:
    report = run(tmp_path / "loaded", clients=20, seconds=4, history=10_000, fault="sends_one_after_another")
    assert any("beside one that does not read" in breach for breach in report.counts.found), report
