"""The SQLite journal where things go wrong: killed processes, full disks, commits that fail."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
import trio

from procession.journal import sqlite_thread
from procession.journal.journal import JournalReader
from procession.journal.sqlite import open_sqlite
from procession.journal.sqlite_reader import read_sqlite
from procession.journal_errors import CommitFailed, NotAJournal
from procession.testing.journal_rows import started


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


WRITER = """
import sys, trio
from procession.journal.sqlite import open_sqlite
from procession.testing.journal_rows import started
async def main():
    journal = await open_sqlite(sys.argv[1], clock_us=lambda: 0, wal_pages_max=256)
    n = (await journal.heads()).position
    while True:
        n += 1
        await journal.commit(started(n, n))
        print(n, flush=True)
trio.run(main)
"""


async def test_a_killed_owner_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    for start in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True, env=environment()
        ) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline() for _ in range(40 + 37 * start)]
            writer.kill()
            acknowledged = int([*lines, *writer.stdout.read().splitlines()][-1])
        journal = await open_sqlite(path, clock_us=lambda: 0)
        assert (await journal.heads()).position >= acknowledged
        assert await journal.verify() == []
        owner = await journal.owner()
        assert owner is not None
        assert owner.unclean_starts == 1
        await journal.close_clean()


FULL_DISK = """
import os, resource, sys, trio
from procession.journal_errors import CommitFailed
from procession.journal.sqlite import open_sqlite
from procession.testing.journal_rows import started
async def main():
    journal = await open_sqlite(sys.argv[1], clock_us=lambda: 0)
    await journal.commit(started(1, 1))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(sys.argv[1] + "-wal") + 100_000, hard))
    acknowledged = 1
    try:
        while True:
            await journal.commit(started(acknowledged + 1, acknowledged + 1))
            acknowledged += 1
    except CommitFailed:
        print("failed")
    try:
        await journal.commit(started(10_000, 10_000))
    except CommitFailed:
        print("still failed")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await journal.reopen()
    position = (await journal.heads()).position
    print("kept", acknowledged <= position <= acknowledged + 1)
    await journal.commit(started(position + 1, position + 1))
    print(await journal.verify())
    await journal.close_clean()
trio.run(main)
"""


def test_a_full_disk_fails_commits_until_it_is_reopened(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path / "journal.db"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env=environment(),
    )
    assert done.stdout.split("\n") == ["failed", "still failed", "kept True", "[]", ""], done.stderr


def failure(found: str) -> sqlite3.OperationalError:
    """An error as SQLite has it. Made here, since who holds it must not be in its traceback: that would be a cycle."""
    error = sqlite3.OperationalError(found)
    error.sqlite_errorcode = sqlite3.SQLITE_FULL if "full" in found else sqlite3.SQLITE_IOERR_FSYNC
    return error


class Failing(sqlite_thread.StagedConnection):
    """A connection whose disk fails at chosen statements."""

    fails: ClassVar[dict[str, str]] = {}

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:  # noqa: ANN401 - as sqlite3 has it
        if sql in self.fails:
            raise failure(self.fails[sql])
        return super().execute(sql, *parameters)


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    found: dict[str, str] = {}
    monkeypatch.setattr(Failing, "fails", found)
    monkeypatch.setattr(sqlite_thread, "StagedConnection", Failing)
    return found


@pytest.mark.parametrize("statement", ["begin immediate", "commit"])
@pytest.mark.parametrize(
    "found", ["disk I/O error", "database or disk is full", "attempt to write a readonly database"]
)
async def test_a_commit_that_fails_is_told_and_reopened(
    tmp_path: Path, fails: dict[str, str], statement: str, found: str
) -> None:
    journal = await open_sqlite(tmp_path / "journal.db", clock_us=lambda: 0)
    await journal.commit(started(1, 1))
    fails[statement] = found
    with pytest.raises(CommitFailed, match=found):
        await journal.commit(started(2, 2))
    with pytest.raises(CommitFailed):
        await journal.reopen()
    assert (await journal.heads()).position == 1, "whoever reads goes on"
    fails.clear()
    with pytest.raises(CommitFailed):
        await journal.commit(started(2, 2))
    await journal.reopen()
    assert (await journal.heads()).position == 1
    await journal.commit(started(2, 2))
    assert await journal.verify() == []
    await journal.close_clean()


async def test_nothing_is_acknowledged_after_a_checkpoint_whose_sync_failed(
    tmp_path: Path, fails: dict[str, str]
) -> None:
    journal = await open_sqlite(tmp_path / "journal.db", clock_us=lambda: 0, wal_pages_max=1)
    fails["pragma wal_checkpoint(passive)"] = "disk I/O error"
    await journal.commit(started(1, 1))  # it is durable, and has the log moved
    with pytest.raises(CommitFailed, match="a checkpoint failed: disk I/O error"):
        await journal.commit(started(2, 2))
    with pytest.raises(CommitFailed):
        await journal.commit(started(2, 2))
    fails.clear()
    await journal.reopen()
    position = (await journal.heads()).position
    await journal.commit(started(position + 1, position + 1))
    assert await journal.verify() == []
    await journal.close_clean()


async def test_a_checkpoint_that_found_no_room_holds_up_nobody(tmp_path: Path, fails: dict[str, str]) -> None:
    journal = await open_sqlite(tmp_path / "journal.db", clock_us=lambda: 0, wal_pages_max=1)
    fails["pragma wal_checkpoint(passive)"] = "database or disk is full"
    for number in (1, 2, 3):
        await journal.commit(started(number, number))
    fails.clear()
    assert (await journal.heads()).position == 3
    assert await journal.verify() == []
    await journal.close_clean()


async def test_a_lock_file_that_can_not_be_written_keeps_no_next_owner_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = await open_sqlite(tmp_path / "journal.db", clock_us=lambda: 0)
    await journal.commit(started(1, 1))

    def fail(descriptor: int, length: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as failing:
        failing.setattr(os, "ftruncate", fail)
        journal.announce("/run/somewhere.sock")
        await journal.close_clean()
    following = await open_sqlite(tmp_path / "journal.db", clock_us=lambda: 0)
    assert (await following.heads()).position == 1
    await following.close_clean()


async def test_a_rollback_that_fails_leaves_the_outcome_unknown(tmp_path: Path, fails: dict[str, str]) -> None:
    journal = await open_sqlite(tmp_path / "journal.db", clock_us=lambda: 0)
    await journal.commit(started(1, 1))
    fails["rollback"] = "disk I/O error"
    duplicate = started(1, 2)
    with pytest.raises(CommitFailed):
        await journal.commit(duplicate)
    fails.clear()
    await journal.reopen()
    assert (await journal.heads()).position == 1
    await journal.close()


async def test_a_broken_journal_closes_all_the_same(tmp_path: Path, fails: dict[str, str]) -> None:
    journal = await open_sqlite(tmp_path / "journal.db", clock_us=lambda: 0)
    fails["commit"] = "disk I/O error"
    with pytest.raises(CommitFailed):
        await journal.commit(started(1, 1))
    await journal.close_clean()
    fails.clear()
    again = await open_sqlite(tmp_path / "journal.db", clock_us=lambda: 0)
    owner = await again.owner()
    assert owner is not None
    assert owner.unclean_starts == 1
    await again.close()


async def test_a_commit_under_way_ends_when_its_caller_is_cancelled(tmp_path: Path) -> None:
    journal = await open_sqlite(tmp_path / "journal.db", clock_us=lambda: 0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.commit, started(1, 1))
        await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert (await journal.heads()).position == 1
    await journal.commit(started(2, 2))
    assert await journal.verify() == []
    await journal.close()


async def test_a_read_whose_caller_left_disturbs_nobody(tmp_path: Path) -> None:
    journal = await open_sqlite(tmp_path / "journal.db", clock_us=lambda: 0, readers=1)
    await journal.commit(started(1, 1))
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(journal.counts)
        await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert (await journal.heads()).position == 1
    await journal.close()


async def test_a_journal_that_was_not_made_to_its_end_is_made_by_its_next_owner(tmp_path: Path) -> None:
    made, torn = tmp_path / "made.db", tmp_path / "torn.db"
    await (await open_sqlite(made, clock_us=lambda: 0)).close_clean()
    with contextlib.closing(sqlite3.connect(made, isolation_level=None)) as making:
        making.execute("pragma journal_mode = delete")  # as it is until all of it is there
        making.execute("pragma cache_size = 2")
        making.execute("begin immediate")
        making.execute("create table filler (text)")
        making.executemany("insert into filler values (?)", [("x" * 4_000,)] * 100)
        for end in ("", "-journal"):  # a process that is killed here leaves these two
            shutil.copy(f"{made}{end}", f"{torn}{end}")

    with pytest.raises(NotAJournal, match="while it was made"):
        await read_sqlite(torn)

    async def look(journal: JournalReader) -> None:
        await journal.heads()

    journal = await open_sqlite(torn, clock_us=lambda: 0, check=look)
    assert await journal.verify() == []
    await journal.close_clean()
