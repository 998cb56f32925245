"""A flow as JSON: the same from the command line and over HTTP."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import attrs

from procession.daemon.durations import iso
from procession.journal.rows import EventRow, FlowRow, FlowStatus, OpenCommand, TimerRow
from procession.primitives.codec import from_json
from procession.reading.timeline import Entry, Timeline, effects_of

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
class ShownHistory(ShownFlow):
    """A flow with all that happened to it, in order."""

    timeline: tuple[Mapping[str, Any], ...]
    commands: tuple[Mapping[str, Any], ...]
    timers: tuple[Mapping[str, Any], ...]


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
        timeline=tuple(_entry_json(entry, timeline) for entry in timeline.entries),
        commands=tuple(_command_json(command) for command in timeline.commands.values()),
        timers=tuple(_timer_json(timer, asked_us) for timer in timeline.timers),
    )


def plain(found: attrs.AttrsInstance) -> dict[str, Any]:
    """A frozen class as JSON holds it, times as they are written everywhere."""
    return attrs.asdict(found, value_serializer=_written)


def _written(_: Any, __: Any, value: Any) -> Any:  # noqa: ANN401 - what attrs hands over
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime.datetime) else value


def event_json(event: EventRow) -> dict[str, Any]:
    """An event as its row has it: whoever shows it has masked what is secret."""
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


def failures_of(command: OpenCommand) -> list[dict[str, Any]]:
    """The attempts at a command that failed, as its log has them."""
    found: list[dict[str, Any]] = from_json(command.row.log) if command.row.log else []
    return found


def _entry_json(entry: Entry, timeline: Timeline) -> dict[str, object]:
    event, step = entry.event, entry.step
    started = timeline.flow.started_us or event.recorded_us
    return {
        **event_json(event),
        "after_s": (event.recorded_us - started) / _US,
        "cause": entry.cause,
        "fate": entry.fate,
        "step": None if step is None else {"version": step.version, "handler": step.name},
        "effects": effects_of(step),
    }


def _command_json(command: OpenCommand) -> dict[str, object]:
    row = command.row
    return {
        "id": row.id.hex(),
        "type": row.type,
        "gateway": row.gateway,
        "state": row.state,
        "attempts": row.attempts,
        "due_at": iso(row.due_us),
        "position": row.position,
        "data": from_json(command.effects)[row.idx].get("data"),
        "failures": [
            {**failure, "at": iso(failure["at_us"])} if "at_us" in failure else failure
            for failure in failures_of(command)
        ],
    }


def _timer_json(timer: TimerRow, asked_us: int) -> dict[str, object]:
    return {
        "name": timer.name,
        "type": timer.type,
        "due_at": iso(timer.due_us),
        "due_in_s": (timer.due_us - asked_us) / _US,
        "data": from_json(timer.payload),
    }
