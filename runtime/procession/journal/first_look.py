"""Looking at a journal that is about to be opened by its owner, by connections that can't write."""

# Names go to the OS as they are, and these calls do not wait for a disk.
# ruff: noqa: ASYNC240

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from procession.journal.journal import JournalReader
from procession.journal.sqlite_reader import read_sqlite
from procession.journal_errors import NotAJournal


async def look(path: str, check: Callable[[JournalReader], Awaitable[object]]) -> None:
    """Have a check look at what is there, where anything is. Raises what the check raises, and as `read_sqlite`."""
    if not os.path.exists(path) or not os.path.getsize(path):
        return
    try:
        reader = await read_sqlite(path)
    except NotAJournal:
        return  # nothing is in it yet, it was not made to its end, or it is something else; opening tells which
    try:
        await check(reader)
    finally:
        await reader.close()
