"""Events and commands as an AsyncAPI 3.0 document: what comes in, what goes out as it happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from procession.daemon.flow_shown import ShownEvent
from procession.daemon.http.cloud_shapes import cloud_event
from procession.daemon.http.openapi import BEARER, is_newest, our_version, published
from procession.daemon.http.reading import JSON
from procession.daemon.http.shapes import Schema, Shapes, reference
from procession.daemon.http.stream import MEDIA as STREAM_MEDIA
from procession.laws.json_schema import description_of
from procession.primitives.cloudevents import STRUCTURED
from procession.primitives.command import Command
from procession.primitives.event import Event
from procession.primitives.registry import Registry
from procession.primitives.stored import stored_of

VERSION = "3.0.0"
_SECURITY = [{"$ref": "#/components/securitySchemes/bearer"}]


def asyncapi_of(registry: Registry, host: str | None = None) -> dict[str, Any]:
    """The document, as JSON holds it.

    Args:
        registry: of the types.
        host: name and port at which the service answers; no server stands in the document without it.
    """
    shapes, messages = Shapes(), dict[str, Any]()
    deciders = sorted(registry.deciders, key=lambda cls: stored_of(cls).name)
    inward = _messages(
        messages,
        "cloudevent",
        published(registry),
        STRUCTURED,
        lambda cls: cloud_event(shapes, cls, newest=is_newest(cls, registry)),
    )
    every = [cls for _, cls in sorted(registry.events.items())]
    outward = _messages(messages, "recorded", every, JSON, lambda cls: _recorded(shapes, cls))
    commands = _messages(messages, "command", deciders, JSON, lambda cls: _sent(shapes, cls))
    channels: dict[str, Any] = {
        "intake": {
            "address": "/v1/events",
            "description": "Facts from outside, as CloudEvents 1.0: one, or a batch.",
            "messages": inward,
            "bindings": _BINDING,
        },
        "events": {
            "address": "/v1/events/stream",
            "description": f"Durable events as they come, as server-sent events ({STREAM_MEDIA}); each has its position"
            " as id, and the header Last-Event-ID goes on behind it.",
            "messages": outward,
            "bindings": _BINDING,
        },
    }
    if deciders:
        channels["commands"] = {
            "address": "/v1/commands/{type}",
            "description": "Commands that an aggregate decides.",
            "parameters": {"type": {"enum": [stored_of(cls).name for cls in deciders]}},
            "messages": commands,
            "bindings": _BINDING,
        }
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "procession",
            "version": our_version(),
            "description": "The events that flows are fed with, those that they leave, and the commands of aggregates.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": JSON,
        **(servers_at(host) if host else {}),
        "channels": channels,
        "operations": {
            name: {
                "action": action,
                "channel": {"$ref": f"#/channels/{channel}"},
                "summary": about,
                "security": _SECURITY,
            }
            for name, action, channel, about in _OPERATIONS
            if channel in channels
        },
        "components": {
            "messages": messages,
            "schemas": {name: draft_07(schema) for name, schema in sorted(shapes.schemas.items())},
            "securitySchemes": {"bearer": BEARER},
        },
    }


def servers_at(host: str) -> dict[str, Any]:
    """The member of the document that says where the service answers."""
    return {"servers": {"http": {"host": host, "protocol": "http"}}}


_BINDING = {"http": {"bindingVersion": "0.3.0"}}
_OPERATIONS = (
    ("publish", "receive", "intake", "Events are published."),
    ("follow", "send", "events", "Events are followed as they become durable."),
    ("decide", "receive", "commands", "Commands are sent to aggregates."),
)


def draft_07(part: Any) -> Any:  # noqa: ANN401 - JSON
    """A schema as AsyncAPI's own dialect has it, which is older: fixed lists are written otherwise."""
    if isinstance(part, list):
        return [draft_07(inner) for inner in part]
    if not isinstance(part, dict):
        return part
    found = {key: value if key in ("default", "enum") else draft_07(value) for key, value in part.items()}
    if found.get("type") == "array" and found.get("items") is False:
        found["items"] = found.pop("prefixItems", [])
        found["additionalItems"] = False
    return found


def _messages(
    messages: dict[str, Any],
    kind: str,
    classes: Iterable[type[Any]],
    media: str,
    payload: Callable[[type[Any]], Schema],
) -> Mapping[str, Any]:
    """Add the messages of a channel to all messages; references to them."""
    found = {}
    for cls in classes:
        stored = stored_of(cls)
        name = f"{kind}.{stored.name}.{stored.version}"
        about = description_of(cls)
        messages[name] = {
            "name": name,
            "title": f"{stored.name} {stored.version}",
            **({"summary": about} if about else {}),
            "contentType": media,
            "payload": payload(cls),
        }
        found[name] = {"$ref": f"#/components/messages/{name}"}
    return found


def _recorded(shapes: Shapes, cls: type[Event]) -> Schema:
    """An event as the journal holds it, with the data of its type."""
    stored = stored_of(cls)
    name = f"recorded.{stored.name}.{stored.version}"
    shapes.ref(ShownEvent)
    shown = shapes.schemas["ShownEvent"]
    properties = {
        **shown["properties"],
        "type": {"type": "string", "const": stored.name},
        "version": {"type": "integer", "const": stored.version},
        "data": shapes.message(cls),
    }
    shapes.schemas[name] = {**shown, "title": f"Recorded {stored.name} {stored.version}", "properties": properties}
    return reference(name)


def _sent(shapes: Shapes, cls: type[Command]) -> Schema:
    """A command with the name under which it is decided once."""
    stored = stored_of(cls)
    name = f"sent.{stored.name}.{stored.version}"
    text = {"type": ["string", "null"]}
    shapes.schemas[name] = {
        "title": f"Sent {stored.name} {stored.version}",
        "type": "object",
        "properties": {"data": shapes.message(cls), "id": text, "source": text},
        "required": ["data"],
        "additionalProperties": False,
    }
    return reference(name)
