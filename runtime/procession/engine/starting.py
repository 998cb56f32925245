"""The parts of one life, started in its nursery: each restarted alone where it can be."""

from __future__ import annotations

import trio

from procession.engine.life import Lasting, Life
from procession.engine.parts import Parts
from procession.primitives.registry import Registry


def part_names(registry: Registry) -> tuple[str, ...]:
    """The parts that this runtime has."""
    watching = ("invariants",) if registry.invariants else ()
    deciding = ("aggregates",) if registry.aggregates else ()
    return ("journal writer", "intake", "timers", "recovery", *deciding, *watching)


def start_parts(parts: Parts, lasting: Lasting, life: Life, nursery: trio.Nursery) -> None:
    """Start all but the journal writer, which ends last, and the recovery."""
    for name in lasting.registry.gateways:
        nursery.start_soon(_drive, parts, lasting, life, name)
    nursery.start_soon(parts.run, "timers", life.timers.run)
    nursery.start_soon(parts.run, "intake", life.intake.run)
    if lasting.registry.aggregates:
        life.aggregates.attach(nursery)
        nursery.start_soon(parts.run, "aggregates", life.aggregates.run)
    if lasting.registry.invariants:
        nursery.start_soon(_judge, parts, lasting, life)


async def _drive(parts: Parts, lasting: Lasting, life: Life, name: str) -> None:
    """A gateway's loop is restarted alone: its window is read again from the journal."""
    gateways = lasting.gateways
    await parts.restarting(gateways.actors[name], lambda: gateways.drive(name, life.ledger, life.host.loader))


async def _judge(parts: Parts, lasting: Lasting, life: Life) -> None:
    invariants = lasting.invariants
    await parts.dispensable("invariants", lambda: invariants.run(life.ledger, life.router, life.solo), invariants.stop)
