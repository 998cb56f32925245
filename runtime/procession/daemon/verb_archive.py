"""`procession archive`: flows that ended long ago go to files beside the journal. It owns the journal while it runs."""

from __future__ import annotations

import argparse
import os
import shutil
import time
from pathlib import Path

import attrs
import trio

from procession.daemon.configuration import configured
from procession.daemon.durations import human, now_us, parse_age
from procession.daemon.exit_codes import UsageRefused
from procession.daemon.local_client import Owner, owner_of
from procession.daemon.output import Output
from procession.daemon.progress import Progress
from procession.daemon.stopping import Stop, run_stoppable
from procession.daemon.verb_repair import whoever
from procession.engine.clock import SystemClock
from procession.engine.lone_act import log_act
from procession.journal.archived import Archived
from procession.journal.archiver import Archiver, Survey, survey
from procession.journal.sqlite import SqliteJournal, open_sqlite
from procession.journal.sqlite_archive import ArchiveQuery, ArchiveRow
from procession.journal.sqlite_read import Room, room
from procession.journal.sqlite_reader import read_sqlite
from procession.journal_errors import JournalUnwritable
from procession.primitives.event import JournalArchived

_US = 1_000_000
_LOOK_S = 0.2


def run(options: argparse.Namespace, output: Output) -> int:
    """Archive, compact, or both."""
    if options.older_than is None and not (options.compact and not options.dry_run):
        raise UsageRefused("nothing is asked for", "say which flows go with --older-than 90d, or --compact alone")
    age_s = None if options.older_than is None else parse_age(options.older_than)
    journal = configured(options).existing_journal()
    return run_stoppable(lambda stop: _run(options, output, journal, age_s, stop))


@attrs.define
class _Told:
    """What the verb tells in the end."""

    found: Survey | None = None
    done: Archived | None = None
    compacted: tuple[int, int] | None = None
    """Bytes of the file before and after."""


async def _run(options: argparse.Namespace, output: Output, path: str, age_s: float | None, stop: Stop) -> int:
    began, told, owner = time.perf_counter(), _Told(), owner_of(path)
    if owner is not None:
        await _ask(options, output, owner, path, age_s, told, stop)
        _report(options, output, path, told, time.perf_counter() - began, stop)
        return 0
    journal = await open_sqlite(path, clock_us=now_us)
    try:
        if age_s is not None:
            query = ArchiveQuery(now_us() - int(age_s * _US), options.process)
            told.found = await survey(journal, query, options.limit)
            if not options.dry_run:
                told.done = await _archive(options, output, journal, query, told.found, stop)
        if options.compact and not options.dry_run and stop.signal is None:
            told.compacted = await _compact(output, journal)
        await journal.close_clean()
    finally:
        await journal.close()
    _report(options, output, path, told, time.perf_counter() - began, stop)
    return stop.exit_code or 0


async def _ask(
    options: argparse.Namespace, output: Output, owner: Owner, path: str, age_s: float | None, told: _Told, stop: Stop
) -> None:
    """What can be done beside the running owner: counting, and having it archive between its commits."""
    if options.compact:
        owned = f"--compact needs the journal for itself, and process {owner.pid} owns it"
        raise UsageRefused(owned, "stop that first, or leave it out")
    assert age_s is not None, "one of both was asked for"
    reader = await read_sqlite(path)
    try:
        query = ArchiveQuery(now_us() - int(age_s * _US), options.process)
        told.found = await survey(reader, query, options.limit)
    finally:
        await reader.close()
    if options.dry_run:
        return
    output.say(f"process {owner.pid} owns the journal and archives {told.found.flows:,} flows between its commits")
    by, why = options.by or whoever(), options.reason or f"older than {options.older_than}"
    found = await stop.asking(
        lambda: owner.ask("archive", older_than_s=age_s, by=by, why=why, process=options.process, limit=options.limit)
    )
    told.done = Archived(**found)


async def _archive(
    options: argparse.Namespace, output: Output, journal: SqliteJournal, query: ArchiveQuery, found: Survey, stop: Stop
) -> Archived:
    progress = Progress("archive", "flows", output.stderr, total=found.flows)
    by, why = options.by or whoever(), options.reason or f"older than {options.older_than}"

    async def log(row: ArchiveRow) -> None:
        await log_act(journal, SystemClock(), JournalArchived(row.number, row.flows, row.events, by, why))

    def show(done: Archived) -> None:
        progress.show(done.flows, done.flows, f"{done.events:,} events, file {done.files:,}")

    archiver = Archiver(journal, now_us(), on_progress=show, log=log)
    try:
        return await archiver.run(query, flows_max=options.limit, stopped=lambda: stop.signal is not None)
    finally:
        progress.clear()


async def _compact(output: Output, journal: SqliteJournal) -> tuple[int, int]:
    """Rewrite the file without what is free in it; said before, since it takes room and time and does not stop."""
    before: Room = await journal.ask(room)
    needed, free = 2 * before.used_bytes, shutil.disk_usage(Path(journal.path).parent).free
    if free < needed:
        raise JournalUnwritable(journal.path, f"compacting needs {needed:,} bytes on its disk, {free:,} are free")
    output.say(
        f"compacting: {before.free_bytes:,} of {before.free_bytes + before.used_bytes:,} bytes are free;"
        f" it needs up to {needed:,} bytes on the disk meanwhile, and nothing is lost if it is killed"
    )
    progress = Progress("compact", "bytes", output.stderr, total=before.used_bytes)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_watch, progress, f"{journal.path}-wal")
        await journal.compact()
        nursery.cancel_scope.cancel()
    progress.clear()
    after: Room = await journal.ask(room)
    return before.used_bytes + before.free_bytes, after.used_bytes + after.free_bytes


async def _watch(progress: Progress, log: str) -> None:
    """SQLite writes the file anew beside it first, then through the write-ahead log, whose growth can be seen."""
    while True:
        size = os.stat(log).st_size if os.path.exists(log) else 0  # noqa: ASYNC240, PTH110, PTH116 - does not wait
        progress.show(size, size, "" if size else "copying what stays")
        await trio.sleep(_LOOK_S)


def _report(options: argparse.Namespace, output: Output, path: str, told: _Told, seconds: float, stop: Stop) -> None:
    found, done, compacted = told.found, told.done, told.compacted
    if output.as_json:
        output.json(
            {
                "journal": path,
                "dry_run": bool(options.dry_run),
                "flows": found.flows if options.dry_run and found else done.flows if done else 0,
                "steps": found.steps if found else 0,
                "events": done.events if done else 0,
                "files": done.files if done else 0,
                "bytes": done.bytes if done else 0,
                "resumed": done.resumed if done else 0,
                "bytes_before": compacted[0] if compacted else None,
                "bytes_after": compacted[1] if compacted else None,
                "seconds": round(seconds, 3),
                "stopped_by": None if stop.signal is None else stop.signal.name,
            }
        )
        return
    if options.dry_run and found:
        output.line(f"{found.flows:,} flows with {found.steps:,} steps would go")
    elif done:
        files = f"{done.files:,} new file{'' if done.files == 1 else 's'} of {done.bytes:,} bytes"
        output.line(f"{done.flows:,} flows and {done.events:,} events archived in {human(seconds)}, {files}")
    if compacted:
        output.line(f"the journal has {compacted[1]:,} bytes, before it had {compacted[0]:,}")
    if done and done.flows and not compacted:
        output.say("the room is free for new events; `procession archive --compact` gives it back to the disk")
    if stop.signal is not None:
        output.say("stopped; the next run goes on here")
