"""Looking at a journal that is about to be opened by its owner, by connections that can't write."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from procession.journal.journal import JournalReader
from procession.journal.sqlite_reader import read_sqlite
from procession.journal_errors import NotAJournal


async def look(path: str, check: Callable[[JournalReader], Awaitable[object]] | None) -> None:
    """Have a check look at what is there, where anything is. Raises what the check raises, and as `read_sqlite`.

    A write-ahead log is looked at without a check too: it may have a newer schema, and whoever closes a connection that
    may write moves it into the file.
    """
    if not _has_bytes(path) or (check is None and not _has_bytes(f"{path}-wal")):
        return
    try:
        reader = await read_sqlite(path)
    except NotAJournal:
        return  # nothing is in it yet, it was not made to its end, or it is something else; opening tells which
    try:
        if check is not None:
            await check(reader)
    finally:
        await reader.close()


def _has_bytes(path: str) -> bool:
    return os.path.exists(path) and os.path.getsize(path) > 0
