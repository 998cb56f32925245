"""The judged run, shorter: `python -m tests.embed.load` is the whole of it."""

from __future__ import annotations

import pytest

from tests.embed.load import run


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_a_service_is_ended_under_load() -> None:
    account = run(rate_per_s=200, seconds=10, acknowledged_min=1001)
    assert account.lost == []
    assert len(account.acknowledged) > 1000
    assert max(account.shutdowns_s) < 4.5  # the grace is 5 s: it is not waited for where nothing is under way
