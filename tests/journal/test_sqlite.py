"""The SQLite journal keeps the contract; and its file: who owns it, what it refuses, how it is read and copied."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import warnings
from contextlib import closing
from pathlib import Path

import pytest
import trio
import trio.testing

from procession.errors import ProcessionError
from procession.journal import sqlite_schema
from procession.journal.ownership import holder_of
from procession.journal.rows import Commit, TypeRow
from procession.journal.sqlite import SqliteJournal, open_sqlite
from procession.journal.sqlite_backup import fsync_times_ms, sqlite_facts
from procession.journal.sqlite_reader import read_sqlite
from procession.journal_errors import (
    CommitFailed,
    CommitRejected,
    Fenced,
    JournalOwned,
    JournalTooNew,
    JournalUnwritable,
    NotAJournal,
)
from procession.testing.contract import JournalContract
from procession.testing.journal_rows import (
    NOW_US,
    PROCESS,
    command,
    command_effect,
    delivery,
    event,
    flow,
    started,
    timer,
    timer_effect,
)

DEAD = json.dumps({"pid": 4_194_305, "host": os.uname().nodename, "started_us": 1, "address": None})
"""A lock file of a process that is no more: no system numbers one so high."""


async def opened(path: Path, *, readers: int = 2, wal_pages_max: int = 8192) -> SqliteJournal:
    return await open_sqlite(path, clock_us=lambda: NOW_US, readers=readers, wal_pages_max=wal_pages_max)


async def made(path: Path, commits: int = 3) -> None:
    """A journal of a few flows, closed in order."""
    journal = await opened(path)
    for n in range(1, commits + 1):
        await journal.commit(full(n))
    await journal.close_clean()


def full(number: int) -> Commit:
    """A commit with a row of everything that is compared."""
    commit = started(number, 2 * number, command_effect(number, 2 * number), timer_effect(number, "overdue", 9))
    commit.events.append(event(2 * number + 1, f"k{number}"))
    commit.commands = [command(number, number, 2 * number)]
    commit.timers = {(number, "overdue"): timer(number, "overdue", 9)}
    commit.deliveries = {(number, 2 * number + 1): delivery(number, 2 * number + 1)}
    return commit


def plainly(path: Path, *statements: str) -> None:
    """Change the file behind the journal's back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def content(folder: Path) -> dict[str, bytes]:
    return {found.name: found.read_bytes() for found in folder.iterdir()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


class TestSqliteContract(JournalContract):
    """The whole contract, on a file."""

    @pytest.fixture(autouse=True)
    def place(self, path: Path) -> None:
        self.path = path

    async def open(self) -> SqliteJournal:
        return await opened(self.path)

    async def take_over(self) -> SqliteJournal:
        self.path.with_name("journal.db.lock").unlink()
        return await opened(self.path)


# What the file must be


async def test_a_file_whose_making_lost_power_is_made_again(path: Path) -> None:
    path.write_bytes(b"torn" * 1024)  # its first page, half written; what SQLite noted before says that it was empty
    noted = bytes.fromhex("d9d505f920a163d7") + bytes(8) + bytes(4) + (512).to_bytes(4) + (4096).to_bytes(4)
    Path(f"{path}-journal").write_bytes(noted.ljust(512, b"\0"))
    journal = await opened(path)
    assert (await journal.heads()).position == 0
    await journal.close_clean()


@pytest.mark.parametrize("wrong", [b"hello, this is a letter\n", b"SQLite format 3\0 and no more", bytes(4096)])
async def test_a_file_that_is_no_journal_is_refused_and_untouched(path: Path, wrong: bytes) -> None:
    path.write_bytes(wrong)
    before = content(path.parent)
    with pytest.raises(NotAJournal):
        await opened(path)
    with pytest.raises(NotAJournal):
        await read_sqlite(path)
    assert content(path.parent) == before


async def test_the_database_of_another_application_is_refused_and_untouched(path: Path) -> None:
    plainly(path, "create table song (name text)", "pragma application_id = 7")
    before = content(path.parent)
    with pytest.raises(NotAJournal):
        await opened(path)
    assert content(path.parent) == before


async def test_a_journal_of_a_newer_version_is_refused_and_untouched(path: Path) -> None:
    await made(path)
    plainly(path, "pragma user_version = 99")
    before = content(path.parent)
    with pytest.raises(JournalTooNew) as refused:
        await opened(path)
    with pytest.raises(JournalTooNew):
        await read_sqlite(path)
    assert (refused.value.schema, refused.value.schema_known) == (99, sqlite_schema.SCHEMA)
    assert content(path.parent) == before


async def test_a_newer_schema_that_only_the_write_ahead_log_has_is_refused_and_untouched(path: Path) -> None:
    await made(path)
    killed = path.parent / "killed"
    killed.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as newer:
        newer.execute("pragma user_version = 99")
        for name in (path.name, f"{path.name}-wal"):
            shutil.copy(path.with_name(name), killed)
    before = content(killed)
    with pytest.raises(JournalTooNew):
        await opened(killed / path.name)
    after = content(killed)
    assert {name: after.get(name) for name in before} == before


async def test_an_empty_file_becomes_a_journal(path: Path) -> None:
    path.touch()
    await made(path)
    assert b"SQLite" in path.read_bytes()[:16]


async def test_whoever_asks_while_an_owner_names_its_address_is_told_its_name(path: Path) -> None:
    journal = await open_sqlite(path, clock_us=lambda: 0)
    found: list[bool] = []

    def ask() -> None:
        for _ in range(2_000):
            holder = holder_of(str(path))
            found.append(holder is not None and holder.pid == os.getpid())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, ask)
        while len(found) < 2_000:
            for address in ("/run/somewhere/long.sock", None):
                journal.announce(address)
            await trio.lowlevel.checkpoint()
    assert all(found)
    await journal.close_clean()


async def test_a_place_that_can_not_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "nowhere" / "j.db", tmp_path / "file" / "j.db"):
        with pytest.raises(JournalUnwritable):
            await opened(place)
        with pytest.raises(JournalUnwritable):
            await read_sqlite(place)
    with pytest.raises(NotAJournal):
        await opened(tmp_path)


READ_ONLY = """
import os, sys, trio
from pathlib import Path
from procession.journal_errors import JournalUnwritable
from procession.journal.sqlite import open_sqlite
from procession.journal.sqlite_reader import read_sqlite
from procession.testing.journal_rows import started
path = Path(sys.argv[1])
async def main():
    journal = await open_sqlite(path, clock_us=lambda: 0)
    await journal.commit(started(1, 1))
    await journal.close_clean()
    await (await read_sqlite(path)).close()
    for name in path.parent.iterdir():
        if name != path:
            name.unlink()
    path.chmod(0o444)
    path.parent.chmod(0o555)
    if os.getuid() == 0:
        os.setuid(65534)
    reader = await read_sqlite(path)
    assert (await reader.heads()).position == 1
    await reader.close()
    try:
        await open_sqlite(path, clock_us=lambda: 0)
    except JournalUnwritable:
        print("refused", os.listdir(path.parent))
trio.run(main)
"""


def test_a_read_only_folder_can_be_read_and_not_owned() -> None:
    folder = Path(tempfile.mkdtemp())  # not pytest's: nobody but its user may enter that
    folder.chmod(0o755)
    try:
        done = run(READ_ONLY, folder / "journal.db")
        assert done.stdout == "refused ['journal.db']\n", done.stderr
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def run(script: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, timeout=20, check=False, env=environment()
    )


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


# Who owns it

HOLDER = """
import sys, trio
from procession.journal.sqlite import open_sqlite
async def main():
    journal = await open_sqlite(sys.argv[1], clock_us=lambda: 1_700_000_000_000_000)
    journal.announce("/run/procession.sock")
    print("owned", flush=True)
    await trio.sleep_forever()
trio.run(main)
"""


async def test_a_second_process_is_refused_until_the_first_is_gone(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE, text=True, env=environment()
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "owned\n"
        with pytest.raises(JournalOwned) as refused:
            await opened(path)
        holder.kill()
    assert refused.value.pid == holder.pid
    assert refused.value.host == os.uname().nodename
    assert refused.value.started_at == "2023-11-14T22:13:20+00:00"
    await made(path)


async def test_a_second_owner_in_one_process_is_refused(path: Path) -> None:
    journal = await opened(path)
    (path.parent / "link.db").symlink_to(path)
    for name in (path, path.parent / "link.db"):
        with pytest.raises(JournalOwned) as refused:
            await opened(name)
    assert refused.value.pid == os.getpid()
    await journal.commit(started(1, 1))
    await journal.close()
    await made(path, 0)


LOCKED = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
connection.execute("pragma journal_mode = delete")
"""


async def test_readers_in_the_process_of_the_owner_do_not_cost_it_its_locks(path: Path) -> None:
    journal = await opened(path)
    reader = await read_sqlite(path)
    await reader.close()
    with pytest.raises(JournalOwned):
        await opened(path)
    # Leaving the write-ahead log needs the file for itself, so it tells whether the owner still holds its locks.
    assert "database is locked" in run(LOCKED, path).stderr
    await journal.close()
    assert run(LOCKED, path).stderr == ""


async def test_a_forked_child_is_refused(path: Path) -> None:
    journal = await opened(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads is what this test is about
        child = os.fork()
    if child == 0:  # pragma: no cover - runs in the child
        try:
            journal.commit(started(1, 1)).send(None)
        except JournalOwned:
            os._exit(7)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    await journal.commit(started(1, 1))
    await journal.close()


async def test_an_owner_that_was_overtaken_writes_nothing_more(path: Path) -> None:
    journal = await opened(path)
    await journal.commit(started(1, 1))
    plainly(path, "update owner set epoch = epoch + 1")
    for _ in range(2):
        with pytest.raises(Fenced):
            await journal.commit(started(2, 2))
    with pytest.raises(Fenced):
        await journal.reopen()
    await journal.close()
    reader = await read_sqlite(path)
    assert (await reader.heads()).position == 1
    await reader.close()


async def test_a_journal_on_a_disk_without_locks_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await (await opened(path)).close_clean()
    path.with_name(f"{path.name}.lock").touch()

    def flock(_: int, __: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(JournalUnwritable, match=r"gives no lock on .*; keep it on a local disk"):
        await opened(path)
    with pytest.raises(JournalUnwritable, match=r"gives no lock on .*; keep it on a local disk"):
        holder_of(str(path))


async def test_a_closed_journal_leaves_no_lock_and_no_name(path: Path) -> None:
    await made(path)
    assert (path.parent / "journal.db.lock").read_bytes() == b""
    assert {found.name for found in path.parent.iterdir()} == {"journal.db", "journal.db.lock"}


async def test_a_closed_journal_has_no_socket_to_name(path: Path) -> None:
    journal = await opened(path)
    await journal.close()
    journal.announce("an address")
    assert (path.parent / "journal.db.lock").read_bytes() == b""


# Threads


async def test_no_thread_outlives_a_journal(path: Path) -> None:
    before = set(threading.enumerate())
    journal = await opened(path, readers=3)
    assert len(begun_since(before)) == 5
    await journal.close()
    assert begun_since(before) == set()


async def test_who_waits_for_a_connection_of_a_journal_that_is_reopened_does_not_hear_that_it_closes(
    path: Path,
) -> None:
    journal = await opened(path, readers=1)
    asked, may_go_on = trio.Event(), threading.Event()
    heard: list[BaseException | int] = []

    async def ask() -> None:
        asked.set()
        try:
            heard.append(len(await journal.events(0, 1)))
        except ProcessionError as error:
            heard.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.ask, lambda _: may_go_on.wait(30))
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(ask)
        await asked.wait()
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(journal.reopen)
        await trio.sleep(0.3)  # by then its connections are being closed
        may_go_on.set()
    assert heard == [0] or [type(one) for one in heard] == [CommitFailed]
    assert await journal.events(0, 1) == []
    await journal.close_clean()


async def test_no_descriptor_for_a_quick_answer_means_a_slower_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    journal = await opened(path)
    monkeypatch.setattr("procession.journal.sqlite_thread.socket.socketpair", none_left)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(journal.heads)
            nursery.start_soon(journal.commit, started(1, 1))
        assert (await journal.heads()).position == 1
    await journal.close_clean()


async def test_a_transaction_that_sqlite_ended_itself_fails_no_other_question(path: Path) -> None:
    journal = await opened(path, readers=1)
    may_go_on, said = threading.Event(), []

    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("rollback")  # as SQLite does where its disk fails
        raise sqlite3.OperationalError("disk I/O error")

    async def ask_broken() -> None:
        with pytest.raises(JournalUnwritable, match="disk I/O error"):
            await journal.ask(broken)
        said.append("broken")

    async def ask_well() -> None:
        assert await journal.events(0, 1) == []
        said.append("well")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.ask, lambda _: may_go_on.wait(30))
        await trio.testing.wait_all_tasks_blocked()
        for ask in (ask_well, ask_broken, ask_well):
            nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        may_go_on.set()
    assert sorted(said) == ["broken", "well", "well"]
    await ask_broken()
    await journal.close_clean()


def begun_since(before: set[threading.Thread]) -> set[threading.Thread]:
    """Threads that were not there then; of those that were, one that trio keeps ends after 10 s without work."""
    return set(threading.enumerate()) - before


async def test_an_open_that_fails_half_way_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(threading.enumerate())
    with monkeypatch.context() as patched:
        patched.setattr(sqlite_schema, "prepare_reader", _failing)
        with pytest.raises(JournalUnwritable, match="no more files"):
            await opened(path)
    assert begun_since(before) == set()
    await made(path)


def _failing(connection: sqlite3.Connection, path: str) -> None:
    raise sqlite3.OperationalError("no more files")


async def test_a_cancelled_open_leaves_nothing(path: Path) -> None:
    before = set(threading.enumerate())
    with trio.CancelScope() as scope:
        scope.cancel()
        await opened(path)
    assert scope.cancelled_caught
    assert begun_since(before) == set()
    await made(path)


FORGOTTEN = """
import sys, trio
from procession.journal.sqlite import open_sqlite
from procession.testing.journal_rows import started
kept = []
async def main():
    kept.append(await open_sqlite(sys.argv[1], clock_us=lambda: 0))
    await kept[0].commit(started(1, 1))
trio.run(main)
print("over")
"""


def test_a_journal_that_nobody_closed_does_not_hang_the_interpreter(path: Path) -> None:
    done = run(FORGOTTEN, path)
    assert (done.stdout, done.returncode) == ("over\n", 0), done.stderr


# Readers and copies


async def test_a_reader_sees_what_a_running_owner_commits(path: Path) -> None:
    journal = await opened(path)
    reader = await read_sqlite(path)
    await journal.commit(full(1))
    assert reader.id == journal.id
    assert (await reader.load(PROCESS, "k1", 9)).row == flow(1, 1)
    owner = await reader.owner()
    assert owner is not None
    assert (owner.running, owner.pid) == (True, os.getpid())
    assert await reader.verify() == []
    await journal.close_clean()
    owner = await reader.owner()
    assert owner is not None
    assert not owner.running
    await reader.close()


async def test_a_reader_reads_what_a_crash_left(path: Path) -> None:
    journal = await opened(path)
    await journal.commit(full(1))
    copy = path.parent / "crashed.db"
    for end in ("", "-wal"):
        Path(f"{copy}{end}").write_bytes(Path(f"{path}{end}").read_bytes())
    await journal.close()
    reader = await read_sqlite(copy)
    assert (await reader.heads()).position == 3
    await reader.close()


async def test_a_reader_can_not_write(path: Path) -> None:
    await made(path)
    reader = await read_sqlite(path)
    with pytest.raises(JournalUnwritable):
        await reader._read(_deletion)  # noqa: SLF001 - no public way leads there
    await reader.close()


def _deletion(connection: sqlite3.Connection) -> None:
    connection.execute("delete from flow")


async def test_a_backup_beside_a_writing_owner_is_a_whole_journal(path: Path) -> None:
    journal = await opened(path)
    copy = path.parent / "copy.db"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.backup, str(copy))
        for n in range(1, 30):
            await journal.commit(full(n))
    reader = await read_sqlite(copy)
    assert await reader.verify() == []
    assert reader.id == journal.id
    await reader.close()
    await journal.close()
    restored = await opened(copy)
    owner = await restored.owner()
    assert owner is not None
    assert owner.unclean_starts == 0
    await restored.close()


async def test_a_backup_overwrites_nothing(path: Path) -> None:
    journal = await opened(path)
    target = path.parent / "precious"
    target.write_text("keep me")
    with pytest.raises(JournalUnwritable):
        await journal.backup(str(target))
    with pytest.raises(JournalUnwritable):
        await journal.backup(str(path.parent / "nowhere" / "copy.db"))
    assert target.read_text() == "keep me"
    await journal.close()
    assert not [found for found in path.parent.iterdir() if "half" in found.name]


# What is written


@pytest.mark.parametrize("table", ["event", "step"])
@pytest.mark.parametrize("change", ["update {} set crc = 0", "delete from {}"])
async def test_events_and_steps_are_never_changed_nor_deleted(path: Path, table: str, change: str) -> None:
    await made(path)
    with pytest.raises(sqlite3.IntegrityError, match="never"):
        plainly(path, change.format(table))


@pytest.mark.parametrize(
    "bad", [{"shape": "\ud800"}, {"version": 1 << 63}, {"version": 1.5}, {"version": object()}, {"name": None}]
)
async def test_data_that_sqlite_does_not_take_is_rejected(path: Path, bad: dict[str, object]) -> None:
    journal = await opened(path)
    commit = started(1, 1)
    commit.types = [TypeRow._make({**TypeRow("a", 1, "event", "{}")._asdict(), **bad}.values())]
    with pytest.raises(CommitRejected):
        await journal.commit(commit)
    await journal.commit(started(1, 1))
    assert await journal.verify() == []
    await journal.close()


async def test_the_write_ahead_log_stays_bounded(path: Path) -> None:
    journal = await opened(path, wal_pages_max=64)
    for n in range(1, 201):
        await journal.commit(started(n, n))
    assert Path(f"{path}-wal").stat().st_size < 1_000_000
    assert await journal.verify() == []
    await journal.close()


# What doctor asks


async def test_doctor_learns_of_the_library_and_the_disk(tmp_path: Path) -> None:
    facts = sqlite_facts()
    assert facts.version == sqlite3.sqlite_version
    assert facts.wal_reset_fault == (sqlite3.sqlite_version_info < (3, 51, 3))
    assert all(time_ms > 0 for time_ms in await fsync_times_ms(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", ["", DEAD])
async def test_an_owner_that_has_not_named_itself_yet_is_heard_out(path: Path, left: str) -> None:
    Path(f"{path}.lock").write_text(left)  # nothing, or the name of an owner that was killed
    with Path(f"{path}.lock").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        async def name_itself() -> None:
            await trio.sleep(0.3)  # longer than a reader ever holds the lock
            held.truncate(0)
            held.write(json.dumps({"pid": 4711, "host": "here", "started_us": 1, "address": None}))
            held.flush()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(name_itself)
            with pytest.raises(JournalOwned, match="process 4711 on here"):
                await opened(path)
