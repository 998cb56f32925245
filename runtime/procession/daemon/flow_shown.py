"""A flow as JSON: the same from the command line and over HTTP."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import attrs

from procession.daemon.durations import iso
from procession.journal.rows import CommandState, EventRow, FlowRow, FlowStatus, OpenCommand, TimerRow
from procession.primitives.codec import from_json
from procession.reading.timeline import Entry, Timeline, effects_of, failures_of

_US = 1_000_000


@attrs.frozen
class ShownFlow:
    """Where a flow stands: exact times, and ages in seconds."""

    flow: str
    process: str
    key: str
    status: FlowStatus
    outcome: str | None
    reason: str | None
    version: int
    started_at: str | None
    updated_at: str
    age_s: float | None
    idle_s: float


@attrs.frozen
class ShownEvent:
    """An event as the journal holds it."""

    position: int
    event_id: str
    type: str
    version: int
    recorded_at: str
    source: str | None
    source_id: str | None
    caused_by: str | None
    data: Any


@attrs.frozen
class ShownStep:
    """What a turn left."""

    version: int
    handler: str


@attrs.frozen
class ShownEntry(ShownEvent):
    """An event that concerned a flow, and what the flow did with it."""

    after_s: float
    """Since the flow began."""
    cause: str
    """Where it came from, in words."""
    fate: str
    """`handled`, `skipped`, `act`; else why no turn handled it, or `pending`, `waiting`, `quarantined`."""
    step: ShownStep | None
    effects: tuple[Mapping[str, Any], ...]
    """What the turn asked for, as the journal holds it."""


@attrs.frozen
class ShownCommand:
    """A command of a flow, with the attempts that failed."""

    id: str
    type: str
    gateway: str
    state: CommandState
    attempts: int
    due_at: str
    position: int
    data: Any
    failures: tuple[Mapping[str, Any], ...]


@attrs.frozen
class ShownTimer:
    """A deadline that is armed."""

    name: str
    type: str
    due_at: str
    due_in_s: float
    data: Any


@attrs.frozen
class ShownHistory(ShownFlow):
    """A flow with all that happened to it, in order."""

    timeline: tuple[ShownEntry, ...]
    commands: tuple[ShownCommand, ...]
    timers: tuple[ShownTimer, ...]


def shown_flow(row: FlowRow, asked_us: int) -> ShownFlow:
    """A flow's row as it is shown."""
    started = row.started_us or None
    return ShownFlow(
        flow=f"{row.process}/{row.key}",
        process=row.process,
        key=row.key,
        status=row.status,
        outcome=row.outcome,
        reason=row.reason,
        version=row.version,
        started_at=None if started is None else iso(started),
        updated_at=iso(row.updated_us),
        age_s=None if started is None else (asked_us - started) / _US,
        idle_s=(asked_us - row.updated_us) / _US,
    )


def shown_history(timeline: Timeline, asked_us: int) -> ShownHistory:
    """A timeline as it is shown."""
    return ShownHistory(
        **attrs.asdict(shown_flow(timeline.flow, asked_us)),
        timeline=tuple(_shown_entry(entry, timeline) for entry in timeline.entries),
        commands=tuple(map(_shown_command, timeline.commands.values())),
        timers=tuple(_shown_timer(timer, asked_us) for timer in timeline.timers),
    )


def plain(found: attrs.AttrsInstance) -> dict[str, Any]:
    """A frozen class as JSON holds it, times as they are written everywhere."""
    return attrs.asdict(found, value_serializer=_written)


def _written(_: Any, __: Any, value: Any) -> Any:  # noqa: ANN401 - what attrs hands over
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime.datetime) else value


def shown_event(event: EventRow) -> ShownEvent:
    """An event's row as it is shown."""
    return ShownEvent(**event_json(event))


def event_json(event: EventRow) -> dict[str, Any]:
    """The fields of `ShownEvent`, for those who show very many and need no instance.

    As its row has them: whoever shows it has masked what is secret.
    """
    return {
        "position": event.position,
        "event_id": event.id.hex(),
        "type": event.type,
        "version": event.version,
        "recorded_at": iso(event.recorded_us),
        "source": event.source,
        "source_id": event.source_id,
        "caused_by": None if event.caused_by is None else event.caused_by.hex(),
        "data": from_json(event.payload),
    }


def _shown_entry(entry: Entry, timeline: Timeline) -> ShownEntry:
    event, step = entry.event, entry.step
    started = timeline.flow.started_us or event.recorded_us
    return ShownEntry(
        **event_json(event),
        after_s=(event.recorded_us - started) / _US,
        cause=entry.cause,
        fate=entry.fate,
        step=None if step is None else ShownStep(step.version, step.name),
        effects=tuple(effects_of(step)),
    )


def _shown_command(command: OpenCommand) -> ShownCommand:
    row = command.row
    return ShownCommand(
        id=row.id.hex(),
        type=row.type,
        gateway=row.gateway,
        state=row.state,
        attempts=row.attempts,
        due_at=iso(row.due_us),
        position=row.position,
        data=from_json(command.effects)[row.idx].get("data"),
        failures=tuple(
            {**failure, "at": iso(failure["at_us"])} if "at_us" in failure else failure
            for failure in failures_of(command)
        ),
    )


def _shown_timer(timer: TimerRow, asked_us: int) -> ShownTimer:
    return ShownTimer(
        name=timer.name,
        type=timer.type,
        due_at=iso(timer.due_us),
        due_in_s=(timer.due_us - asked_us) / _US,
        data=from_json(timer.payload),
    )
