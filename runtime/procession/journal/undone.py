"""How much a journal holds undone, and how large it is: for those who watch a service. Costs by what is undone only."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Iterable

import attrs

from procession.journal.memory_store import Store

Nested = dict[str, dict[str, int]]


@attrs.frozen
class FileSizes:
    """What the journal's file takes, and the disk that it lies on."""

    main_bytes: int
    wal_bytes: int
    """The write-ahead log."""
    disk_free_bytes: int
    """That this user may take."""
    disk_bytes: int


@attrs.frozen
class Undone:
    """What is not done yet."""

    flows: Nested
    """process or aggregate -> status -> number, of those that have not ended."""
    deliveries: dict[str, int]
    """state -> number."""
    oldest_us: dict[str, int]
    """state -> when the oldest event of such a delivery was recorded."""
    commands: dict[str, int]
    """gateway or aggregate -> open commands."""
    timers: int
    file: FileSizes | None = None
    """None where it lies in no file."""


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
        _counted(flows.fetchall()),
        {state: count for state, count, _ in deliveries},
        oldest,
        dict(ask("select gateway, count(*) from command where state = 'open' group by gateway").fetchall()),
        ask("select count(*) from timer").fetchone()[0],
    )


def _counted(rows: Iterable[tuple[str, str, int]]) -> Nested:
    found: Nested = {}
    for outer, inner, count in rows:
        found.setdefault(outer, {})[inner] = count
    return found


def undone_in(store: Store) -> Undone:
    """The same of a journal in memory."""
    flows = [row for row in store.flows.values() if row.status in ("unstarted", "active", "quarantined")]
    deliveries = [row for of_flow in store.deliveries.values() for row in of_flow.values()]
    oldest: dict[str, int] = {}
    for row in sorted(deliveries, key=lambda row: row.position):
        oldest.setdefault(row.state, store.events[row.position].recorded_us)
    return Undone(
        nested((row.process, row.status) for row in flows),
        dict(Counter(row.state for row in deliveries)),
        oldest,
        dict(Counter(row.gateway for row in store.commands.values() if row.state == "open")),
        len(store.timers),
    )


def nested(pairs: Iterable[tuple[str, str]]) -> Nested:
    """How often each pair is there."""
    return _counted((outer, inner, count) for (outer, inner), count in Counter(pairs).items())


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
