"""Archiving that is killed at random moments, again and again, until it is done; then everything is compared.

python -m tests.crash.archiving FOLDER --flows 1000000 --kills 20      by hand, on a journal made for it
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs
import trio

from procession import open_runtime
from procession.engine.clock import SystemClock
from procession.engine.lone_act import log_act
from procession.journal.archiver import FILE_FLOWS_MAX, Archiver
from procession.journal.rows import FlowQuery, JournalCounts
from procession.journal.sqlite import open_sqlite
from procession.journal.sqlite_archive import ArchiveQuery, ArchiveRow
from procession.journal.sqlite_reader import SqliteReader, read_sqlite
from procession.primitives.event import JournalArchived
from procession.reading.timeline import read_timeline
from tests.bench import large, saga

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
_PAGE = 2000
_BATCH = 256
_AFTER_LINE_SLICES_MAX = 2


@attrs.frozen
class Content:
    """All that must be the same after archiving as before."""

    counts: JournalCounts
    events: str
    """A digest over every event, in order."""
    timelines: tuple[Any, ...]
    """Of every so many flows, all that `show` tells."""


@attrs.define
class Report:
    """What came of it."""

    kills: int = 0
    ended_early: int = 0
    """Runs that came to their end before they were killed."""
    left: list[tuple[int, int]] = attrs.field(factory=list)
    """By kill: flows and events that had gone."""
    faults: list[str] = attrs.field(factory=list)
    accepted_again: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    same: bool = False
    seconds: dict[str, float] = attrs.field(factory=dict)


async def content(path: Path, upto: int, every: int) -> Content:
    """Read a journal whole: the events up to a position, and every so many flows."""
    reader = await read_sqlite(path)
    try:
        digest, position = hashlib.sha256(), 0
        while page := await reader.events(position, _PAGE, (), upto):
            digest.update(repr(page).encode())
            position = page[-1].position
        timelines = [
            await read_timeline(reader, "order", large.key_of(n)) for n in range(1, await _flows(reader), every)
        ]
        return Content(await reader.counts(), digest.hexdigest(), tuple(map(repr, timelines)))
    finally:
        await reader.close()


async def _flows(reader: SqliteReader) -> int:
    return (await reader.heads()).flow + 1


async def archive(path: Path, slice_s: float, file_flows_max: int = FILE_FLOWS_MAX) -> None:
    """One life of the child: archive all that has ended; a line before each transaction and one after it."""
    journal = await open_sqlite(path, clock_us=SystemClock().now_us)

    async def log(row: ArchiveRow) -> None:
        await log_act(
            journal, SystemClock(), JournalArchived(row.number, row.flows, row.events, "test", "to be killed")
        )

    try:
        _tell()
        archiver = Archiver(
            journal,
            SystemClock().now_us(),
            slice_s=slice_s,
            file_flows_max=file_flows_max,
            before_slice=_tell,
            on_progress=_tell,
            log=log,
        )
        await archiver.run(ArchiveQuery(SystemClock().now_us()))
        await journal.close_clean()
    finally:
        await journal.close()


def _tell(*_: object) -> None:
    print(flush=True)


def run_with_kills(
    folder: Path,
    flows: int,
    *,
    kills: int,
    seed: int,
    lines_max: int,
    sample_every: int,
    slice_s: float = 0.02,
    file_flows_max: int = FILE_FLOWS_MAX,
) -> Report:
    """Make a journal of which nine of ten flows have ended, archive it under kills, and compare."""
    path, report, chance = folder / "large.db", Report(), random.Random(seed)
    if not path.exists():
        _timed(report, "make", lambda: large.write(path, large.Large(flows, 10)))
    report.bytes_before = path.stat().st_size
    upto = 10 * flows
    before = _timed(report, "read before", lambda: content(path, upto, sample_every))
    began = time.perf_counter()
    while report.kills < kills and not report.ended_early:
        arguments = (str(path), "--child", str(slice_s), "--file-flows-max", str(file_flows_max))
        _killed_once(
            report, chance.randint(1, lines_max), chance.uniform(0, _AFTER_LINE_SLICES_MAX * slice_s), arguments
        )
        report.left.append(trio.run(_gone, path))
    report.seconds["archive under kills"] = time.perf_counter() - began
    _timed(report, "archive the rest", lambda: archive(path, slice_s))
    report.faults += _timed(report, "verify", lambda: _faults(path))
    _timed(report, "compact", lambda: _compact(path))
    report.bytes_after = path.stat().st_size
    report.faults += trio.run(_faults, path)
    report.same = _same(before, _timed(report, "read after", lambda: content(path, before.counts.events, sample_every)))
    report.accepted_again = _timed(report, "publish again", lambda: _publish_again(path, flows))
    return report


def _killed_once(report: Report, lines: int, more_s: float, arguments: Sequence[str]) -> None:
    """Let the child tell so many lines, then live a moment longer."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "tests.crash.archiving", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        for _ in range(lines):
            child.stdout.readline()
        time.sleep(more_s)
        child.kill()
    if child.returncode == 0:
        report.ended_early += 1
    else:
        report.kills += 1


async def _gone(path: Path) -> tuple[int, int]:
    """What has gone, and whether the chains hold: checked without the files, which takes long, after each kill."""
    reader = await read_sqlite(path)
    try:
        gone = await reader.ask(
            lambda connection: connection.execute(
                "select (select count(*) from archived_flow), (select coalesce(sum(number), 0) from event_tombstone)"
            ).fetchone()
        )
        flows, events = gone
        return flows, events
    finally:
        await reader.close()


async def _faults(path: Path) -> list[str]:
    reader = await read_sqlite(path)
    try:
        return [f"{fault.code}: {fault.found}" for fault in await reader.verify()]
    finally:
        await reader.close()


async def _compact(path: Path) -> None:
    journal = await open_sqlite(path, clock_us=SystemClock().now_us)
    await journal.compact()
    await journal.close_clean()


def _same(before: Content, after: Content) -> bool:
    """All is as it was, but for the acts that say that it was archived."""
    acts = after.counts.events_by_type.get("procession.journal_archived", 0)
    by_type = {name: n for name, n in after.counts.events_by_type.items() if name != "procession.journal_archived"}
    counts = attrs.evolve(after.counts, events=after.counts.events - acts, events_by_type=by_type)
    return acts > 0 and attrs.evolve(after, counts=counts) == before


async def _publish_again(path: Path, flows: int) -> int:
    """Publish every event from outside again; how many were accepted."""
    async with open_runtime(path, processes=[saga.Order], gateways=large.gateways()) as runtime:
        for first in range(1, flows + 1, _BATCH):
            await runtime.publish([large.placed(n) for n in range(first, min(first + _BATCH, flows + 1))])
        counters = runtime.counters()
        ended = await runtime.journal.flows(FlowQuery(status=("ended",)), 0, 1)
    assert counters["procession_events_duplicate"] == flows, counters
    assert ended, "the flows are still listed"
    return counters["procession_events_accepted"]


def _timed(report: Report, what: str, work: Callable[[], Awaitable[T]]) -> T:
    began = time.perf_counter()
    found: T = trio.run(work)
    report.seconds[what] = time.perf_counter() - began
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Archive a large journal under kills, and compare.")
    parser.add_argument("place", type=Path, help="a folder; a journal large.db in it is used")
    parser.add_argument("--flows", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--lines-max", type=int, default=300)
    parser.add_argument("--file-flows-max", type=int, default=FILE_FLOWS_MAX)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", type=float, metavar="SLICE_S", help="be the one that is killed")
    given = parser.parse_args()
    if given.child is not None:
        trio.run(archive, given.place, given.child, given.file_flows_max)
        return
    report = run_with_kills(
        given.place,
        given.flows,
        kills=given.kills,
        seed=given.seed,
        lines_max=given.lines_max,
        sample_every=997,
        slice_s=0.1,
        file_flows_max=given.file_flows_max,
    )
    print(report)


if __name__ == "__main__":
    main()
