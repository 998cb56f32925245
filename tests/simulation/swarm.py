"""A swarm of seeds over all systems, with marks: the long form of the simulation.

    python -m tests.simulation.swarm --seeds 5000 --first 1
    python -m tests.simulation.swarm --seeds 10000000 --minutes 8 --parts 2

Each seed draws its own subset of the faults. First comes trouble, in which nothing that is promised may break; then
calm, in which all must come to rest within a bound. One seed of a hundred is run twice, and must be the same run. A
mark that no seed of many hit fails the swarm: it was not where it says it was. `--parts` are processes side by side;
they share the rounds.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

import attrs

from procession.testing.simulation.runs import Simulation
from tests.crash.counts import Counts, add_arguments, hand_out, within
from tests.daemon.command import ROOT, environment
from tests.simulation.marks import ALL, RARE, Marks
from tests.simulation.systems import banked, batched, lent, ordered, provisioned, put, told
from tests.simulation.torture import tortured

SYSTEMS: dict[str, Callable[[], Simulation]] = {
    system.__name__: system for system in (tortured, ordered, batched, provisioned, lent, banked, put, told)
}
AGAIN_EVERY = 100
"""One seed of so many is run twice."""
ROUND = 20
"""Seeds of a round: so many of flows that do what they are told, and as many of all the others together."""
MARKS_FROM, RARE_FROM = 500, 5_000
"""So many seeds must have hit every mark, and the rare ones too."""


@attrs.define
class Swarm:
    """What the seeds went through."""

    seeds: int = 0
    again: int = 0
    """Seeds that were run twice, and were the same."""
    lives: int = 0
    commits: int = 0
    faults: Counter[int] = attrs.field(factory=Counter)
    """By how many faults a seed drew: seeds."""
    marks: Marks = attrs.field(factory=Marks)
    seconds: float = 0.0
    """Of processor time."""
    breaches: list[str] = attrs.field(factory=list)

    def run(self, simulation: Simulation, name: str, seeds: Iterable[int], again_every: int = AGAIN_EVERY) -> None:
        """Run and judge seeds of one system."""
        began = time.process_time()
        with self.marks.watching():
            for seed in seeds:
                plan = simulation.plan(seed)
                run = simulation.run(plan)
                self.marks.seen(run)
                self.breaches += [f"{name} {seed}: {rule}: {found}" for rule, found in simulation.judge(run)]
                self.seeds += 1
                self.lives += run.lives
                self.commits += len(run.commits)
                struck = {one.fault for one in plan.at_commits} | {one.fault for one in plan.at_times}
                self.faults[len(plan.constant | struck)] += 1
                if self.seeds % again_every == 0:
                    self.again += 1
                    if simulation.run(plan).digest() != run.digest():
                        self.breaches.append(f"{name} {seed}: the same seed was another run")
        self.seconds += time.process_time() - began

    @property
    def missed(self) -> list[str]:
        """Marks that so many seeds should have hit."""
        if self.seeds < MARKS_FROM:
            return []
        return [mark for mark in self.marks.missed if mark not in RARE or self.seeds >= RARE_FROM]

    @property
    def counts(self) -> Counts:
        """As figures."""
        figures = {
            "seeds": self.seeds,
            "seeds a second of processor time": self.seeds / max(self.seconds, 1e-9),
            "crashes": self.marks.crashes,
            "lives": self.lives,
            "commits": self.commits,
            "kinds of faults a seed at most": max(self.faults, default=0),
            "seeds run twice, each the same again": self.again,
            f"of {len(ALL)} marks hit": len(ALL) - len(self.marks.missed),
        }
        breaches = [*self.breaches, *(f"no seed hit: {mark}" for mark in self.missed)]
        return Counts(figures, breaches, ("seeds", "crashes", "commits"))

    def written(self) -> str:
        """As JSON, for another process to add."""
        simple = {name: getattr(self, name) for name in ("seeds", "again", "lives", "commits", "seconds", "breaches")}
        marks = {"hit": self.marks.hit, "crashes": self.marks.crashes}
        return json.dumps({**simple, "faults": self.faults, **marks})

    def add(self, written: str) -> None:
        """What another process wrote."""
        found = json.loads(written)
        for name in ("seeds", "again", "lives", "commits", "seconds", "breaches"):
            setattr(self, name, getattr(self, name) + found[name])
        self.faults.update({int(kinds): seeds for kinds, seeds in found["faults"].items()})
        self.marks.hit.update(found["hit"])
        self.marks.crashes += found["crashes"]

    def __str__(self) -> str:
        kinds = f"{min(self.faults)} to {max(self.faults)}" if self.faults else "no"
        rate = self.seeds / max(self.seconds, 1e-9)
        return (
            f"{self.seeds} seeds, {rate:.0f} a second of processor time; {self.marks.crashes} crashes in {self.lives}"
            f" lives; {self.commits} commits; {kinds} kinds of faults a seed; {self.again} seeds run twice;"
            f" {len(ALL) - len(self.marks.missed)} of {len(ALL)} marks hit; {len(self.breaches)} breaches"
        )


def run_part(given: argparse.Namespace, part: int) -> Swarm:
    """Every so many rounds, from this one on."""
    swarm = Swarm()
    systems = {name: system() for name, system in SYSTEMS.items()}
    rounds = range(given.first, given.first + given.seeds // 2, ROUND)
    for first in within(given.minutes, rounds[part :: given.parts]):
        for name, simulation in systems.items():
            count = ROUND if name == tortured.__name__ else ROUND // (len(SYSTEMS) - 1)
            swarm.run(simulation, name, range(first, first + count))
    return swarm


def run_parts(given: argparse.Namespace) -> Swarm:
    """Each part in a process of its own, side by side; added up."""
    swarm = Swarm()
    with tempfile.TemporaryDirectory(prefix="swarm-") as folder, ExitStack() as stack:
        files = [Path(folder) / f"part-{part}.json" for part in range(given.parts)]
        parts = []
        for part, file in enumerate(files):
            command = [sys.executable, "-m", "tests.simulation.swarm", *sys.argv[1:], "--part", str(part), str(file)]
            paths = {"PYTHONPATH": f"{ROOT}:{environment()['PYTHONPATH']}"}
            one = subprocess.Popen(command, cwd=ROOT, env=environment(paths))
            stack.callback(one.kill)
            parts.append(one)
        for number, one in enumerate(parts):
            if code := one.wait():
                swarm.breaches.append(f"part {number} ended with {code}")
            else:
                swarm.add(files[number].read_text("utf-8"))
    return swarm


def main() -> int:
    parser = argparse.ArgumentParser(description="Simulate many seeds, over all systems.", allow_abbrev=False)
    parser.add_argument(
        "--seeds", type=int, default=5_000, help="in all, half of them of flows that do what they are told"
    )
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--parts", type=int, default=1, help="processes side by side")
    parser.add_argument("--part", nargs=2, metavar=("NUMBER", "FILE"), help="be one of them")
    add_arguments(parser)
    given = parser.parse_args()
    if given.part:
        number, file = given.part
        Path(file).write_text(run_part(given, int(number)).written(), "utf-8")
        return 0
    swarm = run_parts(given) if given.parts > 1 else run_part(given, 0)
    print(swarm)
    for mark, seeds in sorted(swarm.marks.hit.items(), key=lambda one: one[1]):
        print(f"  {seeds:>7}  {mark}")
    return hand_out(given, swarm.counts)


if __name__ == "__main__":
    sys.exit(main())
