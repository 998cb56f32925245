"""What the tests of projections share: they ask with patience."""

from __future__ import annotations

import pytest

from procession import Runtime


@pytest.fixture(autouse=True)
def patient_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks and says no limit waits as long as a busy machine may take to write, and not five seconds."""
    defaults = Runtime.query.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "timeout_s", 40.0)
