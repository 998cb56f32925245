"""A swarm of seeds over all systems, with marks: the long form of the simulation.

    python -m tests.simulation.swarm --seeds 5000 --first 1

Each seed draws its own subset of the faults. First comes trouble, in which nothing that is promised may break; then
calm, in which all must come to rest within a bound. One seed of a hundred is run twice, and must be the same run. A
mark that no seed hit fails the swarm: it was not where it says it was.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable

import attrs

from procession.testing.simulation.runs import Simulation
from tests.simulation.marks import ALL, Marks
from tests.simulation.systems import batched, lent, ordered, provisioned
from tests.simulation.torture import tortured

SYSTEMS: dict[str, Callable[[], Simulation]] = {
    system.__name__: system for system in (tortured, ordered, batched, provisioned, lent)
}
AGAIN_EVERY = 100
"""One seed of so many is run twice."""
ROUND = 20
"""Seeds of a round: so many of flows that do what they are told, and as many of all the others together."""
_SHOWN_MAX = 20


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

    def __str__(self) -> str:
        kinds = f"{min(self.faults)} to {max(self.faults)}" if self.faults else "no"
        rate = self.seeds / max(self.seconds, 1e-9)
        return (
            f"{self.seeds} seeds, {rate:.0f} a second of processor time; {self.marks.crashes} crashes in {self.lives}"
            f" lives; {self.commits} commits; {kinds} kinds of faults a seed; {self.again} seeds run twice;"
            f" {len(ALL) - len(self.marks.missed)} of {len(ALL)} marks hit; {len(self.breaches)} breaches"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description="Simulate many seeds, over all systems.")
    parser.add_argument(
        "--seeds", type=int, default=5_000, help="in all, half of them of flows that do what they are told"
    )
    parser.add_argument("--seconds", type=float, default=3_600, help="no new round begins after so long")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    given = parser.parse_args()
    swarm = Swarm()
    systems = {name: system() for name, system in SYSTEMS.items()}
    until = time.monotonic() + given.seconds
    for first in range(given.first, given.first + given.seeds // 2, ROUND):
        if time.monotonic() > until:
            break
        for name, simulation in systems.items():
            count = ROUND if name == tortured.__name__ else ROUND // (len(SYSTEMS) - 1)
            swarm.run(simulation, name, range(first, first + count))
    print(swarm)
    for mark, seeds in sorted(swarm.marks.hit.items(), key=lambda one: one[1]):
        print(f"  {seeds:>7}  {mark}")
    for missed in swarm.marks.missed:
        print(f"  no seed hit: {missed}")
    for breach in swarm.breaches[:_SHOWN_MAX]:
        print(f"  {breach}")
    return 1 if swarm.breaches or swarm.marks.missed else 0


if __name__ == "__main__":
    sys.exit(main())
