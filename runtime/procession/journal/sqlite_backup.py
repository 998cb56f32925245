"""Copying a SQLite journal while it is written, and what `doctor` asks of SQLite and of the disk."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Sequence

import attrs
import trio

from procession.journal.archive_file import digest_of
from procession.journal.archive_folder import ArchiveFolder, folder_of, name_of
from procession.journal.sqlite_archive import ArchiveRow, archives
from procession.journal_errors import ArchiveUnreadable, JournalUnwritable

_SAMPLES = 20
_SAMPLE_BYTES = 4096
_WAL_RESET_MENDED = (3, 51, 3)


def write_backup(source: sqlite3.Connection, target: str, folder: ArchiveFolder) -> None:
    """Copy what the connection sees into a new file, complete and synced, or not at all; its archive files too.

    Raises:
        JournalUnwritable: the target exists or can't be written; nothing is left of it.
        ArchiveUnreadable: an archive file is missing or damaged; as above.
    """
    for name in (target, folder_of(target)):
        if os.path.lexists(name):
            raise JournalUnwritable(name, "it exists, and a backup overwrites nothing")
    half = f"{target}.half-{os.getpid()}"
    try:
        _copy_archives(archives(source), folder, folder_of(target))
        os.close(os.open(half, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            _copy(source, half)
            _sync(half)
            os.link(half, target)  # refuses a target that came up meanwhile, which a rename would replace
            _sync(os.path.dirname(os.path.abspath(target)))
        finally:
            for name in (half, f"{half}-wal", f"{half}-shm", f"{half}-journal"):
                if os.path.lexists(name):
                    os.unlink(name)
            if not os.path.lexists(target):
                shutil.rmtree(folder_of(target), ignore_errors=True)
    except OSError as error:
        raise JournalUnwritable(target, error.strerror or str(error)) from error
    except sqlite3.OperationalError as error:
        raise JournalUnwritable(target, str(error)) from error


def _copy_archives(rows: Sequence[ArchiveRow], folder: ArchiveFolder, target: str) -> None:
    """Copy archive files, which never change, and check what was copied."""
    if not rows:
        return
    os.mkdir(target)
    whole = False
    try:
        for row in rows:
            origin, copy = folder.file(row.number), os.path.join(target, name_of(row.number))
            if digest_of(origin) != row.sha256:
                raise ArchiveUnreadable(origin, "it is not what was written: its SHA-256 differs")
            shutil.copyfile(origin, copy)
            shutil.copymode(origin, copy)
            if digest_of(copy) != row.sha256:
                raise JournalUnwritable(copy, "what was written is not what was read: its SHA-256 differs")
            _sync(copy)
        _sync(target)
        whole = True
    finally:
        if not whole:
            shutil.rmtree(target, ignore_errors=True)


def _copy(source: sqlite3.Connection, half: str) -> None:
    copy = sqlite3.connect(half, isolation_level=None)
    try:
        source.backup(copy)  # in one step: a backup in several begins anew whenever the owner commits
        # The copy ended in order, whatever its original does: the owner of the copy has no crash to count.
        copy.execute("pragma journal_mode = delete")
        copy.execute("update owner set clean = 1")
        copy.execute("pragma journal_mode = wal")
    finally:
        copy.close()


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@attrs.frozen
class SqliteFacts:
    """What `doctor` tells of the SQLite library in use."""

    version: str
    wal_reset_fault: bool
    """Before 3.51.3 a checkpoint that races a commit of another connection can lose pages. Here one connection alone
    writes and checkpoints, so the fault has no occasion; a second program that writes to the file would give it one."""


def sqlite_facts() -> SqliteFacts:
    """The SQLite library of this Python."""
    return SqliteFacts(sqlite3.sqlite_version, sqlite3.sqlite_version_info < _WAL_RESET_MENDED)


async def fsync_times_ms(folder: str | os.PathLike[str]) -> list[float]:
    """How long a small write takes until the disk has it, a few times over, in milliseconds.

    Raises:
        OSError: the folder can't be written.
    """
    return await trio.to_thread.run_sync(_fsync_times_ms, os.fspath(folder))


def _fsync_times_ms(folder: str) -> list[float]:
    times_ms: list[float] = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_SAMPLES):
            began = time.perf_counter()
            file.write(bytes(_SAMPLE_BYTES))
            file.flush()
            os.fsync(file.fileno())
            times_ms.append((time.perf_counter() - began) * 1000)
    return times_ms
