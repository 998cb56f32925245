"""Archiving that is killed at random moments, again and again, until it is done; then everything is compared.

python -m tests.crash.archiving --flows 20000 --kills 20 --file-flows-max 500 --lines-max 2 --moment-s-max 0.04
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
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs
import trio

from procession import open_runtime
from procession.engine.clock import SystemClock
from procession.engine.lone_act import log_act
from procession.journal.archived import Archived
from procession.journal.archiver import FILE_FLOWS_MAX, Archiver
from procession.journal.rows import FlowQuery, JournalCounts
from procession.journal.sqlite import open_sqlite
from procession.journal.sqlite_archive import ArchiveQuery, ArchiveRow
from procession.journal.sqlite_reader import SqliteReader, read_sqlite
from procession.primitives.event import JournalArchived
from procession.reading.timeline import read_timeline
from tests.bench import large, saga
from tests.crash.counts import Counts, add_arguments, hand_out

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
_PAGE = 2000
_BATCH = 256
_LIVE_EVERY = 10
_ENDED_SHARE = 1 - 1 / _LIVE_EVERY


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
    left: list[tuple[int, int, int]] = attrs.field(factory=list)
    """By kill: flows and events that had gone, and files that the journal named."""
    faults: list[str] = attrs.field(factory=list)
    accepted_again: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    same: bool = False
    seconds: dict[str, float] = attrs.field(factory=dict)

    @property
    def counts(self) -> Counts:
        """As figures."""
        figures = {
            "kills while it was archived": self.kills,
            "flows that had gone at the last of them": max((flows for flows, _, _ in self.left), default=0),
            "accepted again": self.accepted_again,
            "MB before": self.bytes_before / 1e6,
            "MB after": self.bytes_after / 1e6,
        }
        breaches = [*self.faults]
        if not self.same:
            breaches.append("what can be read is not what it was before")
        if self.accepted_again:
            breaches.append(f"{self.accepted_again} events that were archived were accepted again")
        return Counts(figures, breaches)


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
    """One life of the child: archive all that has ended; a line with what it moved before and after a transaction."""
    journal = await open_sqlite(path, clock_us=SystemClock().now_us)

    async def log(row: ArchiveRow) -> None:
        await log_act(
            journal, SystemClock(), JournalArchived(row.number, row.flows, row.events, "test", "to be killed")
        )

    try:
        print(0, flush=True)
        archiver = Archiver(
            journal, SystemClock().now_us(), slice_s=slice_s, file_flows_max=file_flows_max, on_progress=_tell, log=log
        )
        archiver.before_slice = lambda: _tell(archiver.done)
        await archiver.run(ArchiveQuery(SystemClock().now_us()))
        await journal.close_clean()
    finally:
        await journal.close()


def _tell(done: Archived) -> None:
    print(done.flows, flush=True)


def run_with_kills(
    folder: Path,
    flows: int,
    *,
    kills: int,
    seed: int,
    lines_max: int,
    moment_s_max: float,
    sample_every: int,
    slice_s: float = 0.02,
    file_flows_max: int = FILE_FLOWS_MAX,
) -> Report:
    """Make a journal of which nine of ten flows have ended, archive it under kills, and compare.

    The kills are spread over the whole of it: of n + 1 parts the first n have one each, once so many flows of that part
    have gone as chance says, up to `lines_max` lines and `moment_s_max` later.
    """
    path, report, chance = folder / "large.db", Report(), random.Random(seed)
    if not path.exists():
        _timed(report, "make", lambda: large.write(path, large.Large(flows, _LIVE_EVERY)))
    report.bytes_before = path.stat().st_size
    upto = 10 * flows
    before = _timed(report, "read before", lambda: content(path, upto, sample_every))
    began = time.perf_counter()
    arguments = (str(path), "--child", str(slice_s), "--file-flows-max", str(file_flows_max))
    gone = trio.run(_gone, path)
    while report.kills < kills and not report.ended_early:
        due = flows * _ENDED_SHARE * (report.kills + chance.random()) / (kills + 1)
        lines, moment_s = chance.randint(1, lines_max), chance.uniform(0, moment_s_max)
        _killed_once(report, int(due) - gone[0], lines, moment_s, arguments)
        gone = trio.run(_gone, path)
        report.left.append(gone)
    report.seconds["archive under kills"] = time.perf_counter() - began
    _timed(report, "archive the rest", lambda: archive(path, slice_s))
    report.faults += _timed(report, "verify", lambda: _faults(path))
    _timed(report, "compact", lambda: _compact(path))
    report.bytes_after = path.stat().st_size
    report.faults += trio.run(_faults, path)
    report.same = _same(before, _timed(report, "read after", lambda: content(path, before.counts.events, sample_every)))
    report.accepted_again = _timed(report, "publish again", lambda: _publish_again(path, flows))
    return report


def _killed_once(report: Report, flows: int, lines: int, moment_s: float, arguments: Sequence[str]) -> None:
    """Let the child move so many flows, then tell so many lines, then live a moment longer."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "tests.crash.archiving", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        while (line := child.stdout.readline()) and int(line) < flows:
            pass
        for _ in range(lines):
            child.stdout.readline()
        time.sleep(moment_s)
        child.kill()
    if child.returncode == 0:
        report.ended_early += 1
    else:
        report.kills += 1


async def _gone(path: Path) -> tuple[int, int, int]:
    """Flows and events that have gone, and files that the journal names."""
    reader = await read_sqlite(path)
    try:
        gone = await reader.ask(
            lambda connection: connection.execute(
                "select (select count(*) from archived_flow), (select coalesce(sum(number), 0) from event_tombstone),"
                " (select count(*) from archive)"
            ).fetchone()
        )
        flows, events, files = gone
        return flows, events, files
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


def main() -> int:
    parser = argparse.ArgumentParser(description="Archive a large journal under kills, and compare.")
    parser.add_argument(
        "place", nargs="?", type=Path, help="a folder that stays; a journal large.db in it is used; else one is made"
    )
    parser.add_argument("--flows", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--lines-max", type=int, default=50, help="50 are about the transactions of one file")
    parser.add_argument("--moment-s-max", type=float, default=3.0, help="about as long as writing one file takes")
    parser.add_argument("--file-flows-max", type=int, default=FILE_FLOWS_MAX)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", type=float, metavar="SLICE_S", help="be the one that is killed")
    add_arguments(parser, minutes=False)
    given = parser.parse_args()
    if given.child is not None:
        trio.run(archive, given.place, given.child, given.file_flows_max)
        return 0
    with tempfile.TemporaryDirectory(prefix="archiving-") as folder:
        report = run_with_kills(
            given.place or Path(folder),
            given.flows,
            kills=given.kills,
            seed=given.seed,
            lines_max=given.lines_max,
            moment_s_max=given.moment_s_max,
            sample_every=997,
            slice_s=0.1,
            file_flows_max=given.file_flows_max,
        )
    print(report)
    return hand_out(given, report.counts)


if __name__ == "__main__":
    sys.exit(main())
