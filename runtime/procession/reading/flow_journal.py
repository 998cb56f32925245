"""One flow as a journal of its own: what `procession import` makes, and what a fork in a sandbox is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from procession.journal.sqlite import open_sqlite
from procession.reading.flow_file import FlowFile, import_flow


async def write_flow_journal(target: Path, file: FlowFile, clock_us: Callable[[], int]) -> None:
    """Make a journal at a path where nothing is, with that flow alone; it is closed in order.

    Raises:
        ProcessionError: the rows do not fit each other, or nothing can be written there. What there is of it is the
            caller's to remove.
    """
    journal = await open_sqlite(target, clock_us=clock_us, new_id=file.journal_id)
    try:
        await import_flow(journal, file)
        await journal.close_clean()
    finally:
        await journal.close()
