"""The write-ahead log written once more, before anything is added to it.

What the kernel could not write it takes for written, once one sync has failed: it reads as it was handed over, and no
later sync tries it again. (Linux does so; https://wiki.postgresql.org/wiki/Fsync_Errors has the story.) A commit behind
such frames would be synced, and told to be durable; and after a power loss SQLite would end the log before them. A
process that was killed hears of no sync at all. So whoever opens a journal to write has the log that is there written
again, byte for byte, and synced.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

_CHUNK_BYTES = 1 << 18
_sync = getattr(os, "fdatasync", os.fsync)
"""As SQLite does: the size of the log does not change."""


def write_again(connection: sqlite3.Connection, path: str) -> None:
    """Write the log of a journal again, while nobody else can add to it; nothing where there is none.

    Args:
        connection: one that may write, in no transaction.
        path: the journal.

    Raises:
        sqlite3.OperationalError: the disk refuses, or somebody else writes for too long.
    """
    log = Path(f"{path}-wal")
    if not _is_there(log):
        return
    connection.execute("begin immediate")
    try:
        if not _is_there(log):  # as SQLite opened the journal it saw that it is of no use
            return
        # SQLite has its locks at the journal, not at its log: to close this here lets none of them go.
        file = os.open(log, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
        try:
            _write_again(file)
        finally:
            os.close(file)
    except OSError as error:
        msg = f"disk I/O error: the write-ahead log can't be written again: {error.strerror}"
        raise sqlite3.OperationalError(msg) from error
    finally:
        connection.execute("rollback")


def _is_there(log: Path) -> bool:
    return log.exists() and log.stat().st_size > 0


def _write_again(file: int) -> None:
    at = 0
    while chunk := os.pread(file, _CHUNK_BYTES, at):
        done = 0
        while done < len(chunk):
            done += os.pwrite(file, chunk[done:], at + done)
        at += len(chunk)
    _sync(file)
