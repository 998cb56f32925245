"""Folders for a while leave nothing behind: those of killed processes go with the next of their kind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from procession.journal.scratch import scratch, sweep
from tests.daemon.command import environment

CHILD = """
import os, signal, sys
from procession.journal.scratch import scratch
with scratch("half-", sys.argv[1]) as folder:
    open(folder + "/rows", "w").close()
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_one_is_there_for_its_block_and_gone_after_it(tmp_path: Path) -> None:
    with scratch("half-", str(tmp_path)) as folder:
        (Path(folder) / "rows").touch()
        assert sweep("half-", str(tmp_path)) == []
        assert (Path(folder) / "rows").exists()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next_and_what_a_running_one_has_stays(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        left = Path(child.stdout.readline().decode().strip())
        assert sweep("half-", str(tmp_path)) == []
        child.kill()
        child.wait()
    assert (left / "rows").exists()
    with scratch("half-", str(tmp_path)):
        assert not left.exists()


def test_only_folders_of_the_prefix_go_that_somebody_held(tmp_path: Path) -> None:
    for name in ("half-left", "half-making", "whole"):
        (tmp_path / name).mkdir()
    for name in ("half-left", "whole"):
        (tmp_path / name / ".held").touch()
    (tmp_path / "half-file").touch()
    (tmp_path / "half-link").symlink_to(tmp_path / "whole")
    assert sweep("half-", str(tmp_path)) == [str(tmp_path / "half-left")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half-file", "half-link", "half-making", "whole"]
