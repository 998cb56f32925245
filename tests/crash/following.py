"""A followed file under kill -9: a runtime is killed at random moments while lines are written and the file is rotated.

python -m tests.crash.following --kills 20 --seed 1
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
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import attrs
import trio

from procession import JsonLines
from procession.settings import Settings
from tests.crash.counts import Counts, add_arguments, hand_out, within
from tests.injectors.door import DoorOpened, open_doors, opened, until_ended

_KILL_AFTER_S_MAX = 0.4
_OPEN_SHARE = 0.8
_LONGEST_REST_S = 0.004
_BETWEEN_ROTATIONS_S = 0.05
"""Longer than the clock of the file system ticks: two files are told apart by their last change."""


@attrs.define
class Report:
    """What came of it."""

    written: Counter[str] = attrs.field(factory=Counter)
    accepted: Counter[str] = attrs.field(factory=Counter)
    rotations: int = 0
    left: list[int] = attrs.field(factory=list)
    """By kill: how many lines were accepted then."""

    @property
    def counts(self) -> Counts:
        """As figures."""
        lost, twice = self.written - self.accepted, self.accepted - self.written
        breaches = [f"{number} lines of {door} were lost" for door, number in lost.items()]
        breaches += [f"{number} lines of {door} were accepted twice" for door, number in twice.items()]
        figures = {
            "kills": len(self.left),
            "lines written": self.written.total(),
            "lines accepted": self.accepted.total(),
            "rotations": self.rotations,
        }
        return Counts(figures, breaches)


class Writer:
    """Writes lines as programs do: several at once, some in two pieces, into a file that is rotated away."""

    def __init__(self, path: Path, chance: random.Random, report: Report) -> None:
        self._path = path
        self._chance = chance
        self._report = report
        self._file = path.open("ab", buffering=0)
        self._rotated_at = time.monotonic()

    def write_until(self, moment: float) -> None:
        """Write and rotate until then."""
        while time.monotonic() < moment:
            for _ in range(self._chance.randint(1, 40)):
                # Every fifth line is the same as others: only its place tells it from them.
                number = sum(self._report.written.values())
                door = "same" if number % 5 == 0 else str(number)
                text = json.dumps({"door": door}).encode() + b"\n"
                half = self._chance.randint(0, len(text))
                self._file.write(text[:half])
                self._file.write(text[half:])
                self._report.written[door] += 1
            due = time.monotonic() > self._rotated_at + _BETWEEN_ROTATIONS_S
            # What was rotated away before the file was first seen is not followed.
            if due and self._chance.random() < 0.1 and list(self._path.parent.glob("*.position")):
                self.rotate()
            time.sleep(self._chance.random() * _LONGEST_REST_S)

    def rotate(self) -> None:
        self._report.rotations += 1
        self._path.rename(self._path.with_name(f"{self._path.name}.{self._report.rotations}"))
        self._file.close()
        self._file = self._path.open("ab", buffering=0)
        self._rotated_at = time.monotonic()


async def _live(folder: Path, told: int) -> None:
    async with open_doors(
        folder, JsonLines(folder / "doors.jsonl", event=DoorOpened, poll_s=0.01), settings=Settings()
    ) as runtime:
        async with contextlib.aclosing(runtime.follow((await runtime.journal.heads()).position)) as accepted:
            await anext(accepted)
        os.write(told, b"!")
        await trio.sleep_forever()


async def _count(folder: Path) -> Counter[str]:
    async with open_doors(folder) as runtime:
        return await opened(runtime)


def run_with_kills(folder: Path, kills: int, seed: int, minutes: float | None = None) -> Report:
    """Kill it so often, then let it read to the end; what was written, and what the journal holds."""
    chance, report = random.Random(seed), Report()
    writer = Writer(folder / "doors.jsonl", chance, report)
    for _ in within(minutes, range(kills)):
        hears, told = os.pipe()
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                trio.run(_live, folder, told)
            os._exit(1)
        if chance.random() < _OPEN_SHARE:  # else it may be killed before it accepts anything
            while not select.select([hears], [], [], 0)[0]:
                writer.write_until(time.monotonic() + _LONGEST_REST_S)
        writer.write_until(time.monotonic() + chance.random() * _KILL_AFTER_S_MAX)
        os.close(hears)
        os.close(told)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        report.left.append(len(list(folder.glob("*.position"))) and sum(trio.run(_count, folder).values()))
    last = JsonLines(folder / "doors.jsonl", event=DoorOpened, follow=False)
    report.accepted = trio.run(until_ended, folder, last)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill a runtime that follows a file, and compare what it accepted.")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    add_arguments(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="following-") as folder:
        report = run_with_kills(Path(folder), options.kills, options.seed, options.minutes)
    print(
        json.dumps(
            {
                "written": sum(report.written.values()),
                "same": report.written == report.accepted,
                "lost": sum((report.written - report.accepted).values()),
                "twice": sum((report.accepted - report.written).values()),
                "rotations": report.rotations,
                "left": report.left,
            }
        )
    )
    return hand_out(options, report.counts)


if __name__ == "__main__":
    sys.exit(main())
