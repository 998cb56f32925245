"""What the tests of the command line share."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def unprivileged() -> None:
    """Skip where the tests run as a user whom no folder refuses."""
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
