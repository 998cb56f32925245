"""Opening and closing the connections of a journal: all of them or none, whatever becomes of each."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence

import trio

from procession.journal.sqlite_thread import Lane, LoopThread


async def close_all(lanes: Sequence[Lane]) -> None:
    """Close every lane, whatever becomes of the others; the first error is raised at the end."""
    errors: list[sqlite3.Error] = []
    for lane in lanes:
        try:
            await lane.close()
        except sqlite3.Error as error:
            errors.append(error)
    if errors:
        raise errors[0]


async def opened(thread: LoopThread, work: Callable[[], Awaitable[None]]) -> None:
    """Run the opening of a journal; if it fails or is cancelled, nothing of it is left."""
    complete = False
    try:
        # Shielded: what is being opened can't be closed before it is open.
        with trio.CancelScope(shield=True):
            await thread.call(work)
        await trio.lowlevel.checkpoint_if_cancelled()
        complete = True
    finally:
        if not complete:
            await thread.close()
