"""The registered types over HTTP: processes with what concerns them, aggregates, events, commands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import attrs

from procession.daemon.http.routes import Call, Route
from procession.laws.json_schema import description_of
from procession.primitives.event import Event, FailureEvent
from procession.primitives.stored import stored_of


@attrs.frozen
class ProcessShown:
    """One process manager."""

    name: str
    about: str
    """What its author wrote about it, in a line."""
    paused: bool
    """Its failures paused it; it goes on when someone resumes it."""
    starts: tuple[str, ...]
    """Events that start a flow."""
    events: tuple[str, ...]
    """Events that concern its flows."""


@attrs.frozen
class ProcessList:
    """Every process."""

    processes: tuple[ProcessShown, ...]


@attrs.frozen
class EventType:
    """One version of an event."""

    name: str
    version: int
    kind: Literal["event", "failure"]
    about: str


@attrs.frozen
class CommandType:
    """A command, and who takes it."""

    name: str
    version: int
    gateway: str | None
    aggregate: str | None
    """By this one it is decided, and it may be sent to `/v1/commands/NAME`."""
    about: str


@attrs.frozen
class TypeList:
    """Every event and command; their schemas stand in `/openapi.json` and `/asyncapi.json`."""

    events: tuple[EventType, ...]
    commands: tuple[CommandType, ...]
    aggregates: tuple[str, ...]
    gateways: tuple[str, ...]


async def list_processes(call: Call) -> ProcessList:
    """Every process, with the events that concern it."""
    paused = call.runtime.paused_processes()
    return ProcessList(
        tuple(
            ProcessShown(
                name,
                description_of(definition.cls),
                name in paused,
                _names(
                    event for event in definition.concerned if getattr(definition.reactions.get(event), "start", None)
                ),
                _names(definition.concerned),
            )
            for name, definition in sorted(call.source.registry.processes.items())
        )
    )


async def list_types(call: Call) -> TypeList:
    """Every event and command of the runtime."""
    registry = call.source.registry
    events = [
        EventType(name, version, "failure" if issubclass(cls, FailureEvent) else "event", description_of(cls))
        for (name, version), cls in sorted(registry.events.items())
    ]
    commands = []
    for name, cls in sorted(registry.commands.items()):
        receiver, decider = registry.receivers.get(cls), registry.deciders.get(cls)
        commands.append(
            CommandType(
                name,
                stored_of(cls).version,
                None if receiver is None else receiver.name,
                None if decider is None else decider.name,
                description_of(cls),
            )
        )
    return TypeList(
        tuple(events), tuple(commands), tuple(sorted(registry.aggregates)), tuple(sorted(registry.gateways))
    )


def _names(events: Iterable[type[Event]]) -> tuple[str, ...]:
    return tuple(sorted({stored_of(event).name for event in events}))


ROUTES = (
    Route("GET", "/v1/processes", "reader", "Every process, with what concerns it.", ProcessList, list_processes),
    Route("GET", "/v1/types", "reader", "Every event and command.", TypeList, list_types),
)
