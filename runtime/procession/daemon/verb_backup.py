"""`procession backup`: a whole, synced copy of the journal; beside a running owner or with none."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import trio

from procession.daemon.configuration import configured
from procession.daemon.durations import human
from procession.daemon.exit_codes import UsageRefused
from procession.daemon.output import Output
from procession.journal.rows import Heads
from procession.journal.sqlite_reader import read_sqlite


def run(options: argparse.Namespace, output: Output) -> int:
    """Copy the journal; the target is whole, or not there."""
    journal = configured(options).existing_journal()
    if os.path.lexists(options.target):
        raise UsageRefused(f"{options.target} exists, and a backup overwrites nothing", "name a file that is not there")
    began = time.perf_counter()
    heads = trio.run(_backup, journal, options.target)
    seconds = time.perf_counter() - began
    size = Path(options.target).stat().st_size
    if output.as_json:
        output.json(
            {
                "journal": journal,
                "target": options.target,
                "bytes": size,
                "position": heads.position,
                "seconds": round(seconds, 3),
            }
        )
        return 0
    output.line(options.target)
    output.say(f"{size:,} bytes in {human(seconds)}, up to position {heads.position} at least")
    return 0


async def _backup(journal: str, target: str) -> Heads:
    reader = await read_sqlite(journal)
    try:
        heads = await reader.heads()
        await reader.backup(target)
    finally:
        await reader.close()
    return heads
