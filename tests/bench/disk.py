"""Bytes on the disk: per event of the saga beside the same rows written by raw sqlite3, and per flow that waits."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import trio

from tests.bench import floor, memory, saga
from tests.bench.figures import Figures


def measure(folder: Path, *, flows: int = 5000) -> Figures:
    """One round."""
    product, raw = folder / "saga.db", folder / "raw.db"
    trio.run(saga.throughput, product, flows)
    floor.write(raw, product, floor.grouped(floor.read_back(product), 256))
    waiting = folder / "waiting.db"
    trio.run(memory.flows_in_memory, waiting, flows)
    events, event_bytes, all_bytes = _pages(waiting)
    assert events == flows, f"{events} events of {flows} flows"
    saga_events, _, saga_bytes = _pages(product)
    return {
        "bytes_per_event": saga_bytes / saga_events,
        "raw_bytes_per_event": _pages(raw)[2] / saga_events,
        "waiting_bytes_beyond_event": (all_bytes - event_bytes) / flows,
    }


def _pages(path: Path) -> tuple[int, int, int]:
    """Events; bytes of the pages that hold events and what finds them; bytes of all pages in use."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        (events,) = connection.execute("select count(*) from event").fetchone()
        page, pages, free = (
            connection.execute(f"pragma {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count")
        )
        (held,) = connection.execute(
            "select sum(pgsize) from dbstat where name in ('event', 'event_source')"
        ).fetchone()
    return events, held, page * (pages - free)
