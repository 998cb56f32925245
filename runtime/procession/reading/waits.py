"""Why a flow does not go on: what it waits for, or how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from procession.engine.envelopes import time_of
from procession.engine.standing import standing_pauses
from procession.errors import NotFound
from procession.journal.journal import JournalReader
from procession.journal.rows import OpenCommand
from procession.primitives.codec import from_json
from procession.primitives.gateway import gateway_class
from procession.primitives.process import ProcessManager
from procession.primitives.registry import Registry
from procession.primitives.stored import stored_of
from procession.reading.flow_map import flow_map
from procession.reading.timeline import Entry, Timeline, read_timeline
from procession.reading.why_not import (
    AwaitedAnswer,
    AwaitedDeadline,
    Ending,
    Failure,
    Surroundings,
    WaitingEvent,
    WhyNot,
)

_PAGE = 1_000
_EVENTS_SHOWN_MAX = 20


async def read_why_not(
    reader: JournalReader,
    process: str,
    key: str,
    now_us: int,
    surroundings: Surroundings,
    registry: Registry | None = None,
) -> WhyNot:
    """What a flow waits for.

    Args:
        registry: the classes at hand, for what gateways may answer and the flow would handle.

    Raises:
        NotFound: the journal has never heard of it.
    """
    timeline = await read_timeline(reader, process, key)
    if any((row.kind, row.name) == ("aggregate", process) for row in await reader.types()):
        found = "it is an aggregate, and waits for nothing: `procession show` shows what it decided"
        raise NotFound("flow", f"{process}/{key}", found)
    flow = timeline.flow
    waiting = [_waiting(entry) for entry in timeline.entries if entry.fate in _WAITING]
    opened = [command for command in timeline.commands.values() if command.row.state == "open"]
    set_aside = flow.status == "quarantined"
    return WhyNot(
        flow=f"{process}/{key}",
        status=flow.status,
        asked_at=time_of(now_us),
        running=surroundings.running,
        process_state=surroundings.process,
        quarantined=(flow.reason or "for no reason that is recorded") if set_aside else "",
        head=waiting[0] if waiting else None,
        commands=tuple(_awaited(command, surroundings, registry) for command in opened),
        kept=await _kept(reader, timeline, registry),
        deadlines=tuple(AwaitedDeadline(timer.name, timer.type, time_of(timer.due_us)) for timer in timeline.timers),
        events=tuple(waiting[:_EVENTS_SHOWN_MAX]),
        events_waiting=len(waiting),
        ended=_ending(timeline),
        handles=None if registry is None or process not in registry.processes else _handled(registry, timeline),
    )


async def read_surroundings(reader: JournalReader, process: str, paused: Sequence[str] = ()) -> Surroundings:
    """What the journal tells of who runs it and what is paused.

    Args:
        paused: gateways that the settings pause.
    """
    owner = await reader.owner()
    if owner is None or not owner.running:
        return Surroundings(running=False)
    standing = await standing_pauses(reader)
    # Settings pause at the start: who resumed one earlier did so for the run before.
    gateways = {
        name: "paused by the settings" for name in paused if standing.resumed_us.get(name, -1) < owner.started_us
    }
    return Surroundings(
        running=True, process=standing.processes.get(process, ""), gateways=gateways | standing.gateways
    )


_LIVE = ("active", "quarantined")
_WAITING = frozenset({"pending", "waiting", "quarantined"})


def _waiting(entry: Entry) -> WaitingEvent:
    state: Any = entry.fate
    return WaitingEvent(entry.event.type, entry.event.position, state)


def _awaited(command: OpenCommand, surroundings: Surroundings, registry: Registry | None) -> AwaitedAnswer:
    row = command.row
    cls = None if registry is None else registry.commands.get(row.type)
    receiver = None if registry is None or cls is None else registry.receivers.get(cls)
    answers = () if receiver is None else receiver.method.contract.events
    if registry is not None and cls is not None and cls in registry.deciders:
        answers = registry.deciders[cls].decision.verdicts.events
    log: list[dict[str, Any]] = from_json(row.log) if row.log else []
    return AwaitedAnswer(
        type=row.type,
        id=row.id.hex(),
        gateway=row.gateway,
        answers=tuple(stored_of(event).name for event in answers),
        attempts=row.attempts,
        failures=tuple(Failure(entry["n"], time_of(entry["at_us"]), entry["found"]) for entry in log if entry["n"]),
        next_try_at=time_of(row.due_us),
        gateway_state=surroundings.gateways.get(row.gateway, ""),
        under_way=None if surroundings.under_way is None else row.id.hex() in surroundings.under_way,
    )


async def _kept(reader: JournalReader, timeline: Timeline, registry: Registry | None) -> tuple[str, ...]:
    """A gateway that brings a process has answered a command for that: its flow has the command's id as its key."""
    names: list[tuple[str, str]] = []
    for id_, command in timeline.commands.items():
        gateway = None if registry is None else registry.gateways.get(command.row.gateway)
        if gateway is not None and command.row.state == "answered":
            brought = gateway_class(gateway).__brings__
            names += [(cls.__process__.name, id_) for cls in brought if issubclass(cls, ProcessManager)]
    found = (await reader.look_up((), names)).flows if names else {}
    return tuple(f"{name}/{key}" for name, key in names if (name, key) in found and found[name, key].status in _LIVE)


def _ending(timeline: Timeline) -> Ending | None:
    flow = timeline.flow
    if flow.outcome is None:
        return None
    ending = "act" if flow.status == "cancelled" else "handled"
    last = max((entry for entry in timeline.entries if entry.fate == ending), key=_version)
    assert last.step is not None, "a flow ends by a step"
    data: dict[str, Any] = from_json(last.event.payload) if flow.status == "cancelled" else {}
    asked_by = f"{data['by']}: {data['why']}" if "by" in data else ""
    return Ending(
        flow.outcome,
        time_of(flow.updated_us),
        last.event.type,
        last.event.position,
        last.step.name,
        last.step.version,
        asked_by,
    )


def _version(entry: Entry) -> int:
    return 0 if entry.step is None else entry.step.version


def _handled(registry: Registry, timeline: Timeline) -> tuple[str, ...]:
    """Outside events that would get a turn as the flow stands: none where it has ended."""
    flow = timeline.flow
    if flow.outcome is not None:
        return ()
    definition = registry.processes[flow.process]
    outside = {node.name for node in flow_map(registry, (flow.process,)).events("outside")}
    found: set[str] = set()
    for trigger, reaction in definition.reactions.items():
        if isinstance(trigger, tuple):
            continue
        if flow.started_us:
            takes = reaction.on is not None or (reaction.fold is not None and reaction.start is None)
        else:
            takes = reaction.start is not None or reaction.missing == "start"
        name = stored_of(trigger).name
        if takes and name in outside:
            found.add(name)
    return tuple(sorted(found))
