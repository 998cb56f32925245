"""Telemetry and logs that nobody takes cost flows nothing; and the harness can tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.deaf import LOGS, RECEIVERS, breaches, live, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
FLOWS = 60


@pytest.mark.searches
@pytest.mark.parametrize("kinds", [tuple(RECEIVERS), tuple(f"log {kind}" for kind in LOGS), ("scrapers",)], ids=str)
def test_flows_go_on_what_is_lost_is_counted_and_the_end_comes_in_time(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    lives = run(tmp_path, kinds, FLOWS)
    assert breaches(lives, FLOWS) == [], [str(life) for life in lives]


def test_the_harness_finds_a_log_that_is_waited_for(tmp_path: Path) -> None:
    # Its loop stands still: it can't even be stopped.
    life = live(tmp_path, "log not read", FLOWS, "logs_as_others_do", flows_s_max=8, end_s_max=4)
    assert any("flows ended" in breach for breach in breaches([life], FLOWS)), life
    assert any("exit code None" in breach for breach in breaches([life], FLOWS)), life


def test_the_harness_finds_a_receiver_that_is_waited_for(tmp_path: Path) -> None:
    # It is waited for so long that no busy machine lets those wait as long to whom all is well.
    lives = run(tmp_path, ("never answers",), 5 * FLOWS, "sends_spans_in_the_loop", flows_s_max=20, otlp_timeout_s=4)
    assert any("never answers: an answer took" in breach for breach in breaches(lives, 5 * FLOWS)), [*map(str, lives)]
