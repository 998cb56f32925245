"""Classes that the routes ask for and answer with, as JSON Schema (2020-12): each under its own name."""

from __future__ import annotations

import ast
import datetime
import functools
import inspect
import textwrap
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import attrs

from procession.daemon.http.bounds import bounds_in
from procession.laws.json_schema import description_of, json_schema_of
from procession.primitives.stored import stored_of

Schema = dict[str, Any]
_SCALARS: Mapping[object, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    types.NoneType: {"type": "null"},
    datetime.datetime: {"type": "string", "format": "date-time"},
}


@attrs.define(eq=False)
class Shapes:
    """The schemas of one document, by name; whoever needs one gets a reference to it."""

    schemas: dict[str, Schema] = attrs.field(factory=dict)

    def ref(self, cls: type) -> Schema:
        """A reference to the schema of a class of ours."""
        name = cls.__name__
        if name not in self.schemas:
            self.schemas[name] = {}  # its place, before those that it holds
            self.schemas[name] = self._object(cls)
        return reference(name)

    def message(self, cls: type) -> Schema:
        """A reference to the schema of an event, command or refusal; what is nested in it has names of its own."""
        stored = stored_of(cls)
        kind = stored.kind if stored.kind in ("command", "refusal") else "event"
        name = f"{kind}.{stored.name}.{stored.version}"
        if name not in self.schemas:
            schema = json_schema_of(cls)
            del schema["$schema"], schema["$id"]
            inner = schema.pop("$defs", {})
            self.schemas[name] = _renamed(schema, name)
            self.schemas |= {f"{name}.{of}": {"title": of, **_renamed(found, name)} for of, found in inner.items()}
        return reference(name)

    def of(self, annotation: Any) -> Schema:  # noqa: ANN401, PLR0911 - a type form; a table, read downwards
        """The schema of what a field may hold."""
        origin, members = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is Annotated:
            found = dict(self.of(members[0]))
            for bounds in bounds_in(annotation):
                found |= bounds.schema()
            return found
        if origin in (typing.Union, types.UnionType):
            return {"anyOf": [self.of(member) for member in members]}
        if origin is typing.Literal:
            return {"type": "string", "enum": list(members)}
        if origin is dict or (isinstance(origin, type) and issubclass(origin, Mapping)):
            return {"type": "object", "additionalProperties": self.of(members[1])}
        if origin in (tuple, list) or (isinstance(origin, type) and issubclass(origin, Sequence)):
            return {"type": "array", "items": self.of(members[0])}
        if isinstance(annotation, type) and attrs.has(annotation):
            return self.ref(annotation)
        return dict(_SCALARS.get(annotation, {}))

    def _object(self, cls: type) -> Schema:
        properties = {name: schema for name, schema, _ in self.fields(cls)}
        required = [name for name, _, needed in self.fields(cls) if needed]
        found: Schema = {"title": cls.__name__, "type": "object", "properties": properties}
        about = description_of(cls)
        if about:
            found["description"] = about
        if required:
            found["required"] = required
        return {**found, "additionalProperties": False}

    def fields(self, cls: Any) -> list[tuple[str, Schema, bool]]:  # noqa: ANN401 - any attrs class
        """Name and schema of each field, and whether it must be there."""
        hints, said = typing.get_type_hints(cls, include_extras=True), _said_of(cls)
        found = []
        for field in attrs.fields(cls):
            schema = self.of(hints[field.name])
            if field.name in said:
                schema = {**schema, "description": said[field.name]}
            if isinstance(field.default, str | int | float | bool):
                schema = {**schema, "default": field.default}
            found.append((field.name, schema, field.default is attrs.NOTHING))
        return found


def reference(name: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def _renamed(part: Any, name: str) -> Any:  # noqa: ANN401 - JSON
    """A schema whose references lead to where its parts stand in the document."""
    if isinstance(part, list):
        return [_renamed(inner, name) for inner in part]
    if not isinstance(part, dict):
        return part
    if isinstance(part.get("$ref"), str):
        inner = part["$ref"].removeprefix("#").removeprefix("/$defs/")
        return {**part, **reference(f"{name}.{inner}" if inner else name)}
    return {key: value if key in ("default", "enum") else _renamed(value, name) for key, value in part.items()}


@functools.cache
def _said_of(cls: type) -> Mapping[str, str]:
    """What stands below each field of a class, as its author wrote it."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef), "the source of a class is one"
        for field, below in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
                and isinstance(below.value.value, str)
            ):
                found[field.target.id] = " ".join(below.value.value.split())
    return found
