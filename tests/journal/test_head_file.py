"""A journal that is older than it was is refused: by the head file, which says how far its owner had come."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest

from procession.daemon.exit_codes import ExitCode
from procession.journal.head_file import HeadFile, read_head
from procession.journal.rows import Commit
from procession.journal.salvage import salvage
from procession.journal.sqlite import SqliteJournal, open_sqlite
from procession.journal.sqlite_reader import read_sqlite
from procession.journal_errors import CommitFailed, JournalDamaged, NotAJournal
from procession.testing.journal_rows import NOW_US, started
from tests.daemon.command import CONFIG
from tests.daemon.inside import run_inside
from tests.journal.test_sqlite_crash import WRITER, environment

ENDS = ("", "-wal", "-head")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """Where what a crash leaves is laid out."""
    (tmp_path / "left").mkdir()
    return tmp_path / "left" / "journal.db"


async def opened(path: Path, synchronous: Literal["FULL", "NORMAL"] = "FULL") -> SqliteJournal:
    return await open_sqlite(path, clock_us=lambda: NOW_US, synchronous=synchronous)


def beside(path: Path, end: str) -> Path:
    return Path(f"{path}{end}")


def copied(path: Path, to: Path, *ends: str) -> None:
    """These files as they are, in place of those that are there."""
    beside(to, "-shm").unlink(missing_ok=True)
    for end in ends:
        shutil.copyfile(beside(path, end), beside(to, end))


def content(folder: Path) -> dict[str, bytes]:
    return {found.name: found.read_bytes() for found in folder.iterdir() if not found.name.endswith(("-shm", ".lock"))}


async def older_log(path: Path, left: Path, synchronous: Literal["FULL", "NORMAL"] = "FULL") -> None:
    """What an owner leaves that committed twice and was killed, but with the log of its first commit."""
    journal = await opened(path, synchronous)
    await journal.commit(started(1, 1))
    copied(path, left, "-wal")
    await journal.commit(started(2, 2))
    copied(path, left, "", "-head")
    await journal.close()


async def test_what_a_killed_owner_leaves_is_taken_up(path: Path, left: Path) -> None:
    journal = await opened(path)
    await journal.commit(started(1, 1))
    copied(path, left, *ENDS)
    await journal.close()
    taken_up = await opened(left)
    assert (await taken_up.heads()).position == 1
    assert await taken_up.verify() == []
    await taken_up.close_clean()


def test_a_log_that_is_deleted_after_a_kill_is_noticed(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, env=environment()) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(5)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += map(int, writer.stdout.read().split())
    beside(path, "-wal").unlink()
    before, head = path.read_bytes(), read_head(str(path))
    assert head is not None
    assert acknowledged[-1] <= head.tail.position <= acknowledged[-1] + 1, "a kill may come before its sender hears"
    refused = run_inside(
        "retry", "order/1", "--reason", "tried", "--config", CONFIG, "--journal", path, cwd=path.parent
    )
    doctor = run_inside("doctor", "--journal", path, cwd=path.parent)
    assert refused.code == ExitCode.FAILED
    assert "is damaged: it is at event 0 and step 0" in refused.err
    assert f"had been at event {head.tail.position} " in refused.err
    assert refused.err.endswith(f"remove {path}-head\n")
    assert doctor.code == ExitCode.FAILED
    assert "behind: it is at event 0 and step 0" in doctor.out
    assert path.read_bytes() == before


async def test_an_older_log_is_refused_and_nothing_is_written(path: Path, left: Path) -> None:
    await older_log(path, left)
    before = content(left.parent)
    with pytest.raises(JournalDamaged) as refused:
        await opened(left)
    assert "it is at event 1 and step 1" in refused.value.found
    assert "had been at event 2 and step 2" in refused.value.found
    assert str(refused.value).endswith(f"if this older one is meant, remove {left}-head")
    assert content(left.parent) == before


async def test_the_right_log_put_back_is_all_that_it_needs(path: Path, left: Path) -> None:
    journal = await opened(path)
    await journal.commit(started(1, 1))
    copied(path, left, *ENDS)
    await journal.close()
    log = beside(left, "-wal").read_bytes()
    beside(left, "-wal").unlink()
    with pytest.raises(JournalDamaged):
        await opened(left)
    beside(left, "-wal").write_bytes(log)
    journal = await opened(left)
    assert (await journal.heads()).position == 1
    await journal.close_clean()


async def test_an_older_copy_that_is_meant_is_opened_once_the_head_file_is_removed(path: Path, left: Path) -> None:
    await older_log(path, left)
    beside(left, "-head").unlink()
    journal = await opened(left)
    assert (await journal.heads()).position == 1
    await journal.commit(started(2, 2))
    assert await journal.verify() == []
    await journal.close_clean()


async def test_a_commit_that_moves_no_end_is_noticed_too(path: Path, left: Path) -> None:
    journal = await opened(path)
    await journal.commit(started(1, 1))
    copied(path, left, "-wal")
    await journal.transact(_nothing)
    await journal.commit(Commit(resumed={1}))
    copied(path, left, "", "-head")
    await journal.close()
    with pytest.raises(JournalDamaged, match=r"it is at event 1 and step 1, .*, and had been at event 1 and step 1, "):
        await opened(left)


def _nothing(_: sqlite3.Connection) -> None:
    """Housekeeping that changes no row of its own."""


@pytest.mark.parametrize("bit", range(0, 8 * 72, 37))
async def test_a_head_file_that_was_hit_is_ignored(
    bit: int, path: Path, left: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = await opened(path)
    await journal.commit(started(1, 1))
    copied(path, left, *ENDS)
    await journal.close()
    head = bytearray(beside(left, "-head").read_bytes())
    head[bit // 8] ^= 1 << bit % 8
    beside(left, "-head").write_bytes(head)
    journal = await opened(left)
    assert (await journal.heads()).position == 1
    assert "nothing tells if the journal is older than it was" in caplog.text
    await journal.close_clean()


@pytest.mark.parametrize("size", [0, 1, 71])
async def test_half_a_head_file_is_ignored(size: int, path: Path, left: Path) -> None:
    await older_log(path, left)
    os.truncate(beside(left, "-head"), size)
    journal = await opened(left)
    assert (await journal.heads()).position == 1
    await journal.close_clean()


async def test_an_owner_that_closes_in_order_leaves_no_head_file_and_any_copy_may_come(path: Path) -> None:
    journal = await opened(path)
    await journal.commit(started(1, 1))
    await journal.backup(f"{path}.copy")
    await journal.commit(started(2, 2))
    assert beside(path, "-head").exists()
    await journal.close_clean()
    assert not beside(path, "-head").exists()
    Path(f"{path}.copy").replace(path)
    journal = await opened(path)
    assert (await journal.heads()).position == 1
    await journal.close_clean()


async def test_a_backup_in_place_of_what_a_killed_owner_left_is_refused(path: Path, left: Path) -> None:
    journal = await opened(path)
    await journal.commit(started(1, 1))
    await journal.backup(str(left))
    await journal.commit(started(2, 2))
    copied(path, left, "-head")
    await journal.close()
    with pytest.raises(JournalDamaged, match="had been at event 2"):
        await opened(left)
    beside(left, "-head").unlink()
    await (await opened(left)).close_clean()


async def test_a_head_file_stays_while_a_reader_keeps_the_log(path: Path) -> None:
    journal = await opened(path)
    await journal.commit(started(1, 1))
    reading = subprocess.Popen(
        [sys.executable, "-c", READER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    )
    assert reading.stdout is not None
    assert reading.stdout.readline() == b"1\n"
    await journal.close_clean()
    assert beside(path, "-wal").stat().st_size
    assert beside(path, "-head").exists()
    reading.communicate()
    journal = await opened(path)
    await journal.close_clean()
    assert not beside(path, "-head").exists()


READER = """
import sqlite3, sys
connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
connection.execute("begin")
print(connection.execute("select count(*) from event").fetchone()[0], flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["missing", "empty"])
async def test_a_journal_that_is_gone_is_not_begun_anew(end: str, path: Path, left: Path) -> None:
    journal = await opened(path)
    await journal.commit(started(1, 1))
    copied(path, left, "-head")
    await journal.close()
    if end != "missing":
        left.touch()
    with pytest.raises(
        JournalDamaged, match=r"missing or empty, and had been at event 1 .* to begin a new one, remove"
    ):
        await opened(left)
    assert sorted(content(left.parent)) == [*(["journal.db"] if end != "missing" else []), "journal.db-head"]


async def test_the_head_file_of_another_journal_says_nothing(
    path: Path, left: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = await opened(left)
    await journal.close_clean()
    journal = await opened(path)
    await journal.commit(started(1, 1))
    copied(path, left, "-head")
    await journal.close_clean()
    journal = await opened(left)
    await journal.commit(started(1, 1))
    assert "is of another journal" in caplog.text
    assert await journal.verify() == []
    await journal.close_clean()


async def test_a_journal_that_went_on_in_another_way_is_refused(path: Path, left: Path, tmp_path: Path) -> None:
    """A copy of before was opened elsewhere, went on there, and was laid where the first one was killed."""
    journal = await opened(path)
    await journal.backup(str(tmp_path / "other.db"))
    await journal.commit(started(1, 1))
    copied(path, left, "-head")
    await journal.close()
    other = await opened(tmp_path / "other.db")
    for number in range(1, 4):
        await other.commit(started(number + 10, number))
    await other.close_clean()
    copied(tmp_path / "other.db", left, "")
    with pytest.raises(JournalDamaged, match="event 1 is not the one that its owner committed"):
        await opened(left)


async def test_a_file_that_is_no_journal_is_told_as_that(path: Path, left: Path) -> None:
    journal = await opened(path)
    copied(path, left, "-head")
    await journal.close()
    left.write_bytes(b"something else" * 100)
    with pytest.raises(NotAJournal):
        await opened(left)


async def test_what_normal_may_lose_is_a_warning(path: Path, left: Path, caplog: pytest.LogCaptureFixture) -> None:
    await older_log(path, left, "NORMAL")
    reader = await read_sqlite(left)
    behind = await reader.behind()
    assert behind is not None
    assert "had been at event 2" in behind.found
    assert await reader.verify() == []
    await reader.close()
    journal = await opened(left)
    assert "had been at event 2 and step 2" in caplog.text
    await journal.commit(started(2, 2))
    await journal.close_clean()


async def test_a_reader_reads_it_says_so_and_verifying_tells(
    path: Path, left: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await older_log(path, left)
    reader = await read_sqlite(left)
    assert (await reader.heads()).position == 1
    assert "is read as it is: it is at event 1" in caplog.text
    assert [fault.code for fault in await reader.verify()] == ["behind"]
    await reader.close()


async def test_a_reader_beside_an_owner_misses_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = await opened(path)
    for number in range(1, 20):
        await journal.commit(started(number, number))
        reader = await read_sqlite(path)
        assert await reader.verify() == []
        await reader.close()
    assert caplog.text == ""
    await journal.close_clean()


@pytest.mark.parametrize("call", ["open", "pwrite"])
async def test_a_head_file_that_can_not_be_written_stops_nothing_and_is_told_once(
    call: str, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, full = getattr(os, call), [False]

    def failing(*arguments: object) -> object:
        if full[0] and (call == "pwrite" or str(arguments[0]).endswith("-head")):
            raise OSError(28, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(os, call, failing)
    full[0] = call == "open"
    journal = await opened(path)
    await journal.commit(started(1, 1))
    full[0] = True
    for number in range(2, 5):
        await journal.commit(started(number, number))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "No space left on device" in caplog.text
    assert not beside(path, "-head").exists(), "what stays would be right, but of an earlier commit"
    assert (await journal.heads()).position == 4
    full[0] = False
    await journal.reopen()
    await journal.commit(started(5, 5))
    assert beside(path, "-head").stat().st_size == 72
    await journal.close_clean()


async def test_half_a_write_takes_the_head_file_away(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    journal = await opened(path)
    with monkeypatch.context() as patched:
        real = os.pwrite
        patched.setattr(os, "pwrite", lambda descriptor, data, offset: real(descriptor, data[:40], offset))
        await journal.commit(started(1, 1))
    assert "only a part of it was written" in caplog.text
    assert not beside(path, "-head").exists()
    await journal.close_clean()


async def test_a_folder_in_its_place_stops_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    beside(path, "-head").mkdir()
    journal = await opened(path)
    await journal.commit(started(1, 1))
    await journal.close_clean()
    assert "-head can't be written" in caplog.text


async def test_a_commit_that_was_refused_leaves_the_head_file_as_it_was(path: Path, left: Path) -> None:
    journal = await opened(path)
    await journal.commit(started(1, 1))
    before = beside(path, "-head").read_bytes()
    with pytest.raises(Exception, match="rejected"):
        await journal.commit(started(1, 1))
    assert beside(path, "-head").read_bytes() == before
    await journal.close_clean()


async def test_a_clock_that_is_set_back_makes_no_journal_look_older(path: Path, left: Path) -> None:
    times = iter([NOW_US, *range(NOW_US, NOW_US - 100_000, -1000)])
    journal = await open_sqlite(path, clock_us=lambda: next(times))
    for number in range(1, 4):
        await journal.commit(started(number, number))
        copied(path, left, *ENDS)
        copy = await open_sqlite(left, clock_us=lambda: 0)
        assert (await copy.heads()).position == number
        await copy.close_clean()
    await journal.close_clean()


async def test_a_file_that_is_another_when_it_is_opened_again_is_refused(path: Path, tmp_path: Path) -> None:
    journal = await opened(path)
    await journal.commit(started(1, 1))
    await journal.backup(str(tmp_path / "old.db"))
    await journal.commit(started(2, 2))
    before = (tmp_path / "old.db").read_bytes()
    (tmp_path / "old.db").replace(path)
    beside(path, "-wal").unlink()
    with pytest.raises(JournalDamaged, match="had been at event 2"):
        await journal.reopen()
    with pytest.raises(CommitFailed):
        await journal.commit(started(3, 3))
    await journal.close()
    assert path.read_bytes() == before
    with pytest.raises(JournalDamaged, match="had been at event 2"):
        await opened(path)


async def test_an_owner_that_was_overtaken_leaves_the_head_file_of_the_new_one(path: Path) -> None:
    first = await opened(path)
    await first.commit(started(1, 1))
    beside(path, ".lock").unlink()
    second = await opened(path)
    with pytest.raises(Exception, match="taken over"):
        await first.commit(started(2, 2))
    await first.close()
    assert beside(path, "-head").exists()
    await second.commit(started(2, 2))
    await second.close_clean()


async def test_a_salvage_says_what_only_the_head_file_tells_of_and_keeps_its_place(path: Path, left: Path) -> None:
    await older_log(path, left)
    target = left.parent / "saved.db"
    found = salvage(str(left), str(target))
    assert (found.events, found.events_lost, found.steps_lost) == (1, ((2, 2),), ((2, 2),))
    assert "had been at event 2" in found.behind
    assert not found.whole
    assert found.faults == ()
    journal = await opened(target)
    assert (await journal.heads()).position == 2, "no later event gets the place of one that is lost"
    await journal.commit(started(3, 3))
    assert await journal.verify() == []
    await journal.close_clean()


async def test_what_was_salvaged_may_take_the_place_of_the_old_one(path: Path, left: Path) -> None:
    await older_log(path, left)
    target = left.parent / "saved.db"
    salvage(str(left), str(target))
    for end in ("-wal", "-shm"):
        beside(left, end).unlink(missing_ok=True)
    target.replace(left)
    journal = await opened(left)
    assert (await journal.heads()).position == 2
    await journal.close_clean()


def test_a_salvage_goes_by_the_head_file_where_the_owner_row_can_not_be_read(path: Path, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, env=environment()) as writer:
        assert writer.stdout is not None
        for _ in range(5):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)").fetchone()
        (last,) = connection.execute("select position from owner").fetchone()
        (page,) = connection.execute("select rootpage from sqlite_schema where name = 'owner'").fetchone()
    head = read_head(str(path))
    assert head is not None
    # What was told to be there is in it; a kill may come between a commit and its record.
    assert 5 <= head.tail.position <= last <= head.tail.position + 1
    hit = bytearray(path.read_bytes())
    hit[4096 * (page - 1) : 4096 * page] = bytes(4096)
    path.write_bytes(hit)
    found = salvage(str(path), str(tmp_path / "saved.db"))
    assert f"had been at event {head.tail.position} " in found.behind
    assert found.events_lost == ()
    doctor = run_inside("doctor", "--journal", path, cwd=path.parent)
    assert doctor.code == ExitCode.FAILED


async def test_a_salvage_does_not_go_by_the_head_file_of_another_journal(path: Path, left: Path) -> None:
    journal = await opened(path)
    await journal.commit(started(1, 1))
    copied(path, left, "-head")
    await journal.close()
    await (await opened(left.parent / "other.db")).close_clean()
    copied(left.parent / "other.db", left, "")
    found = salvage(str(left), str(left.parent / "saved.db"))
    assert found.whole


@pytest.mark.parametrize("said", ["-(1 << 62)", "'never'"])
async def test_an_owner_row_that_was_hit_is_damage(said: str, path: Path, left: Path) -> None:
    journal = await opened(path)
    await journal.commit(started(1, 1))
    copied(path, left, *ENDS)
    await journal.close()
    with closing(sqlite3.connect(left, isolation_level=None)) as connection:
        connection.execute("pragma writable_schema = on")
        connection.execute("update sqlite_schema set sql = replace(sql, ') strict', ')') where name = 'owner'")
        connection.execute("pragma writable_schema = reset")
        connection.execute(f"update owner set renewed_us = {said}")
    with pytest.raises(JournalDamaged, match=r"microseconds|no number"):
        await opened(left)
    reader = await read_sqlite(left)
    await reader.verify()
    await reader.close()


def test_a_head_file_tells_time_that_only_grows(path: Path) -> None:
    times = iter([5, 5, 3, 9, 1])
    head = HeadFile(str(path), lambda: next(times), lossy=False)
    assert [head.stamp() for _ in range(5)] == [5, 6, 7, 9, 10]
