"""What is paused over restarts: the last act on each gateway and process says so, until the next one."""

from __future__ import annotations

import logging
from typing import Any

import attrs

from procession.engine.life import Lasting, Life
from procession.journal.journal import JournalReader
from procession.primitives.codec import from_json
from procession.primitives.event import GatewayPaused, GatewayResumed, ProcessPaused
from procession.primitives.stored import stored_of

logger = logging.getLogger("procession")


@attrs.frozen
class Standing:
    """By name, why it is paused; and which gateways somebody resumed last, with when."""

    gateways: dict[str, str] = attrs.field(factory=dict)
    processes: dict[str, str] = attrs.field(factory=dict)
    resumed_us: dict[str, int] = attrs.field(factory=dict)


async def standing_pauses(journal: JournalReader) -> Standing:
    """What the acts in a journal leave paused."""
    found = Standing()
    for event in await journal.pauses():
        data: dict[str, Any] = from_json(event.payload)
        if event.type == stored_of(GatewayPaused).name:
            found.gateways[data["gateway"]] = f"paused by {data['by']}: {data['why']}"
            found.resumed_us.pop(data["gateway"], None)
        elif event.type == stored_of(GatewayResumed).name:
            found.gateways.pop(data["gateway"], None)
            found.resumed_us[data["gateway"]] = event.recorded_us
        elif event.type == stored_of(ProcessPaused).name:
            found.processes[data["process"]] = f"paused: {data['failures']} flows failed at {data['handler']}"
        else:
            found.processes.pop(data["process"], None)
    return found


async def keep_paused(journal: JournalReader, lasting: Lasting, life: Life, *, first: bool) -> None:
    """Begin a life with what was paused in the one before; gateways outlive a life, and need it in the first only."""
    standing = await standing_pauses(journal)
    processes = standing.processes.keys() & lasting.registry.processes.keys()
    gateways = standing.gateways.keys() & lasting.registry.gateways.keys() if first else set[str]()
    life.table.paused.update(processes)
    for name in sorted(gateways):
        lasting.gateways.host(name).is_paused = True
    if first:
        for kind, name, why in (
            *(("gateway", name, standing.gateways[name]) for name in sorted(gateways)),
            *(("process", name, standing.processes[name]) for name in sorted(processes)),
        ):
            logger.warning("%s %s is still %s; `procession resume` has it go on", kind, name, why)
