"""`simulate`: the real engine under a seeded scheduler, on a disk that fails, behind it a world that misbehaves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import attrs

from procession.errors import WiringError
from procession.primitives.command import Command
from procession.primitives.event import Event
from procession.primitives.gateway import Gateway
from procession.primitives.invariant import Invariant
from procession.primitives.process import ProcessManager
from procession.primitives.registry import build_registry
from procession.primitives.wiring import Wiring
from procession.settings import Settings
from procession.testing.outcomes import Given, Outcomes
from procession.testing.scheduling import run_seeded
from procession.testing.simulation.fault import ALL, Fault
from procession.testing.simulation.machine import Breach, Case, Machine, Run
from procession.testing.simulation.plan import Load, Plan, draw
from procession.testing.simulation.verdict import judge
from procession.testing.stand_ins import Stage, stand_in


class Simulation:
    """Runs of one system, seed by seed."""

    def __init__(
        self,
        wiring: Wiring | None = None,
        *,
        load: Load,
        processes: Sequence[type[ProcessManager]] = (),
        gateways: Sequence[Gateway | type[Gateway]] = (),
        events: Sequence[type[Event]] = (),
        invariants: Sequence[Invariant] = (),
        outcomes: Mapping[type[Command], Sequence[Given]] | None = None,
        faults: Collection[Fault] = ALL,
        may_wait: Collection[type[ProcessManager]] = (),
        settings: Settings | None = None,
    ) -> None:
        wired = wiring or Wiring((), ())
        classes = [one if isinstance(one, type) else type(one) for one in (*wired.gateways, *gateways)]
        stage = Stage()
        registry = build_registry(
            (*wired.processes, *processes), [stand_in(cls, stage) for cls in classes], (*wired.events, *events)
        )
        if not registry.processes:
            raise WiringError("there is no process to simulate", "give a wiring, or processes= and gateways=")
        self.case = Case(registry, stage, Outcomes(classes, outcomes, given_up=False), settings or Settings())
        self.load = load
        self.faults = frozenset(faults)
        self.invariants = (*wired.invariants, *invariants)
        self.may_wait = frozenset(process.__process__.name for process in may_wait)

    def plan(self, seed: int) -> Plan:
        return draw(seed, self.load, self.faults)

    def run(self, plan: Plan) -> Run:
        async def main() -> Run:
            return await Machine(self.case, plan).run()

        return run_seeded(main, plan.seed)

    def judge(self, run: Run, *, commits: bool = True) -> list[Breach]:
        return judge(run, self.case.registry, self.invariants, self.may_wait, commits=commits)
