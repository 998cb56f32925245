"""What a field of a query or body may hold beside its type: said once, held when it is read, shown in the documents."""

from __future__ import annotations

import functools
import re
import typing
from typing import Annotated, Any

import attrs

from procession.daemon.http.problems import FieldFault

POSITION_MAX = 10**18 - 1
"""More digits than these no position and no id of a row will ever have."""


@attrs.frozen
class Within:
    """A number between two others, both allowed."""

    low: float
    high: float

    def fault(self, value: object) -> str:
        """What is wrong with a value; empty where nothing is."""
        if not isinstance(value, int | float) or self.low <= value <= self.high:
            return ""
        return f"is {value}, give it {self.low:g} to {self.high:g}"

    def schema(self) -> dict[str, Any]:
        """As JSON Schema says it."""
        return {"minimum": self.low, "maximum": self.high}


@attrs.frozen
class Text:
    """A text that says something, and not too much."""

    chars_max: int

    def fault(self, value: object) -> str:
        """What is wrong with a value; empty where nothing is."""
        if not isinstance(value, str) or (_SAYS.search(value) and len(value) <= self.chars_max):
            return ""
        return "is empty" if len(value) <= self.chars_max else f"has {len(value)} characters, at most {self.chars_max}"

    def schema(self) -> dict[str, Any]:
        """As JSON Schema says it."""
        return {"pattern": _SAYS.pattern, "maxLength": self.chars_max}


_SAYS = re.compile(r"[^ \t\r\n]")
AtPosition = Annotated[int, Within(0, POSITION_MAX)]
Said = Annotated[str, Text(1_000)]
"""Who acts, or why; it stays in the journal."""


def faults_of(cls: type, found: object, root: str) -> tuple[FieldFault, ...]:
    """The fields of an instance that are out of their bounds, each under its path: `$.limit` or `?limit`."""
    faults = []
    for name, bounds in _bounds_of(cls):
        fault = bounds.fault(getattr(found, name))
        if fault:
            faults.append(FieldFault(f"{root}{name}", fault))
    return tuple(faults)


@functools.cache
def _bounds_of(cls: type) -> tuple[tuple[str, Within | Text], ...]:
    return tuple(
        (name, bounds)
        for name, annotation in typing.get_type_hints(cls, include_extras=True).items()
        for bounds in bounds_in(annotation)
    )


def bounds_in(annotation: object) -> tuple[Within | Text, ...]:
    """The bounds that an annotation carries, also those of a member of its union."""
    if typing.get_origin(annotation) is Annotated:
        return tuple(one for one in typing.get_args(annotation)[1:] if isinstance(one, Within | Text))
    members = typing.get_args(annotation) if type(None) in typing.get_args(annotation) else ()
    return tuple(bounds for member in members for bounds in bounds_in(member))
