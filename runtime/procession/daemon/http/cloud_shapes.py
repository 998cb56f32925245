"""CloudEvents 1.0 as JSON Schema: the envelope, with the data of each type that may be published."""

from __future__ import annotations

from procession.daemon.http.shapes import Schema, Shapes, reference
from procession.laws.json_schema import urn_of
from procession.laws.schemas import entry_of
from procession.primitives.event import Event

_TEXT: Schema = {"type": "string", "minLength": 1}
_TEXT_OR_NONE: Schema = {"type": ["string", "null"], "minLength": 1}
"""CloudEvents' own rule for JSON: an attribute that is null is one that is not there."""
_SOURCE: Schema = {"type": "string", "format": "uri-reference", "pattern": "^[!-~]+$"}


def cloud_event(shapes: Shapes, cls: type[Event], *, newest: bool) -> Schema:
    """A reference to the envelope of one version of a type.

    Args:
        newest: an event that names no version that is known here is read as this one.
    """
    entry = entry_of(cls)
    name = f"cloudevent.{entry.name}.{entry.version}"
    if name not in shapes.schemas:
        data = shapes.message(cls)
        has_defaults = all("default" in field for field in entry.schema["fields"])
        shapes.schemas[name] = {
            "title": f"CloudEvent {entry.name} {entry.version}",
            "type": "object",
            "properties": {
                "specversion": {"type": "string", "const": "1.0"},
                "id": {**_TEXT, "description": "Unique within the source: sent again, it is the same event."},
                "source": {**_SOURCE, "description": "Who sends it, as a URI reference."},
                "type": {"type": "string", "const": entry.name},
                "dataschema": _TEXT_OR_NONE if newest else {"type": "string", "const": urn_of(entry)},
                "datacontenttype": {"type": ["string", "null"], "enum": ["application/json", None]},
                "subject": _TEXT_OR_NONE,
                "traceparent": {"type": ["string", "null"], "description": "W3C trace context."},
                "data": {"anyOf": [data, {"type": "null"}]} if has_defaults else data,
            },
            "required": ["specversion", "id", "source", "type", *([] if has_defaults else ["data"])],
            "additionalProperties": False,
        }
    return reference(name)
