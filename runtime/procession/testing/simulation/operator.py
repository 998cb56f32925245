"""Somebody at the command line, while a simulation runs and after it."""

from __future__ import annotations

from procession.errors import ProcessionError
from procession.facade import Runtime
from procession.journal.rows import Contents, EventRow, FlowRow
from procession.laws.histories import GIVEN_UP
from procession.testing.simulation.trace import Trace

_WHO = "simulated operator"
_WHY = "simulation"


async def act_at_random(runtime: Runtime, contents: Contents, share: float, trace: Trace) -> int | None:
    """Do something to some flow, both by the share (0 to 1); the flow, where an event was taken out of it."""
    aside = [row for row in _flows(contents) if row.status == "quarantined"]
    candidates = aside or [row for row in _flows(contents) if row.outcome is None]
    if not candidates:
        return None
    acts = ("retry", "skip", "release", "cancel") if aside else ("cancel", "cancel hard")
    place = int(share * len(candidates) * len(acts))
    row, act = candidates[place // len(acts)], acts[place % len(acts)]
    trace.add("operator", f"{act} {row.process}/{row.key}")
    flow = runtime.flow(row.process, row.key)
    try:
        if act == "retry":
            await flow.retry(by=_WHO, why=_WHY)
        elif act == "skip":
            await flow.skip(by=_WHO, why=_WHY)
            return row.id
        elif act == "release":
            await flow.release(by=_WHO, why=_WHY)
        else:
            await flow.cancel(by=_WHO, why=_WHY, force=act == "cancel hard")
    except ProcessionError as error:
        trace.add("operator", f"is told: {error}")
    return row.id if act == "skip" else None


async def repair(runtime: Runtime, contents: Contents, trace: Trace) -> frozenset[str]:
    """Send again what was given up, and release what is in quarantine; returns what each stood at."""
    aside = [row for row in _flows(contents) if row.status == "quarantined"]
    stood: set[str] = set()
    for row in aside:
        head = _head(contents, row)
        given_up = _given_up(head)
        stood.add(given_up or f"{row.process}/{row.key} at {0 if head is None else head.position}")
        trace.add("operator", f"{'sends again for' if given_up else 'releases'} {row.process}/{row.key}: {row.reason}")
        flow = runtime.flow(row.process, row.key)
        try:
            if given_up:
                await flow.retry_command(given_up, by=_WHO, why=_WHY)
            else:
                await flow.release(by=_WHO, why=_WHY)
        except ProcessionError as error:
            trace.add("operator", f"is told: {error}")
    return frozenset(stood)


def _flows(contents: Contents) -> list[FlowRow]:
    """An operator has nothing to do with aggregates."""
    aggregates = {row.name for row in contents.types if row.kind == "aggregate"}
    return [row for row in contents.flows if row.process not in aggregates]


def _head(contents: Contents, flow: FlowRow) -> EventRow | None:
    """The first event that waits for a flow."""
    first = min((row.position for row in contents.deliveries if row.flow == flow.id), default=None)
    return next((row for row in contents.events if row.position == first), None)


def _given_up(head: EventRow | None) -> str:
    """The command of which it says that it was given up, or nothing."""
    if head is None or head.type != GIVEN_UP or head.caused_by is None:
        return ""
    return head.caused_by.hex()
