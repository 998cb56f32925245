"""Power loss: a real process is recorded, and the disk that it leaves at each operation is opened and judged.

    python -m tests.crash.power_loss [--seed 1] [--seconds 3] [--images 20000] [--lives 50] [--normal | --early]
    python -m tests.crash.power_loss --seconds 0.1 --images 1000000
    python -m tests.crash.power_loss --images 500 --lives 2 --rounds 1000 --minutes 8
    python -m tests.crash.power_loss --failing survived|fatal|turns [--trusting]

Of everything that was not synced at that moment, all is lost, all is kept, each write is torn at 512 bytes, or some
writes are kept and earlier ones are not. Each image is opened as the next start does, every row is verified, and the
laws of histories are judged against what the publisher had heard and what gateways had begun. Some images live on
until everything has come to rest. `--normal` writes with `synchronous=NORMAL`, and must be found to lose what was
acknowledged; `--early` has the head file tell of a commit before it is made, and must be found to be refused: else this
proves nothing.

With `--failing` the n-th sync of a thread fails, and the disk is as Linux leaves it then: what was handed over is read
as before, and is on the disk for certain only once it was written again. The process either survives that, or is
killed by it, and another one goes on. `--trusting` has them add to such a log, and must be found to lose something.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

import attrs
import trio

from procession.engine.clock import SystemClock
from procession.journal.sqlite import open_sqlite
from procession.journal_errors import JournalDamaged
from tests.crash.checker import check, check_now, cohorts
from tests.crash.counts import Counts, add_arguments, hand_out, within
from tests.crash.disk import FATES, Disk, Fate, write_image
from tests.crash.driver import ROOT, live_to_the_end
from tests.crash.lines import lines_of
from tests.crash.recording import Cut, Operation, SyncFailed, Told, Wrote, operations, recording_of

LOGS = ("acknowledged.log", "effects.log")
Failing = Literal["none", "survived", "fatal", "turns"]
"""Whether a sync fails, and what that is to the process; in turns, round by round."""
_TURNS: tuple[Failing, ...] = ("none", "survived", "fatal")
_FAILING_SYNCS = (15, 40)
"""Which sync of a thread fails: after those of a journal that is made, and soon again where the process lives on."""
_LOG = "journal.db-wal"
_SOON = 200
"""Operations."""
_READY_S_MAX = 60
_LOOK_S = 0.02


@attrs.define
class Report:
    """What a run found."""

    operations: int = 0
    images: int = 0
    differing: int = 0
    """Images that there could be: moments and fates at which a disk differs, or more was told."""
    with_something_to_lose: int = 0
    """Images taken while something was not synced."""
    lives: int = 0
    """Images that lived on until all came to rest."""
    acknowledged: int = 0
    breaches: list[str] = attrs.field(factory=list)

    def add(self, other: Report) -> None:
        """Another round."""
        self.operations += other.operations
        self.images += other.images
        self.differing += other.differing
        self.with_something_to_lose += other.with_something_to_lose
        self.lives += other.lives
        self.acknowledged += other.acknowledged
        self.breaches += other.breaches

    @property
    def counts(self) -> Counts:
        """As figures."""
        figures = {
            "images": self.images,
            "that could be": self.differing,
            "operations of recorded runs": self.operations,
            "images with something unsynced": self.with_something_to_lose,
            "lived on to their end": self.lives,
            "acknowledged events": self.acknowledged,
        }
        tried = ("images", "images with something unsynced", "acknowledged events")
        return Counts(figures, self.breaches, tried)

    def __str__(self) -> str:
        return (
            f"{self.images:,} of {self.differing:,} images of {self.operations:,} operations,"
            f" {self.with_something_to_lose:,} with something unsynced; {self.lives} lived on to their end;"
            f" {self.acknowledged:,} events acknowledged; {len(self.breaches)} breaches"
        )


def record(
    folder: Path,
    seed: int,
    seconds: float,
    options: Sequence[str] = (),
    failing: Failing = "none",
    bursts_min: int = 0,
) -> list[Operation]:
    """Run the child for so long and until so many bursts more were acknowledged, kill it, and read what it did.

    Where a failing sync ends the first life, it is what two of them did.
    """
    folder.mkdir()
    for log in LOGS:
        (folder / log).touch()
    when = random.Random(seed).randint(*_FAILING_SYNCS)
    if failing == "none":
        return _record(folder, seed, 0, seconds, options, bursts_min=bursts_min)
    if failing == "survived":
        # The second is the one by which the log is moved away as it is closed: else nothing is left of what failed.
        fault = f"fdatasync:error=EIO:when={when}..{when + 1}"
        return _record(folder, seed, 0, seconds, options, fault, bursts_min=bursts_min)
    first = _record(folder, seed, 0, None, options, f"fdatasync:signal=KILL:when={when}")
    then = [file.name for file in folder.iterdir()]
    second = _record(folder, seed, 1, seconds, options, existing=then, bursts_min=bursts_min)
    return [*first, SyncFailed(_LOG), *second]


def _record(
    folder: Path,
    seed: int,
    life: int,
    seconds: float | None,
    options: Sequence[str],
    fault: str = "",
    existing: Sequence[str] = (),
    bursts_min: int = 0,
) -> list[Operation]:
    trace = folder.parent / "calls.txt"
    child = [sys.executable, "-m", "tests.crash.child", str(folder), str(seed), str(life), "-", *options]
    command = recording_of(child, trace, fault)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        acknowledged = len(lines_of(folder / LOGS[0]))
        if seconds is not None:
            time.sleep(seconds)
            _wait_acknowledged(folder, running, acknowledged + bursts_min)
            os.kill(_child_of(running.pid), signal.SIGKILL)  # strace ends with it
        running.wait(_READY_S_MAX)
    return list(operations(trace, folder, LOGS, existing))


def _wait_acknowledged(folder: Path, running: subprocess.Popen[bytes], bursts: int) -> None:
    """On a slow disk that takes its time."""
    give_up_at = time.monotonic() + _READY_S_MAX
    while len(lines_of(folder / LOGS[0])) < bursts and running.poll() is None and time.monotonic() < give_up_at:
        time.sleep(_LOOK_S)


def _child_of(process: int) -> int:
    return int(Path(f"/proc/{process}/task/{process}/children").read_text().split()[0])


def moments(found: Sequence[Operation], chance: random.Random, images_max: int) -> Iterator[tuple[int, Fate]]:
    """After which operation, and what becomes of what is not synced: all that differ, or so many of them by chance.

    Half of those that are drawn are disks as a sync is about to find them, with all the rest lost: nothing loses more.
    """
    lost, others = differing(found)
    if len(lost) + len(others) <= images_max:
        yield from sorted([*lost, *others])
        return
    drawn = chance.sample(lost, min(len(lost), images_max // 2))
    yield from sorted([*drawn, *chance.sample(others, images_max - len(drawn))])


def differing(found: Sequence[Operation]) -> tuple[list[tuple[int, Fate]], list[tuple[int, Fate]]]:
    """Moments at which all that is not synced is lost, and those with another fate.

    Where several leave one disk, the last one stands for them: by then the most was told. Where a sync fails, those
    soon after that: later the log was moved away, and all that it had was written.
    """
    failed = [at for at, operation in enumerate(found) if isinstance(operation, SyncFailed)]
    soon = {at + more for at in failed for more in range(1, _SOON)} if failed else range(len(found) + 1)
    ends = [(at, after) for at, after in enumerate([*found[1:], None], 1) if at in soon and not isinstance(after, Told)]
    lost: list[tuple[int, Fate]] = [(at, "lost") for at, after in ends if not isinstance(after, Wrote | Cut)]
    return lost, [(at, fate) for at, _ in ends for fate in FATES if fate != "lost"]


def judge(work: Path, found: Sequence[Operation], seed: int, *, images_max: int, lives_max: int) -> Report:
    """Open the images, and judge what is in them."""
    chance, disk, done = random.Random(seed), Disk(), 0
    report = Report(operations=len(found), differing=sum(map(len, differing(found))))
    image = work / "image"
    image.mkdir()
    taken = list(moments(found, chance, images_max))
    living = set(chance.sample(range(len(taken)), min(lives_max, len(taken))))
    for number, (at, fate) in enumerate(taken):
        for operation in islice(found, done, at):
            disk.follow(operation)
        done = max(done, at)
        write_image(image, disk.after_power_loss(fate, chance), disk.told, LOGS)
        report.images += 1
        report.with_something_to_lose += disk.unsynced > 0
        breaches = trio.run(_breaches, image)
        if number in living and not breaches:
            breaches = _live_on(image, seed)
            report.lives += 1
        report.breaches += [f"operation {at}, {fate}: {breach}" for breach in breaches]
    report.acknowledged = disk.told.get(LOGS[0], b"").count(b"=")
    return report


async def _breaches(image: Path) -> list[str]:
    """What is wrong with an image, once the journal was opened as the next start opens it."""
    try:
        journal = await open_sqlite(image / "journal.db", clock_us=SystemClock().now_us)
    except JournalDamaged as error:
        return [f"it was refused: {error.found}"]
    try:
        faults = [f"{fault.code}: {fault.found}" for fault in await journal.verify()]
    finally:
        await journal.close()
    try:
        return faults + check_now(image)
    except sqlite3.DatabaseError as error:
        return [*faults, f"it can't be read: {error}"]


def _live_on(image: Path, seed: int) -> list[str]:
    live_to_the_end(image, seed, 1, cohorts(image), ())
    return check(image)


def run(
    work: Path,
    *,
    seed: int,
    seconds: float,
    images_max: int,
    lives_max: int,
    options: Sequence[str] = (),
    failing: Failing = "none",
    bursts_min: int = 0,
) -> Report:
    """Record one run, and judge what each moment of it may leave."""
    found = record(work / "recorded", seed, seconds, options, failing, bursts_min)
    return judge(work, found, seed, images_max=images_max, lives_max=lives_max)


def run_rounds(options: argparse.Namespace) -> Report:
    """Record and judge, again and again, each time by the next seed."""
    report = Report()
    for number in within(options.minutes, range(options.rounds)):
        work = Path(tempfile.mkdtemp(prefix="power-loss-"))
        try:
            found = run(
                work,
                seed=options.seed + number,
                seconds=options.seconds,
                images_max=options.images,
                lives_max=options.lives,
                options=[option for option in ("normal", "early", "trusting") if vars(options)[option]],
                failing=_TURNS[number % len(_TURNS)] if options.failing == "turns" else options.failing,
            )
        finally:
            shutil.rmtree(work)
        report.add(found)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.power_loss", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3, help="how long the process runs before it is ended")
    parser.add_argument("--images", type=int, default=20_000, help="at most; where there could be more, by chance")
    parser.add_argument("--lives", type=int, default=50, help="images that live on until all has come to rest")
    parser.add_argument("--normal", action="store_true", help="with synchronous=NORMAL, which must lose something")
    parser.add_argument("--early", action="store_true", help="with a head file that is ahead, which must be refused")
    parser.add_argument("--failing", choices=get_args(Failing), default="none", help="whether a sync fails, and kills")
    parser.add_argument(
        "--trusting", action="store_true", help="with a log that is added to after that, which must lose"
    )
    parser.add_argument("--rounds", type=int, default=1, help="so many runs are recorded, each by the next seed")
    add_arguments(parser)
    options = parser.parse_args()
    report = run_rounds(options)
    sys.stdout.write(f"seed {options.seed}: {report}\n")
    return hand_out(options, report.counts)


if __name__ == "__main__":
    sys.exit(main())
