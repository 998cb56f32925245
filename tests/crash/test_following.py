"""A followed file under kill -9: each line is accepted exactly once, over rotations and restarts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_twenty_kills_lose_no_line_and_accept_none_twice() -> None:
    command = [sys.executable, "-m", "tests.crash.following", "--kills", "20", "--seed", "3"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    report = json.loads(ended.stdout or "{}")
    assert report, ended.stderr
    assert (report["lost"], report["twice"]) == (0, 0), report
    assert report["same"]
    assert report["rotations"] > 5
    assert len(set(report["left"])) > 5, "kills hit different places"
