"""A journal of an earlier version, whose migration is killed at any write, opens and folds as it did."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from procession.journal.sqlite import open_sqlite
from tests.daemon.command import ROOT, environment
from tests.fixtures.journals import parcel_v1
from tests.fixtures.journals.folding import fold_all

JOURNALS = ROOT / "tests" / "fixtures" / "journals"
CHILD = """
import sys, trio
from procession.journal.sqlite import open_sqlite

async def main():
    journal = await open_sqlite(sys.argv[1], clock_us=lambda: 0)
    await journal.close_clean()

trio.run(main)
"""
KILLS = [("pwrite64", number) for number in (1, 2, 3, 5, 8, 13, 21, 34)] + [
    ("fdatasync", number) for number in (1, 2, 3)
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("strace", "install strace, on Debian: apt-get install strace"),
]


def killed_at(call: str, number: int, journal: Path) -> bool:
    """Whether the process that opened it was killed before that call."""
    fault = f"inject={call}:signal=KILL:when={number}"
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", fault]
    done = subprocess.run(
        [*command, sys.executable, "-c", CHILD, str(journal)], env=environment(), timeout=60, check=False
    )
    return done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("name", ["parcel_v1", "parcel_v2", "parcel_v4"])
async def test_a_migration_that_is_killed_goes_on_and_the_journal_folds_as_before(name: str, tmp_path: Path) -> None:
    kills, archive = 0, JOURNALS / f"{name}.db.archive"
    expected = json.loads((JOURNALS / f"{name}.json").read_text())
    for call, number in KILLS:
        folder = tmp_path / f"{call}-{number}"
        folder.mkdir()
        copy = Path(shutil.copy(JOURNALS / f"{name}.db", folder / "parcel.db"))
        if archive.exists():
            shutil.copytree(archive, folder / "parcel.db.archive")
        kills += killed_at(call, number, copy)
        journal = await open_sqlite(copy, clock_us=lambda: 0)
        folded = await fold_all(journal, [parcel_v1.Parcel], [parcel_v1.Couriers()])
        assert (await journal.verify(), folded) == ([], expected)
        await journal.close_clean()
    assert kills >= len(KILLS) // 2
