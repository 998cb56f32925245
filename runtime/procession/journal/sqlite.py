"""The embedded journal: one SQLite file, one owner, one connection that writes."""

# Names go to SQLite and the OS as they are, and these calls do not wait for a disk.
# ruff: noqa: ASYNC240
# A journal is opened by functions of its own module.
# ruff: noqa: SLF001

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Literal, TypeVar

import attrs
import trio

from procession.errors import ProcessionError, RuntimeClosed
from procession.journal import head_file, log_again, ownership, sqlite_read, sqlite_schema, sqlite_write
from procession.journal.first_look import look
from procession.journal.fork_gate import inside
from procession.journal.head_file import HeadFile
from procession.journal.journal import JournalReader
from procession.journal.ownership import Lock
from procession.journal.room import require_room
from procession.journal.rows import Commit
from procession.journal.second_look import opened_again
from procession.journal.sqlite_lanes import close_all, opened
from procession.journal.sqlite_reader import BUSY_S, SqliteReader
from procession.journal.sqlite_schema import FileUse
from procession.journal.sqlite_thread import Lane, LoopThread
from procession.journal_errors import (
    CommitFailed,
    CommitRejected,
    Fenced,
    JournalDamaged,
    JournalUnwritable,
)

T = TypeVar("T")

_REJECTING = (
    sqlite_write.Refused,
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    OverflowError,
    UnicodeEncodeError,
    TypeError,
)
"""Errors of the data: they come before SQLite's COMMIT, and a rollback takes back all of it."""

_PRIMARY = 0xFF
"""Of SQLite's codes these bits say the kind of error."""
_ROWS_GONE_A_PAGE = 4
"""Rows that go lie side by side, a dozen a page; their entries in the indexes do not."""


@attrs.frozen
class _Settings:
    synchronous: Literal["FULL", "NORMAL"]
    readers: int
    unclean_period_us: int
    wal_pages_max: int
    clock_us: Callable[[], int]
    new_id: bytes | None


class SqliteJournal(SqliteReader):
    """A journal file that this process owns. Made by `open_sqlite`; used within one trio run."""

    def __init__(
        self, path: str, thread: LoopThread, settings: _Settings, lock: Lock, use: FileUse, *, release: bool
    ) -> None:
        super().__init__(path, thread, use)
        self._settings = settings
        self._lock = lock
        self._releases = release
        self._pid = os.getpid()
        self._writer = Lane()
        self._epoch = 0
        self._tail = sqlite_write.Tail(0, 0, 0, 0)
        self._head = HeadFile(path, settings.clock_us, lossy=settings.synchronous != "FULL")
        self._turn = trio.Lock()
        self._broken: str | None = None
        self._fenced = False
        self._wal_pages = 0

    def announce(self, address: str | None) -> None:
        """Name the owner's local socket in the lock file, for the verbs of other processes."""
        self._lock.announce(address)

    async def commit(self, commit: Commit) -> None:
        self._check_process()
        with trio.CancelScope(shield=True):
            try:
                self._turn.acquire_nowait()  # mostly free, and then no turn of the scheduler is spent on it
            except trio.WouldBlock:
                await self._turn.acquire()
            try:
                await self._commit(commit)
            finally:
                self._turn.release()

    async def _commit(self, commit: Commit) -> None:
        self._check_usable()

        def work(connection: sqlite3.Connection) -> sqlite_write.Tail:
            tail = sqlite_write.write(connection, self._tail, self._epoch, commit, self._head.stamp)
            self._head.note(tail)
            return tail

        self._tail = await self._written(work)
        # A commit of one step touches about eight pages, and one of many about one for each row.
        rows = len(commit.events) + len(commit.steps) + len(commit.flows) + len(commit.commands)
        self._count_pages(8 + rows + len(commit.command_changes) + len(commit.timers) + len(commit.deliveries))

    async def _written(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            result = await self._write(work)
        except _REJECTING as error:
            raise CommitRejected(str(error)) from error
        except sqlite_write.Overtaken:
            self._fenced = True
            raise Fenced(self._path) from None
        except sqlite3.Error as error:
            self._broken = str(error)
            raise CommitFailed(self._broken) from error
        self._check_usable()  # a checkpoint may have failed before it: then nobody hears that this is durable
        return result

    def _move_log(self, connection: sqlite3.Connection) -> None:
        """In the writer's thread: a checkpoint that nobody waits for. What it can't do now it does the next time."""
        try:
            sqlite_write.checkpoint(connection)
        except sqlite3.Error as error:
            # After a sync that failed nobody knows what the disk has: nothing more is told to be durable before it was
            # read anew. A disk that is full is no such thing: the log has all of it.
            if getattr(error, "sqlite_errorcode", 0) & _PRIMARY == sqlite3.SQLITE_IOERR:
                self._broken = f"a checkpoint failed: {error}"

    async def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do housekeeping of this package's own in one transaction, between two commits; durable on return.

        Raises: as `commit`, and what the work raises, with nothing written.

        Cancellation: shielded; once begun it ends.
        """
        self._check_process()
        with trio.CancelScope(shield=True):
            async with self._turn:
                self._check_usable()
                result, rows = await self._written(partial(self._changed, work))
                self._count_pages(8 + rows // _ROWS_GONE_A_PAGE)
        return result

    def _changed(self, work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> tuple[T, int]:
        done = sqlite_write.transact(connection, work, self._epoch, self._head.stamp())
        self._head.note(self._tail)
        return done

    async def compact(self) -> None:
        """Give the disk back what archiving made free. Nothing can be committed meanwhile.

        Raises:
            CommitFailed: it could not be done, for want of room most likely; the journal is as it was.

        Cancellation: shielded; once begun it ends.
        """
        self._check_process()
        with trio.CancelScope(shield=True):
            async with self._turn:
                self._check_usable()
                try:
                    await self._write(sqlite_write.compact)
                except sqlite3.Error as error:
                    self._broken = str(error)
                    raise CommitFailed(f"it was not compacted: {error}") from error
                self._wal_pages = 0

    async def reopen(self) -> None:
        self._check_process()
        with trio.CancelScope(shield=True):
            async with self._turn:
                if not self._thread.running:
                    raise RuntimeClosed
                if self._broken is None:
                    self._broken = "it is being reopened"
                # Where nothing can be written yet, nothing is closed either: whoever reads goes on.
                await trio.to_thread.run_sync(require_room, self._path)
                try:
                    await self._thread.call(self._open_again)
                except sqlite_write.Overtaken:
                    self._fenced = True
                    raise Fenced(self._path) from None
                except JournalDamaged:
                    raise
                except (sqlite3.Error, ProcessionError) as error:
                    raise CommitFailed(str(error)) from error
                self._broken = None

    async def checkpoint(self) -> None:
        self._check_process()
        async with self._turn:
            self._check_usable()
            self._wal_pages = 0
            try:
                await self._write(sqlite_write.checkpoint)
            except sqlite3.Error as error:
                raise CommitFailed(f"a checkpoint failed: {error}") from error

    async def close_clean(self) -> None:
        self._check_process()
        with trio.CancelScope(shield=True):
            async with self._turn:
                try:
                    if self._thread.running and self._broken is None and not self._fenced:
                        now_us = self._head.stamp()
                        await self._write(partial(sqlite_write.leave, epoch=self._epoch, now_us=now_us))
                        await self._write(sqlite_write.checkpoint)
                except sqlite3.Error as error:
                    raise CommitFailed(f"the clean end is not recorded: {error}") from error
                finally:
                    await self._close()

    async def close(self) -> None:
        with trio.CancelScope(shield=True):
            async with self._turn:
                await self._close()

    async def _close(self) -> None:
        # The lock goes last: while a connection is open, nobody else may own the file.
        await self._thread.close()
        self._head.end(whole=self._broken is None and not self._fenced and os.getpid() == self._pid)
        self._use.release()
        if self._releases:
            self._lock.release()

    def _check_process(self) -> None:
        # A forked child shares descriptors with the owner, but none of its threads and none of its POSIX locks.
        if os.getpid() != self._pid:
            raise self._lock.owned()

    def _check_usable(self) -> None:
        if self._fenced:
            raise Fenced(self._path)
        if not self._thread.running:
            raise RuntimeClosed
        if self._broken is not None:
            raise CommitFailed(self._broken)

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._thread.hop(self._writer, work)

    def _count_pages(self, pages: int) -> None:
        # SQLite does not tell how many pages wait in the log: this is an estimate from above.
        self._wal_pages += pages
        if self._wal_pages >= self._settings.wal_pages_max:
            self._wal_pages = 0
            self._writer.stage(self._move_log)  # before whatever is committed next

    async def _open_first(self, now_us: int) -> None:
        """In the loop's thread: connect, check or make the schema, take over."""
        await self._connect_writer(now_us)
        self._id = await self._writer.run(sqlite_read.journal_id)
        tenure = sqlite_write.Tenure(0, self._pid, self._lock.holder.host, now_us)
        await self._writer.run(partial(head_file.check_tail, path=self._path))
        self._tail, self._epoch = await self._writer.run(
            partial(
                sqlite_write.take_over,
                journal_id=self._id,
                tenure=tenure,
                unclean_period_us=self._settings.unclean_period_us,
            )
        )
        await self._open_readers()

    async def _open_again(self) -> None:
        """In the loop's thread: close all, connect all, and commit before anything is read."""
        with suppress(sqlite3.Error):  # what fails to close is gone all the same, and the journal was broken before
            await self._close_all()
        try:
            now_us = self._settings.clock_us()
            await self._connect_writer(now_us)
            await self._writer.run(self._head.refuse_older)
            stamp_us = self._head.stamp()
            self._tail = await self._writer.run(partial(sqlite_write.barrier, epoch=self._epoch, now_us=stamp_us))
            self._head.resume(self._tail)
            await self._open_readers()
        except (sqlite3.Error, sqlite_write.Overtaken, ProcessionError):
            with suppress(sqlite3.Error, ProcessionError):  # the first error is the one to tell
                await self._close_all()
                await self._open_readers()
            raise

    async def _connect_writer(self, now_us: int) -> None:
        await self._writer.connect(sqlite_schema.uri_of(self._path, "mode=rwc"), BUSY_S)
        await self._writer.run(partial(log_again.write_again, path=self._path))
        await self._writer.run(
            partial(
                sqlite_schema.prepare_owner,
                path=self._path,
                synchronous=self._settings.synchronous,
                journal_id=self._settings.new_id or secrets.token_bytes(16),
                now_us=now_us,
            )
        )

    async def _open_readers(self) -> None:
        for _ in range(self._settings.readers):
            await self._open_lane("mode=ro")

    async def _close_all(self) -> None:
        lanes, self._lanes = [*self._lanes, self._writer], []
        self._writer = Lane()
        # The writer last: only a connection that may write can tidy the write-ahead log away.
        await close_all(lanes)


@opened_again
async def open_sqlite(
    path: str | os.PathLike[str],
    *,
    clock_us: Callable[[], int],
    synchronous: Literal["FULL", "NORMAL"] = "FULL",
    readers: int = 2,
    unclean_period_s: float = 600,
    wal_pages_max: int = 8192,
    check: Callable[[JournalReader], Awaitable[object]] | None = None,
    new_id: bytes | None = None,
    lock: Lock | None = None,
) -> SqliteJournal:
    """Open a journal file as its owner; make it where there is none.

    Args:
        path: the file; its folder must be there. A lock, `-head`, and SQLite's own `-wal` and `-shm` lie beside it.
        clock_us: the time, microseconds since 1970 in UTC.
        synchronous: `FULL` keeps every commit through a power loss; `NORMAL` may lose the last ones then.
        readers: connections that read in parallel.
        unclean_period_s: how long after an unclean end a start counts it.
        wal_pages_max: estimated pages in the write-ahead log after which it is moved into the file.
        check: looks at what is there, with nobody else owning it and nothing written yet; what it raises refuses the
            journal, whose file and write-ahead log stay as they are.
        new_id: 16 bytes for a journal that is made, else random; ids of commands derive from it, so a copy keeps it.
        lock: the lock of this file, where the caller holds it already, and lets it go after the journal is closed.

    Raises:
        JournalOwned: another process owns it, or this one already does.
        NotAJournal, JournalTooNew: what is there is something else, or of a newer version; untouched.
        JournalUnwritable: the folder or file refuses writing.
        JournalDamaged: the journal ends before its last commit, or its head file says that it was further.

    Cancellation: everything that was opened is closed, and the lock released.
    """
    assert readers >= 1
    name = os.path.realpath(path)
    sqlite_schema.check_place(name)
    now_us = clock_us()
    use = FileUse(name)
    own: Lock | None = None
    journal: SqliteJournal | None = None
    try:
        if use.first:
            sqlite_schema.check_header(name)
        if lock is None:
            lock = own = await ownership.acquire(name, now_us)
        if os.path.lexists(head_file.head_path(name)):
            await trio.to_thread.run_sync(inside, partial(head_file.refuse_older, name))
        await look(name, check)
        settings = _Settings(synchronous, readers, int(unclean_period_s * 1_000_000), wal_pages_max, clock_us, new_id)
        thread = LoopThread(name)
        opening = SqliteJournal(name, thread, settings, lock, use, release=own is not None)
        thread.end_with(opening._close_all)
        await opened(thread, partial(opening._open_first, now_us))
        journal = opening
        journal._head.begin(journal._id, journal._epoch, now_us, journal._tail)
    except sqlite3.OperationalError as error:
        raise JournalUnwritable(name, str(error)) from error
    except sqlite3.DatabaseError as error:
        raise JournalDamaged(name, str(error)) from error
    finally:
        if journal is None:
            use.release()
            if own is not None:
                own.release()
    return journal
