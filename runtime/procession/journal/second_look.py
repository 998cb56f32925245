"""A question is asked twice, and a journal opened twice, before it counts as damaged.

Where the disk fails to read a page by EIO, SQLite does not say so: it says that the file is malformed, as if it were
damaged (`SQLITE_IOERR_CORRUPTFS`). A damaged journal ends the runtime and asks for a backup, a disk that failed once
needs neither: so it is believed when it is said again.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from procession.journal_errors import JournalDamaged

P = ParamSpec("P")
T = TypeVar("T")
logger = logging.getLogger("procession.journal")
_PRIMARY = 0xFF
"""Of SQLite's codes these bits say the kind of error."""


def answer(question: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    """Ask a question that changes nothing.

    Raises: what it raises; where SQLite says that the file is malformed, what it raises the second time.
    """
    try:
        return question(connection)
    except sqlite3.DatabaseError as error:
        if not _is_malformed(error):
            raise
        said = str(error)
    found = question(connection)
    _log_failed_read(said)
    return found


def opened_again(open_: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Open a journal by this, which leaves nothing open where it fails; once more where SQLite says it is malformed."""

    @wraps(open_)
    async def opening(*given: P.args, **named: P.kwargs) -> T:
        try:
            return await open_(*given, **named)
        except JournalDamaged as error:
            if not _is_malformed(error.__cause__):
                raise
            said = str(error.__cause__)
        journal = await open_(*given, **named)
        _log_failed_read(said)
        return journal

    return opening


def _is_malformed(error: BaseException | None) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY == sqlite3.SQLITE_CORRUPT


def _log_failed_read(said: str) -> None:
    logger.warning("SQLite said %r of the journal, and read it well the next time: its disk failed to read", said)


def in_transaction(question: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    """The same in a read transaction of its own: what it reads belongs together."""
    connection.execute("begin")
    try:
        return answer(question, connection)
    finally:
        if connection.in_transaction:  # SQLite ends it itself where its disk fails
            connection.execute("rollback")
