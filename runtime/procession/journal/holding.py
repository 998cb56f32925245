"""Owning the file of a journal before anything of it is opened: what only its owner may take comes in between."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from procession.journal.ownership import HeldJournal, acquire
from procession.journal.sqlite_schema import FileUse, check_header, check_place


@contextlib.asynccontextmanager
async def held(path: str | Path, now_us: int) -> AsyncIterator[HeldJournal]:
    """Own the file of a journal for as long as the block; the journal, if it is made or opened, closes within it.

    Raises:
        JournalOwned: another process owns it, or this one already does.
        NotAJournal, JournalTooNew, JournalUnwritable: what is there, or the place, can't be used; untouched.
    """
    name = os.path.realpath(path)  # noqa: ASYNC240 - does not wait for a disk
    check_place(name)
    use = FileUse(name)
    try:
        if use.first:
            check_header(name)
    finally:
        use.release()
    lock = await acquire(name, now_us)
    try:
        yield HeldJournal(str(path), lock)
    finally:
        lock.release()
