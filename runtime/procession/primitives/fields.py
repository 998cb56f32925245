"""Which field types can't change: what events, commands and flow states may be made of."""

from __future__ import annotations

import datetime
import decimal
import enum
import types
import typing
import uuid as _uuid
import weakref
from collections.abc import Iterator

import attrs

SCALARS: frozenset[object] = frozenset(
    {
        str,
        int,
        float,
        bool,
        bytes,
        types.NoneType,
        decimal.Decimal,
        datetime.datetime,
        datetime.date,
        datetime.time,
        datetime.timedelta,
        _uuid.UUID,
    }
)
_CURES = {
    list: "use tuple[X, ...]",
    dict: "use a tuple of pairs or a frozen class of your own",
    set: "use frozenset[X]",
    bytearray: "use bytes",
}


class OfAnything:
    """Stands among the parts of an annotation for a tuple or frozenset that does not say of what."""


def mutable_part(annotation: object, known: frozenset[type] = frozenset()) -> tuple[str, str] | None:
    """What of a resolved annotation could change, and the cure; None where all of it is immutable.

    Args:
        annotation: of a field.
        known: frozen classes that are being looked into already; a class may name itself.
    """
    for part in parts(annotation):
        problem = _problem(part, known)
        if problem is not None:
            return problem
    return None


def parts(annotation: object) -> Iterator[object]:
    """An annotation and all it is made of: members of unions, elements of tuples, supertypes of NewTypes."""
    annotation = bare(annotation)
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        for member in typing.get_args(annotation):
            yield from parts(member)
    elif origin is typing.Literal:
        yield from (type(value) for value in typing.get_args(annotation))
    elif origin in (tuple, frozenset):
        yield origin
        for member in typing.get_args(annotation):
            if member is not Ellipsis:
                yield from parts(member)
    else:
        yield OfAnything if annotation in (tuple, frozenset) else annotation


def bare(annotation: object) -> object:
    """An annotation without what JSON does not show: metadata of `Annotated`, names of NewTypes."""
    while True:
        if typing.get_origin(annotation) is typing.Annotated:
            annotation = typing.get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        else:
            return annotation


def resolved_fields(cls: type) -> dict[str, object]:
    """The fields of an attrs class with resolved annotations, in order.

    Raises:
        NameError: an annotation names a class that is not defined yet.
    """
    found = _RESOLVED.get(cls)
    if found is None:
        hints = typing.get_type_hints(cls, include_extras=True)
        found = _RESOLVED[cls] = {field.name: hints[field.name] for field in attrs.fields(cls)}
    return dict(found)


_RESOLVED: weakref.WeakKeyDictionary[type, dict[str, object]] = weakref.WeakKeyDictionary()
"""Resolving compiles each annotation; a class's are the same for as long as it lives."""


def field_names(cls: type) -> tuple[str, ...]:
    """The fields of an attrs class, in order."""
    return tuple(field.name for field in attrs.fields(cls))


def _problem(part: object, known: frozenset[type]) -> tuple[str, str] | None:
    if part in SCALARS or part in (tuple, frozenset):
        return None
    if part is OfAnything:
        return "does not say of what it is made", "write tuple[X, ...] or frozenset[X]"
    origin = typing.get_origin(part) or part
    for mutable, cure in _CURES.items():
        if origin is mutable:
            return f"is of mutable type {mutable.__name__}", cure
    if isinstance(part, type) and attrs.has(part):
        return None if part in known else _problem_of_class(part, known | {part})
    if isinstance(part, typing.TypeVar) or (isinstance(part, type) and issubclass(part, enum.Enum)):
        return None
    shown = getattr(part, "__name__", str(part))
    return f"is of type {shown}, which may change", "use scalars, enums, tuples, frozensets or frozen attrs classes"


def _problem_of_class(cls: type, known: frozenset[type]) -> tuple[str, str] | None:
    # A class that only validates or converts has a __setattr__ too; `attrs.inspect` would tell, from attrs 25.4 on.
    if cls.__setattr__.__name__ != "_frozen_setattrs":
        return f"is of class {cls.__name__}, which is not frozen", "decorate it with attrs.frozen"
    for name, annotation in resolved_fields(cls).items():
        problem = mutable_part(annotation, known)
        if problem is not None:
            return f"holds {cls.__name__}.{name}, which {problem[0]}", problem[1]
    return None
