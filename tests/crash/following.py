"""A followed file under kill -9: a runtime is killed at random moments while lines are written and the file is rotated.

    python -m tests.crash.following --kills 20 --seed 1
    python -m tests.crash.following --kills 6 --fault moves_on_before_the_commit

A fault is planted in each life that is killed. The last one, which reads to the end, has none.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import select
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import attrs
import trio

from procession import JsonLines
from procession.injectors.position_file import Mark, PositionUnreadable, read_mark
from procession.settings import JournalSettings, Settings
from tests.crash.counts import Counts, add_arguments, hand_out, within
from tests.crash.following_faults import FAULTS
from tests.injectors.door import DoorOpened, open_doors, until_ended

_SETTINGS = Settings(journal=JournalSettings(careful_after=1_000_000))
"""After some kills all would run one after another, and little would be under way at the next one."""
_KILL_AFTER_S_MAX = 0.4
_BEGINS_S_MAX, _ENDS_S_MAX = 30, 60
_OPEN_SHARE = 0.8
_LONGEST_REST_S = 0.02
"""More lines than this lets come would be more than are accepted: the reader would never see the end of the file."""
_HALF_SHARE, _HALF_S = 0.1, 0.2
"""At the end of so many bursts half a line stands in the file, for longer than the reader waits to look again."""
_CUT_SHARE = 0.5
_BETWEEN_ROTATIONS_S = 0.05
"""Longer than the clock of the file system ticks: two files are told apart by their last change."""


@attrs.define
class Report:
    """What came of it."""

    written: Counter[str] = attrs.field(factory=Counter)
    accepted: Counter[str] = attrs.field(factory=Counter)
    rotations: int = 0
    cuts: int = 0
    """Of the rotations: the file was copied and cut."""
    left: list[int] = attrs.field(factory=list)
    """By kill: how many lines were accepted then."""
    torn: list[str] = attrs.field(factory=list)
    """Positions that a kill left, and that can't be read: nothing was read after that."""

    @property
    def counts(self) -> Counts:
        """As figures."""
        breaches = [*self.torn]
        for became, doors in {
            "were lost": self.written - self.accepted,
            "were accepted twice": self.accepted - self.written,
        }.items():
            if doors and not self.torn:
                breaches.append(f"{doors.total()} lines {became}, the first one of the door {next(iter(doors))}")
        figures = {
            "kills": len(self.left),
            "different numbers of lines accepted at them": len(set(self.left)),
            "lines written": self.written.total(),
            "lines accepted": self.accepted.total(),
            "rotations": self.rotations,
            "of them by copying and cutting": self.cuts,
        }
        return Counts(figures, breaches, ("kills", "lines accepted", "rotations"))


class Writer:
    """Writes lines as programs do: several at once, some in two pieces, into a file that is rotated away."""

    def __init__(self, path: Path, chance: random.Random, report: Report) -> None:
        self._path = path
        self._chance = chance
        self._report = report
        self._file = path.open("ab", buffering=0)
        self._lines = 0
        self._rotated_at = time.monotonic()
        self._cut_at_generation = 0

    def write_until(self, moment: float) -> None:
        """Write and rotate until then."""
        while time.monotonic() < moment:
            for _ in range(self._chance.randint(0, 39)):
                self._write_line()
            self._write_line(_HALF_S if self._chance.random() < _HALF_SHARE else 0)
            due = time.monotonic() > self._rotated_at + _BETWEEN_ROTATIONS_S
            # What was rotated away before the file was first seen is not followed.
            if due and self._chance.random() < 0.2 and (mark := self._mark()) is not None:
                self._rotate(mark)
            time.sleep(self._chance.random() * _LONGEST_REST_S)

    def _write_line(self, rest_s: float = 0) -> None:
        # Every fifth line is the same as others: only its place tells it from them.
        door = "same" if self._lines % 5 == 0 else str(self._lines)
        self._lines += 1
        text = json.dumps({"door": door}).encode() + b"\n"
        half = self._chance.randint(0, len(text))
        self._file.write(text[:half])
        if rest_s:
            time.sleep(rest_s)
        self._file.write(text[half:])
        self._report.written[door] += 1

    def _mark(self) -> Mark | None:
        for position in self._path.parent.glob("*.position"):
            with contextlib.suppress(PositionUnreadable):  # the report has it
                return read_mark(position)
        return None

    def _rotate(self, mark: Mark) -> None:
        self._report.rotations += 1
        aside = self._path.with_name(f"{self._path.name}.{self._report.rotations}")
        # A file is known by what was accepted from it: one that is cut before that is not missed.
        is_known = mark.inode == self._path.stat().st_ino and mark.offset > 0
        if is_known and mark.generation > self._cut_at_generation and self._chance.random() < _CUT_SHARE:
            self._report.cuts += 1
            self._cut_at_generation = mark.generation
            shutil.copy(self._path, aside)
            self._file.truncate(0)
        else:
            self._path.rename(aside)
            self._file.close()
            self._file = self._path.open("ab", buffering=0)
        self._rotated_at = time.monotonic()


async def _live(folder: Path, told: int) -> None:
    lines = JsonLines(folder / "doors.jsonl", event=DoorOpened, poll_s=0.01)
    async with open_doors(folder, lines, settings=_SETTINGS) as runtime:
        async with contextlib.aclosing(runtime.follow((await runtime.journal.heads()).position)) as accepted:
            await anext(accepted)
        os.write(told, b"!")
        await trio.sleep_forever()


async def _read_to_the_end(folder: Path) -> None:
    with trio.fail_after(_ENDS_S_MAX):
        lines = JsonLines(folder / "doors.jsonl", event=DoorOpened, follow=False)
        await until_ended(folder, lines, settings=_SETTINGS)


def _accepted(folder: Path) -> Counter[str]:
    """By door, read by plain SQLite: nothing of what a kill left is tidied away."""
    if not (folder / "doors.db").exists():
        return Counter()
    with contextlib.closing(sqlite3.connect(f"file:{folder / 'doors.db'}?mode=ro", uri=True)) as journal:
        rows = journal.execute("select payload from event where type = 'door.opened'").fetchall()
    return Counter(json.loads(payload)["door"] for (payload,) in rows)


def _torn(folder: Path) -> Iterator[str]:
    """Positions that can't be read: whoever follows the file would not begin again."""
    for position in folder.glob("*.position"):
        try:
            read_mark(position)
        except PositionUnreadable as error:
            yield f"a kill left half a position: {error}"


def run_with_kills(folder: Path, kills: int, seed: int, minutes: float | None = None, fault: str = "-") -> Report:
    """Kill it so often, then let it read to the end; what was written, and what the journal holds."""
    chance, report = random.Random(seed), Report()
    writer = Writer(folder / "doors.jsonl", chance, report)
    for _ in within(minutes, range(kills)):
        _live_and_die(folder, chance, writer, fault)
        report.left.append(_accepted(folder).total())
        report.torn += _torn(folder)
        if report.torn:
            return report
    trio.run(_read_to_the_end, folder)
    report.accepted = _accepted(folder)
    return report


def _live_and_die(folder: Path, chance: random.Random, writer: Writer, fault: str) -> None:
    hears, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if fault in FAULTS:
                FAULTS[fault]()
            trio.run(_live, folder, told)
        except BaseException:  # noqa: BLE001 - nothing of the parent's may run here
            traceback.print_exc()
        os._exit(1)
    os.close(told)
    if chance.random() < _OPEN_SHARE:  # else it may be killed before it accepts anything
        give_up_at = time.monotonic() + _BEGINS_S_MAX
        while not select.select([hears], [], [], 0)[0]:
            assert time.monotonic() < give_up_at, f"it accepted nothing in {_BEGINS_S_MAX} s"
            writer.write_until(time.monotonic() + _LONGEST_REST_S)
        assert os.read(hears, 1), "it ended before it was killed"
    writer.write_until(time.monotonic() + chance.random() * _KILL_AFTER_S_MAX)
    os.close(hears)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill a runtime that follows a file, and compare what it accepted.")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    add_arguments(parser, faults=FAULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="following-") as folder:
        report = run_with_kills(Path(folder), given.kills, given.seed, given.minutes, given.fault)
    print(f"seed {given.seed}, fault {given.fault}: {dict(report.counts.figures)}")
    return hand_out(given, report.counts)


if __name__ == "__main__":
    sys.exit(main())
