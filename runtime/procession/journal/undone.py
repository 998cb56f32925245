"""How much a journal holds undone, and how large it is: for those who watch a service. Costs by what is undone only."""

from __future__ import annotations

import attrs

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
