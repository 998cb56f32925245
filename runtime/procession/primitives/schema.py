"""The schema of a class: what its JSON holds, as plain data that is the same in every run and on every Python.

A schema is `{"fields": [...]}`. A field has a `name`, a `type`, and a `default` where it has one. A type is a word
(`str`, `Decimal`, `None`, …) or an object with one of these keys:

    list       tuple[X, ...]             the type of its elements
    set        frozenset[X]              the type of its elements
    tuple      tuple[X, Y]               the types of its elements
    any of     X | Y                     its members, in one order whatever order they were written in
    literal    Literal["a", "b"]         its values
    enum       an enum                   its name; `values` has each member's
    class      a frozen attrs class      its name; `fields` as above, or `up`: it is the class so many levels above

Names of enums and nested classes are for people: JSON does not show them, and no comparison looks at them.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import hashlib
import types
import typing
import uuid as _uuid
from collections.abc import Callable
from typing import Any

import attrs

from procession.primitives.codec import from_json, to_json
from procession.primitives.fields import bare, resolved_fields
from procession.primitives.json_types import annotated
from procession.primitives.stored import Stored

Schema = dict[str, Any]
Type = str | dict[str, Any]
_Plain = Callable[[object, object], Any]
_NAMES: dict[object, str] = {
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    bytes: "bytes",
    types.NoneType: "None",
    decimal.Decimal: "Decimal",
    datetime.datetime: "datetime",
    datetime.date: "date",
    datetime.time: "time",
    datetime.timedelta: "timedelta",
    _uuid.UUID: "UUID",
}
_FINGERPRINT_BYTES = 16


def schema_of(cls: type) -> Schema:
    """The schema of an event, a command, or the state of a process."""
    from procession.primitives.converters import plain_values  # noqa: PLC0415 - it loads cattrs: see Codec

    schema: Schema = {"fields": _fields(cls, (cls,), plain_values())}
    stored = cls.__dict__.get("__procession__")
    if isinstance(stored, Stored) and stored.extra_fields == "ignore":
        schema["extra_fields"] = "ignore"
    return schema


def shape_of(cls: type) -> str:
    """The schema of a class as JSON text, as the journal keeps it."""
    return to_json(schema_of(cls)).decode()


def first_shape_of(cls: type) -> str:
    """The fields of a class as journals of the first form keep them: names, types, whether each has a default."""
    fields = resolved_fields(cls)
    return to_json(
        [
            {"name": field.name, "type": annotated(fields[field.name]), "optional": field.default is not attrs.NOTHING}
            for field in attrs.fields(cls)
        ]
    ).decode()


def is_first_shape(shape: str) -> bool:
    """Whether a journal keeps this shape in the first form."""
    return isinstance(from_json(shape), list)


def schema_fingerprint(schema: Schema) -> str:
    """32 hexadecimal digits over all of a schema but the names that JSON does not show."""
    return hashlib.blake2b(to_json(nameless(schema)), digest_size=_FINGERPRINT_BYTES).hexdigest()


def nameless(part: Any) -> Any:  # noqa: ANN401 - JSON
    """A schema, or a part of one, without the names of its enums and nested classes."""
    if isinstance(part, list):
        return [nameless(inner) for inner in part]
    if not isinstance(part, dict):
        return part
    return {
        key: value if key in ("default", "literal", "values") else "" if key in ("class", "enum") else nameless(value)
        for key, value in part.items()
    }


def _fields(cls: type, above: tuple[type, ...], plain: _Plain) -> list[dict[str, Any]]:
    annotations = resolved_fields(cls)
    found: list[dict[str, Any]] = []
    for field in attrs.fields(cls):
        entry: dict[str, Any] = {"name": field.name, "type": _type(annotations[field.name], above, plain)}
        if field.default is not attrs.NOTHING:
            entry["default"] = _default(field.default, annotations[field.name], plain)
        found.append(entry)
    return found


def _default(default: object, annotation: object, plain: _Plain) -> Any:  # noqa: ANN401 - JSON
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # attrs types its class as a function
        # It may make another value each time, and is the author's code: it is named, not called.
        factory = default.factory  # type: ignore[attr-defined]  # as above
        return {"made by": getattr(factory, "__qualname__", type(factory).__qualname__)}
    try:
        return plain(default, annotation)
    except ValueError:
        return {"no value of its type": type(default).__qualname__}  # such a message can't be written either


def _type(annotation: object, above: tuple[type, ...], plain: _Plain) -> Type:  # noqa: PLR0911 - a table, read downwards
    annotation = bare(annotation)
    origin, members = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _union([_type(member, above, plain) for member in members])
    if origin is typing.Literal:
        return {"literal": _in_order([_value(member, plain) for member in members])}
    if origin is frozenset:
        return {"set": _type(members[0], above, plain)}
    if origin is tuple:
        if members[-1:] == (Ellipsis,):
            return {"list": _type(members[0], above, plain)}
        return {"tuple": [_type(member, above, plain) for member in members]}
    if isinstance(annotation, type):
        if issubclass(annotation, enum.Enum):
            values = {name: _value(member, plain) for name, member in sorted(annotation.__members__.items())}
            return {"enum": annotation.__name__, "values": values}
        if attrs.has(annotation):
            if annotation in above:
                return {"class": annotation.__name__, "up": above[::-1].index(annotation)}
            return {"class": annotation.__name__, "fields": _fields(annotation, (*above, annotation), plain)}
    return _NAMES.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _union(members: list[Type]) -> Type:
    found = _in_order(members)
    return found[0] if len(found) == 1 else {"any of": found}


def _value(member: object, plain: _Plain) -> Any:  # noqa: ANN401 - JSON
    try:
        return plain(member, type(member))
    except ValueError:
        return repr(member.value) if isinstance(member, enum.Enum) else repr(member)


def _in_order(items: list[Any]) -> list[Any]:
    """Each once, in one order; None last."""
    found = {to_json(nameless(item)): item for item in items}
    return [found[key] for key in sorted(found, key=lambda key: (found[key] in ("None", None), key))]
