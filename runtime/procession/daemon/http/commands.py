"""Commands to aggregates over HTTP: decided into events, or refused by the aggregate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import attrs

from procession.daemon.http.routes import Call, Route
from procession.errors import NotFound
from procession.primitives.codec import from_json
from procession.primitives.event import Event
from procession.primitives.refusal import Refusal
from procession.primitives.registry import Registry
from procession.primitives.secrecy import masked_data, plan_of, secret
from procession.primitives.stored import stored_of

_TIMEOUT_S = 30.0


@attrs.frozen(kw_only=True)
class CommandSent:
    """A command's data, and the name under which it is decided once, however often it is sent."""

    data: Annotated[Mapping[str, Any], secret]
    """It may hold what its type marks as secret: of data that is no object nothing is told."""
    id: str | None = None
    source: str | None = None


@attrs.frozen
class DecidedEvent:
    """An event that the aggregate decided."""

    type: str
    version: int
    data: Mapping[str, Any]


@attrs.frozen
class AggregateRefusal:
    """The aggregate's own no, which is an answer and no error."""

    type: str
    version: int
    data: Mapping[str, Any]


@attrs.frozen
class CommandReply:
    """What the aggregate made of it; durable."""

    events: tuple[DecidedEvent, ...]
    refusal: AggregateRefusal | None
    position: int
    duplicate: bool


async def send(call: Call) -> CommandReply:
    """Have an aggregate decide a command.

    Raises:
        NotFound: no command has this name.
        SendRefused, PublishRefused, TimeoutError: as `Runtime.send` raises them.
    """
    registry, name = call.runtime.registry, call.parts["type"]
    if name not in registry.commands:
        raise NotFound("command", name, "`procession schemas` lists the commands")
    sent = call.sent(CommandSent)
    command = registry.codec.structure(registry.commands[name], dict(sent.data))
    reply = await call.runtime.send(
        command, id=sent.id, source=sent.source or call.caller.source, wait=False, timeout_s=_TIMEOUT_S
    )
    return CommandReply(
        tuple(_decided(registry, event) for event in reply.events),
        None if reply.refusal is None else _refusal(registry, reply.refusal),
        reply.position,
        reply.duplicate,
    )


def _decided(registry: Registry, event: Event) -> DecidedEvent:
    stored = stored_of(type(event))
    return DecidedEvent(stored.name, stored.version, _shown(registry, event))


def _refusal(registry: Registry, refusal: Refusal) -> AggregateRefusal:
    stored = stored_of(type(refusal))
    return AggregateRefusal(stored.name, stored.version, _shown(registry, refusal))


def _shown(registry: Registry, message: Event | Refusal) -> Mapping[str, Any]:
    data: Mapping[str, Any] = masked_data(from_json(registry.codec.encode(message)), plan_of(type(message)))
    return data


ROUTES = (
    Route(
        "POST",
        "/v1/commands/{type}",
        "operator",
        "Have an aggregate decide a command.",
        CommandReply,
        send,
        asks=CommandSent,
    ),
)
