"""A type as JSON Schema (2020-12): what its payloads look like, as the journal and CloudEvents hold them."""

from __future__ import annotations

import inspect
import json
from typing import Any
from urllib.parse import quote

import attrs

from procession.laws.schemas import Entry, entry_of
from procession.primitives.schema import Type, nameless
from procession.primitives.secrecy import Plan, Secrecy, plan_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1
WORDS: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer", "minimum": _INT_MIN, "maximum": _INT_MAX},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "bytes": {"type": "string", "description": "bytes in base 85, as Python's base64.b85encode writes them"},
    "None": {"type": "null"},
    "Decimal": {"type": "string", "pattern": r"^-?(\d+(\.\d*)?([Ee][+-]?\d+)?|Infinity)$"},
    "datetime": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "pattern": r"^\d\d:\d\d(:\d\d(\.\d+)?)?([+-]\d\d:\d\d(:\d\d(\.\d+)?)?)?$"},
    "timedelta": {"type": "integer", "description": "microseconds"},
    "UUID": {"type": "string", "format": "uuid"},
}
"""What each word of a schema is in JSON. A word that is not here (a type variable) may be anything."""

HIDDEN: dict[str, Any] = {"writeOnly": True, "x-secret": True}
"""Of a field that is marked as secret: it is sent, and shown to nobody."""


def json_schema_of(cls: type) -> dict[str, Any]:
    """The JSON Schema of an event or command; it stands alone."""
    entry = entry_of(cls)
    names = Names()
    schema: dict[str, Any] = {"$schema": DIALECT, "$id": urn_of(entry), "title": cls.__name__}
    about = description_of(cls)
    if about:
        schema["description"] = about
    extra = entry.schema.get("extra_fields") == "ignore"
    schema |= _object(entry.schema["fields"], names, ("",), plan_of(cls), extra=extra)
    if names.definitions:
        schema["$defs"] = names.definitions
    return schema


def urn_of(entry: Entry) -> str:
    """The name of one version of a type, as a URI."""
    kind = entry.kind if entry.kind in ("command", "refusal") else "event"
    return f"urn:procession:{kind}:{quote(entry.name, safe='')}:{entry.version}"


def description_of(cls: type) -> str:
    """What its author wrote about a class itself, in one line; empty where that is nothing."""
    written = cls.__dict__.get("__doc__")
    return " ".join(inspect.cleandoc(written).split("\n\n")[0].split()) if isinstance(written, str) else ""


@attrs.define
class Names:
    """Names for nested classes and enums within one schema: two that differ get two names."""

    definitions: dict[str, Any] = attrs.field(factory=dict)
    _taken: dict[str, str] = attrs.field(factory=dict)

    def take(self, wanted: str, content: object) -> tuple[str, bool]:
        """A name for this content, and whether it is new."""
        key, name, number = json.dumps(nameless(content), sort_keys=True), wanted, 1
        while self._taken.get(name, key) != key:
            number += 1
            name = f"{wanted}{number}"
        new = name not in self._taken
        self._taken[name] = key
        return name, new


def _object(
    fields: list[dict[str, Any]], names: Names, above: tuple[str, ...], plan: Plan, *, extra: bool
) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for field in fields:
        secrecy = plan.get(field["name"], False)
        properties[field["name"]] = dict(_type(field["type"], names, above, secrecy))
        if secrecy is True:
            properties[field["name"]] |= HIDDEN
            continue
        default = field.get("default")
        if "default" in field and not (isinstance(default, dict) and _is_no_value(default)):
            properties[field["name"]]["default"] = default
    required = [field["name"] for field in fields if "default" not in field]
    found: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        found["required"] = required
    return found if extra else {**found, "additionalProperties": False}


def _is_no_value(default: dict[str, Any]) -> bool:
    return "made by" in default or "no value of its type" in default


def _type(kind: Type, names: Names, above: tuple[str, ...], secrecy: Secrecy) -> dict[str, Any]:
    match kind:
        case str():
            return WORDS.get(kind, {})
        case {"list": inner}:
            return {"type": "array", "items": _type(inner, names, above, secrecy)}
        case {"set": inner}:
            return {"type": "array", "items": _type(inner, names, above, secrecy), "uniqueItems": True}
        case {"tuple": members}:
            items = [_type(member, names, above, secrecy) for member in members]
            size = {"items": False, "minItems": len(items), "maxItems": len(items)}
            return {"type": "array", **({"prefixItems": items} if items else {}), **size}
        case {"any of": members}:
            return {"anyOf": [_type(member, names, above, secrecy) for member in members]}
        case {"literal": values}:
            return {"enum": values}
        case {"enum": name, "values": values}:
            return {"title": name, "enum": list(dict.fromkeys(values.values()))}
        case {"up": levels}:
            name = above[len(above) - 1 - levels]
            return {"$ref": f"#/$defs/{name}" if name else "#"}
    plan = secrecy if isinstance(secrecy, dict) else {}
    name, new = names.take(kind["class"], {**kind, "secret": plan} if plan else kind)
    if new:
        names.definitions[name] = {}  # its place, before those that it holds
        names.definitions[name] = _object(kind["fields"], names, (*above, name), plan, extra=False)
    return {"$ref": f"#/$defs/{name}"}
