"""Archiving that is killed at random moments, again and again, until it is done; then everything is compared.

python -m tests.crash.archiving --flows 20000 --kills 20 --file-flows-max 500 --lines-max 2 --moment-s-max 0.04
python -m tests.crash.archiving FOLDER --flows 1000000 --kills 20      by hand, on a journal made for it
python -m tests.crash.archiving --flows 2000 --kills 2 --file-flows-max 500 --fault forgets_ids

Files are read once more by what knows nothing of the product: gzip, and a look at each line.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import gzip
import hashlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import attrs
import trio

from procession import ProcessionError, open_runtime
from procession.engine.clock import SystemClock
from procession.journal.archive_folder import folder_of
from procession.journal.archiver import FILE_FLOWS_MAX
from procession.journal.rows import FlowQuery, JournalCounts
from procession.journal.sqlite import open_sqlite
from procession.journal.sqlite_reader import SqliteReader, read_sqlite
from procession.reading.timeline import read_timeline
from tests.bench import large, saga
from tests.crash.archiving_child import FAULTS
from tests.crash.counts import Counts, add_arguments, hand_out
from tests.daemon.command import ROOT, environment

T = TypeVar("T")
_PAGE = 2000
_BATCH = 256
LIVE_EVERY = 10
"""Of so many flows one does not end."""
_ENDED_SHARE = 1 - 1 / LIVE_EVERY
_STEPS = 4
"""Of a flow that ended, each by an event of its own."""
_ACT = "procession.journal_archived"
_FLOW = re.compile(rb'{"flow":\[(\d+),')


@attrs.frozen
class Content:
    """All that must be the same after archiving as before."""

    counts: JournalCounts
    events: str
    """A digest over every event, in order."""
    timelines: Mapping[str, str]
    """Of every so many flows, all that `show` tells."""


@attrs.define
class Report:
    """What came of it."""

    kills: int = 0
    left: list[tuple[int, int, int]] = attrs.field(factory=list)
    """By kill: flows and events that had gone, and files that the journal named."""
    accepted_again: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    breaches: list[str] = attrs.field(factory=list, repr=False)
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
        return Counts(
            figures, self.breaches, ("kills while it was archived", "flows that had gone at the last of them")
        )


async def content(path: Path, upto: int, every: int) -> Content:
    """Read a journal whole: the events up to a position, and every so many flows."""
    reader = await read_sqlite(path)
    try:
        digest, position = hashlib.sha256(), 0
        while page := await reader.events(position, _PAGE, (), upto):
            digest.update(repr(page).encode())
            position = page[-1].position
        keys = [large.key_of(n) for n in range(1, await _flows(reader), every)]
        timelines = {key: repr(await read_timeline(reader, "order", key)) for key in keys}
        return Content(await reader.counts(), digest.hexdigest(), timelines)
    finally:
        await reader.close()


async def _flows(reader: SqliteReader) -> int:
    return (await reader.heads()).flow + 1


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
    pause_s: float = 0,
    file_flows_max: int = FILE_FLOWS_MAX,
    fault: str = "-",
) -> Report:
    """Make a journal of which nine of ten flows have ended, archive it under kills, and compare.

    The kills are spread over the whole of it: of n + 1 parts the first n have one each, once so many flows of that part
    have gone as chance says, up to `lines_max` lines and `moment_s_max` later. The life after the last of them archives
    the rest.
    """
    path, report, chance = folder / "large.db", Report(), random.Random(seed)
    if not path.exists():
        _timed(report, "make", lambda: large.write(path, large.Large(flows, LIVE_EVERY)))
    report.bytes_before = path.stat().st_size
    before = _timed(report, "read before", lambda: content(path, 10 * flows, sample_every))
    arguments = map(str, (fault, path, slice_s, pause_s, file_flows_max))
    command = [sys.executable, "-m", "tests.crash.archiving_child", *arguments]
    began = time.perf_counter()
    gone = trio.run(_gone, path)
    for number in range(kills):
        due = flows * _ENDED_SHARE * (number + chance.random()) / (kills + 1)
        if not _killed(
            report, command, int(due) - gone[0], chance.randint(1, lines_max), chance.uniform(0, moment_s_max)
        ):
            break
        gone = trio.run(_gone, path)
        report.left.append(gone)
    report.seconds["archive under kills"] = time.perf_counter() - began
    _to_the_end(report, command)
    _judge(report, path, flows, before, sample_every)
    return report


def _judge(report: Report, path: Path, flows: int, before: Content, sample_every: int) -> None:
    """Find what is not as it must be, before and after the journal is compacted."""

    async def compared() -> list[str]:
        return [*differences(before, await content(path, before.counts.events, sample_every))]

    checks: dict[str, Callable[[], Awaitable[list[str]]]] = {
        "verify": lambda: _faults(path),
        "what stayed": lambda: _stayed(path, flows),
        "compact": lambda: _compact(path),
        "verify again": lambda: _faults(path),
        "read after": compared,
        "publish again": lambda: _publish_again(report, path, flows),
    }
    for what, check in checks.items():
        try:
            report.breaches += _timed(report, what, check)
        except ProcessionError as error:
            report.breaches.append(f"{what}: {type(error).__name__}: {error}")
    report.bytes_after = path.stat().st_size


def _killed(report: Report, command: Sequence[str], flows: int, lines: int, moment_s: float) -> bool:
    """Let it move so many flows, then tell so many lines, then live a moment longer; False where it ended before."""
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=errors, text=True
        ) as child,
    ):
        assert child.stdout is not None
        while (line := child.stdout.readline()) and int(line) < flows:
            pass
        for _ in range(lines):
            child.stdout.readline()
        time.sleep(moment_s)
        child.kill()
        child.wait()
        errors.seek(0)
        return _was_killed(report, child.returncode, errors.read())


def _was_killed(report: Report, code: int, said: str) -> bool:
    if code == -signal.SIGKILL:
        report.kills += 1
        return True
    if code:
        *_, last = said.splitlines() or ["it said nothing"]
        report.breaches.append(f"archiving ended by itself with {code}: {last}")
    return False


def _to_the_end(report: Report, command: Sequence[str]) -> None:
    """The life that nobody ends."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    _was_killed(report, done.returncode, done.stderr)
    report.seconds["archive the rest"] = time.perf_counter() - began


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


async def _stayed(path: Path, flows: int) -> list[str]:
    """What is still in the journal, and in files that it does not name, or in two of them."""
    gone = await _gone(path)
    ended = flows - flows // LIVE_EVERY
    breaches = [
        f"{number} {what} of flows that ended are still in the journal"
        for what, number in (("rows", ended - gone[0]), ("events", _STEPS * ended - gone[1]))
        if number
    ]
    files = sorted(Path(folder_of(str(path))).iterdir())
    if len(files) != gone[2]:
        breaches.append(f"the folder has {len(files)} files, and the journal names {gone[2]}")
    try:
        standing = Counter(flow for file in files for flow in _flows_in(file))
    except (OSError, EOFError, zlib.error) as error:
        return [*breaches, f"gzip can't read the files: {error}"]
    if several := [flow for flow, number in standing.items() if number > 1]:
        breaches.append(f"{len(several)} flows stand in several files, {several[0]} among them")
    if missing := ended - len(standing):
        breaches.append(f"{missing} flows stand in no file")
    return breaches


def _flows_in(file: Path) -> list[int]:
    with gzip.open(file) as lines:
        return [int(found[1]) for line in lines if (found := _FLOW.match(line))]


async def _faults(path: Path) -> list[str]:
    reader = await read_sqlite(path)
    try:
        return [f"{fault.code}: {fault.found}" for fault in await reader.verify()]
    finally:
        await reader.close()


async def _compact(path: Path) -> list[str]:
    journal = await open_sqlite(path, clock_us=SystemClock().now_us)
    await journal.compact()
    await journal.close_clean()
    return []


def differences(before: Content, after: Content) -> Iterator[str]:
    """What is not as it was, but for the acts that say that it was archived."""
    acts = after.counts.events_by_type.get(_ACT, 0)
    if not acts:
        yield "no event says that it was archived"
    by_type = {name: number for name, number in after.counts.events_by_type.items() if name != _ACT}
    now = attrs.asdict(attrs.evolve(after.counts, events=after.counts.events - acts, events_by_type=by_type))
    for name, was in attrs.asdict(before.counts).items():
        if now[name] != was:
            yield f"the counts say {name} {now[name]}, and said {was}"
    if after.events != before.events:
        yield "the events are not what they were"
    if others := [key for key, told in before.timelines.items() if after.timelines.get(key) != told]:
        number = f"{len(others)} of {len(before.timelines)} timelines"
        yield f"{number} are not what they were, that of {others[0]} among them"


async def _publish_again(report: Report, path: Path, flows: int) -> list[str]:
    """Publish every event from outside again: none may be accepted."""
    async with open_runtime(path, processes=[saga.Order], gateways=large.gateways()) as runtime:
        for first in range(1, flows + 1, _BATCH):
            await runtime.publish([large.placed(n) for n in range(first, min(first + _BATCH, flows + 1))])
        counters = runtime.counters()
        ended = await runtime.journal.flows(FlowQuery(status=("ended",)), 0, 1)
    report.accepted_again = counters["procession_events_accepted"]
    breaches = [] if ended else ["flows that ended are not listed"]
    if report.accepted_again:
        breaches.append(f"{report.accepted_again} events that were archived were accepted again")
    if counters["procession_events_duplicate"] + report.accepted_again != flows:
        breaches.append(f"of {flows} events {counters['procession_events_duplicate']} were known")
    return breaches


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
    add_arguments(parser, minutes=False, faults=FAULTS)
    given = parser.parse_args()
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
            fault=given.fault,
        )
    print(report)
    return hand_out(given, report.counts)


if __name__ == "__main__":
    sys.exit(main())
