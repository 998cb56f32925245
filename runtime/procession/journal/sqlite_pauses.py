"""What was paused and resumed, by an index of its own."""

from __future__ import annotations

import sqlite3

from procession.journal.journal import PAUSES
from procession.journal.rows import EventRow

_TYPES = ", ".join(f"'{name}'" for name in PAUSES)
ASKED = f"select {', '.join(EventRow._fields)} from event where type in ({_TYPES}) order by +position"
"""In the words of the index, which is not used otherwise; by `+`, not in the order of the whole table."""


def pauses(connection: sqlite3.Connection) -> list[EventRow]:
    """See `JournalReader.pauses`. A journal of an earlier schema is read whole for it."""
    return list(map(EventRow._make, connection.execute(ASKED)))
