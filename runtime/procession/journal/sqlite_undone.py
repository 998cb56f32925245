"""What a SQLite journal holds undone, and how large it is: costs by what is undone only."""

from __future__ import annotations

import os
import sqlite3

from procession.journal.undone import FileSizes, Nested, Undone


def undone(connection: sqlite3.Connection) -> Undone:
    """Read from indexes that hold what is undone and nothing else."""
    ask = connection.execute
    # The second condition is that of the index.
    flows = ask(
        "select process, status, count(*) from flow"
        " where status in ('unstarted', 'active', 'quarantined') and status <> 'ended' group by process, status"
    )
    deliveries = ask("select state, count(*), min(position) from delivery group by state").fetchall()
    oldest = {
        state: recorded_us
        for state, _, position in deliveries
        for (recorded_us,) in ask("select recorded_us from event where position = ?", (position,))
    }
    return Undone(
        _nested(flows.fetchall()),
        {state: count for state, count, _ in deliveries},
        oldest,
        dict(ask("select gateway, count(*) from command where state = 'open' group by gateway").fetchall()),
        ask("select count(*) from timer").fetchone()[0],
    )


def sizes_of(path: str) -> FileSizes:
    """Asks the file system; opens nothing.

    Raises:
        OSError: the file is not there any more, or can't be looked at.
    """
    disk = os.statvfs(path)
    try:
        wal_bytes = os.stat(f"{path}-wal").st_size
    except FileNotFoundError:
        wal_bytes = 0  # between two openings there is none
    return FileSizes(os.stat(path).st_size, wal_bytes, disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)


def _nested(rows: list[tuple[str, str, int]]) -> Nested:
    found: Nested = {}
    for outer, inner, count in rows:
        found.setdefault(outer, {})[inner] = count
    return found
