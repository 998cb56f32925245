"""Thousands of requests, made from the document that a real daemon gives out, and broken in every way."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.daemon.command import ROOT, environment


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_ten_thousand_requests_by_the_document_and_broken_ones_bring_nothing_down() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.daemon.http.fuzz", "--requests", "10000"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        timeout=390,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()[-5_000:]
