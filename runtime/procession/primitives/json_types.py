"""Which plain types the values of a field have in JSON, and how errors show a type and a value."""

from __future__ import annotations

import enum
import typing

from procession.mask import MASK
from procession.primitives.fields import parts
from procession.primitives.secrecy import holds_secrets, unmarked

PLAIN: dict[object, frozenset[type]] = {
    str: frozenset({str}),
    int: frozenset({int}),
    float: frozenset({float, int}),
    bool: frozenset({bool}),
    type(None): frozenset({type(None)}),
}


def plain_types(annotation: object) -> frozenset[type] | None:
    """The exact types of a field made of plain scalars only; None where a look at the type is not enough."""
    found: set[type] = set()
    if typing.get_origin(annotation) in (tuple, frozenset, typing.Literal):
        return None
    for part in parts(annotation):
        plain = PLAIN.get(part)
        if plain is None:
            return None
        found |= plain
    if _has_literal(annotation):
        return None
    return frozenset(found)


def _has_literal(annotation: object) -> bool:
    return any(
        typing.get_origin(member) in (typing.Literal, tuple, frozenset) or _has_literal(member)
        for member in typing.get_args(annotation)
    )


def annotated(annotation: object) -> str:
    """How errors show the type of a field, and how journals of the first form name it."""
    annotation = unmarked(annotation)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return f"{annotation.__name__}({', '.join(repr(member.value) for member in annotation)})"
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return annotation.__name__
    return str(annotation).replace("typing.", "").replace("NoneType", "None")


def shown(value: object, annotation: object = None) -> str:
    """A value in an error, cut short; masked where its type says that it holds a secret."""
    if holds_secrets(annotation):
        return MASK
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS_MAX else text[:_SHOWN_CHARS_MAX] + "…"


_SHOWN_CHARS_MAX = 60
