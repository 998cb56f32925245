"""Process death: a daemon under load is killed, at random or exactly at its n-th write, and started again.

    python -m tests.crash.dying --kills 200 --writes 200 --seed 1
    python -m tests.crash.dying --kills 100000 --writes 100000 --minutes 10
    python -m tests.crash.dying --kills 20 --fault answers_before_the_commit

The clients live on, and keep what they heard was accepted. The last life lets everything come to rest; then the whole
history is judged.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import attrs

from tests.crash.checker import Left, left_by_kill, told_too_early
from tests.crash.counts import Counts, add_arguments, hand_out, within
from tests.crash.judging import acknowledgements, come_to_rest, judged
from tests.crash.lab import Lab, Load, lab, sending, stop
from tests.crash.served import FAULTS

_WRITES = "pwrite64,fsync,fdatasync"
_WRITES_MAX = 300
_MOSTLY = 40
_LIFE_S_MAX = 30.0
"""A life in which so many writes do not come is killed by the clock."""
_AT_WORK_S_MAX = 0.4


@attrs.frozen
class Report:
    """What a run left."""

    left: list[Left]
    """By kill: what it left undone."""
    named: int
    """Lives in which a write was named."""
    at_write: int
    """How many of the kills came at the write that was named."""
    breaches: list[str]
    acknowledgements: int
    told: dict[str, int]
    """What senders heard, how often."""

    @property
    def at_work(self) -> int:
        """Kills that left accepted events unhandled, or commands begun and not done."""
        return sum(left.deliveries > 0 or left.commands > 0 for left in self.left)

    @property
    def undone(self) -> tuple[int, int]:
        """Events and commands, over all kills."""
        return sum(left.deliveries for left in self.left), sum(left.commands for left in self.left)

    @property
    def counts(self) -> Counts:
        """As figures."""
        figures = {
            "kills": len(self.left),
            "of them at the write that was named": self.at_write,
            "of them at work": self.at_work,
            "acknowledged events": self.acknowledgements,
            "events that kills left unhandled": self.undone[0],
            "commands that kills left begun and not done": self.undone[1],
        }
        tried = ["kills", "of them at work", "acknowledged events"]
        return Counts(figures, self.breaches, [*tried, *["of them at the write that was named"] * bool(self.named)])

    def __str__(self) -> str:
        undone = self.undone
        return (
            f"{len(self.left)} kills, {self.at_write} of them at a named write, {self.at_work} at work;"
            f" {self.acknowledgements} acknowledged events; left undone by kills: {undone[0]} events and {undone[1]}"
            f" commands; senders heard {dict(self.told)}; {len(self.breaches)} breaches"
        )


def run(
    folder: Path,
    *,
    seed: int,
    kills: int,
    writes: int,
    minutes: float | None = None,
    fault: str = "-",
    load: Load | None = None,
) -> Report:
    """Kill so many lives at random and so many at a write, let one more come to rest, and judge everything."""
    chance = random.Random(seed)
    ways: list[Callable[[Lab, random.Random], bool]] = [*[die_at_random] * kills, *[die_at_write] * writes]
    chance.shuffle(ways)
    left: list[Left] = []
    early: list[str] = []
    named = at_write = 0
    with lab(folder, fault=fault) as killed, sending(killed, load or Load(seed=seed)) as end:
        for die in within(minutes, ways):
            named += die is die_at_write
            at_write += die(killed, chance)
            if killed.journal.exists() and killed.journal.stat().st_size:
                left.append(left_by_kill(folder))
                early += told_too_early(folder)
        with killed.life() as process:
            assert killed.wait_ready(process), killed.said
            told = end()
            come_to_rest(killed)
            code, _ = stop(process)
        assert code == 0, f"the last life ended with {code}: {killed.said}"
    return Report(left, named, at_write, early + judged(folder), acknowledgements(folder), told)


def die_at_random(killed: Lab, chance: random.Random) -> bool:
    """A life that takes work for a while."""
    with killed.life() as process:
        assert killed.wait_ready(process), killed.said
        time.sleep(chance.uniform(0.0, _AT_WORK_S_MAX))
        killed.kill(process)
    return False


def die_at_write(killed: Lab, chance: random.Random) -> bool:
    """A life in which a thread's n-th write or sync does not come; whether it was that which ended it."""
    number = int(chance.triangular(1, _WRITES_MAX, _MOSTLY))
    quiet = ("strace", "-D", "-f", "-qqq", "-o", "/dev/null", "-e", f"trace={_WRITES}")
    with killed.life(tracer=(*quiet, "-e", f"inject={_WRITES}:signal=KILL:when={number}")) as process:
        try:
            process.wait(_LIFE_S_MAX)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return False
    assert process.returncode == -signal.SIGKILL, f"it ended with {process.returncode}: {killed.said}"
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill a daemon under load, and judge what it left.")
    parser.add_argument("--kills", type=int, default=100, help="at random")
    parser.add_argument("--writes", type=int, default=100, help="at the n-th write of a thread; needs strace")
    parser.add_argument("--seed", type=int, default=1)
    add_arguments(parser, faults=FAULTS)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        report = run(
            Path(folder) / "killed",
            seed=given.seed,
            kills=given.kills,
            writes=given.writes,
            minutes=given.minutes,
            fault=given.fault,
        )
    print(f"seed {given.seed}, fault {given.fault}, {time.monotonic() - began:.0f} s: {report}")
    return hand_out(given, report.counts)


if __name__ == "__main__":
    sys.exit(main())
