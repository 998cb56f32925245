"""`simulate`: the real engine under a seeded scheduler, on a disk that fails, behind it a world that misbehaves.

    def test_no_order_is_lost() -> None:
        simulate(wire_testing(Settings()), load=[OrderPlaced("421", "book", 4200)], seeds=range(100))

Each seed is one run: some of the faults happen, then none any more, and everything must come to rest. A seed gives the
same run again, bit for bit, in every process.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from procession.errors import WiringError
from procession.primitives.aggregate import Aggregate
from procession.primitives.command import Command
from procession.primitives.event import Event
from procession.primitives.gateway import Gateway
from procession.primitives.invariant import Invariant
from procession.primitives.process import ProcessManager
from procession.primitives.registration import build_registry
from procession.primitives.wiring import Wiring
from procession.publishing import encode_all
from procession.sending import encode_command
from procession.settings import Settings
from procession.testing.outcomes import Given, Outcomes
from procession.testing.scheduling import run_seeded
from procession.testing.simulation.fault import ALL, Fault
from procession.testing.simulation.machine import Breach, Case, Machine, Run
from procession.testing.simulation.plan import SOURCE, Load, Plan, draw
from procession.testing.simulation.report import Failure, message, write
from procession.testing.simulation.shrinking import shrunk
from procession.testing.simulation.verdict import judge
from procession.testing.stand_ins import Stage, stand_in

SEEDS = range(50)


@attrs.frozen
class Report:
    """What clean seeds went through."""

    seeds: int = 0
    lives: int = 0
    """Processes that started."""
    commits: int = 0
    events: int = 0
    commands: int = 0
    attempts: int = 0

    def __str__(self) -> str:
        return (
            f"{self.seeds} seeds clean: {self.lives} starts, {self.commits} commits, {self.events} events,"
            f" {self.commands} commands in {self.attempts} attempts"
        )

    def with_run(self, run: Run) -> Report:
        """And one more."""
        contents = run.past.contents
        return Report(
            self.seeds + 1,
            self.lives + run.lives,
            self.commits + len(run.commits),
            self.events + len(contents.events),
            self.commands + len(contents.commands),
            self.attempts + len(run.past.begun),
        )


def simulate(
    wiring: Wiring | None = None,
    *,
    load: Load,
    seeds: Iterable[int] = SEEDS,
    faults: Collection[Fault] = ALL,
    processes: Sequence[type[ProcessManager]] = (),
    gateways: Sequence[Gateway | type[Gateway]] = (),
    aggregates: Sequence[type[Aggregate]] = (),
    events: Sequence[type[Event]] = (),
    invariants: Sequence[Invariant] = (),
    outcomes: Mapping[type[Command], Sequence[Given]] | None = None,
    may_wait: Collection[type[ProcessManager]] = (),
    settings: Settings | None = None,
    folder: Path | None = None,
) -> Report:
    """Run every seed, and stop at the first that breaks a promise.

    Args:
        wiring: all that belongs together, as a flow module wires it; or name processes, gateways and so on one by one.
        load: the events that are published, in their order, and the commands that are sent to aggregates, each by a
            sender of its own; or a function that makes them from random numbers of the
            seed. Those without an id get one: they are published again until they are heard.
        seeds: one run each.
        faults: what may go wrong; each comes in some of the seeds.
        processes: the process managers.
        gateways: classes, or instances; no method of theirs is called, they answer by their contracts.
        aggregates: they decide as in production.
        events: further event types that may be published.
        invariants: what must hold of every flow after each of its turns.
        outcomes: the answers to commands of these classes, in place of those that the contract allows.
        may_wait: processes whose flows may be left waiting for an outside event that the load does not bring.
        settings: default: the defaults. Small bounds, where they are among the faults, go over them.
        folder: where a failure is written; default: a fresh one among the system's temporary files.

    Raises:
        AssertionError: a seed breaks a promise; says which, what happened, and where its journal is.
        DefinitionError, WiringError: the classes can't work.
        PublishRefused: an event of the load can't be published.
        RuntimeError: it is called from inside of a trio run.
    """
    simulation = Simulation(
        wiring,
        load=load,
        faults=faults,
        processes=processes,
        gateways=gateways,
        aggregates=aggregates,
        events=events,
        invariants=invariants,
        outcomes=outcomes,
        may_wait=may_wait,
        settings=settings,
    )
    report = Report()
    for seed in seeds:
        run = simulation.run(simulation.plan(seed))
        breaches = simulation.judge(run)
        if breaches:
            failure = simulation.shrink(run.plan, breaches)
            where = folder or Path(tempfile.mkdtemp(prefix="procession-simulate-"))
            raise AssertionError(message(failure, *write(failure, where)))
        report = report.with_run(run)
    return report


class Simulation:
    """One system, of which seeds are run one by one; what `simulate` is made of."""

    def __init__(
        self,
        wiring: Wiring | None = None,
        *,
        load: Load,
        faults: Collection[Fault] = ALL,
        processes: Sequence[type[ProcessManager]] = (),
        gateways: Sequence[Gateway | type[Gateway]] = (),
        aggregates: Sequence[type[Aggregate]] = (),
        events: Sequence[type[Event]] = (),
        invariants: Sequence[Invariant] = (),
        outcomes: Mapping[type[Command], Sequence[Given]] | None = None,
        may_wait: Collection[type[ProcessManager]] = (),
        settings: Settings | None = None,
    ) -> None:
        wired = wiring or Wiring((), ())
        if not (*wired.processes, *processes):
            raise WiringError("there is no process to simulate", "give a wiring, or processes= and gateways=")
        classes = [one if isinstance(one, type) else type(one) for one in (*wired.gateways, *gateways)]
        stage = Stage()
        registry = build_registry(
            (*wired.processes, *processes),
            [stand_in(cls, stage) for cls in classes],
            (*wired.events_named, *events),
            aggregates=(*wired.aggregates, *aggregates),
        )
        self._case = Case(registry, stage, Outcomes(classes, outcomes, given_up=False), settings or Settings())
        self._load = load
        self._faults = frozenset(faults)
        self._invariants = (*wired.invariants, *invariants)
        self._may_wait = frozenset(process.__process__.name for process in may_wait)

    def plan(self, seed: int) -> Plan:
        """What is published and what goes wrong in a seed.

        Raises:
            PublishRefused: an event of the load can't be published.
        """
        plan = draw(seed, self._load, self._faults)
        for publish in plan.publishes:
            encode_all(self._case.registry, self._case.settings.intake, publish.events)
        for sending in plan.sendings:
            encode_command(self._case.registry, self._case.settings.intake, sending.command, sending.id, SOURCE)
        return plan

    def run(self, plan: Plan) -> Run:
        """Play a plan; its laws are not judged yet."""

        async def main() -> Run:
            return await Machine(self._case, plan).run()

        with _quiet():
            return run_seeded(main, plan.seed)

    def judge(self, run: Run, *, commits: bool = True) -> list[Breach]:
        """Every promise that a run broke: the rule, and a sentence.

        Args:
            run: what is left of it.
            commits: judge each commit too, not only what is left in the end.
        """
        return judge(run, self._case.registry, self._invariants, self._may_wait, commits=commits)

    def shrink(self, plan: Plan, breaches: Sequence[Breach]) -> Failure:
        """The smallest plan found that breaks one of the same rules."""
        rules = {rule for rule, _ in breaches}

        def fails(candidate: Plan) -> bool:
            return any(rule in rules for rule, _ in self.judge(self.run(candidate)))

        smallest, runs = shrunk(plan, fails)
        run = self.run(smallest)
        return Failure(plan.seed, tuple(breaches), run, tuple(self.judge(run)), plan.size, runs)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What the engine would tell an operator is no news here: the trace has it."""
    logger = logging.getLogger("procession")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
