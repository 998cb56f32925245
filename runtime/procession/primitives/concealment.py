"""Messages and states as text: their secrets are masked in `repr`."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from procession.mask import MASK
from procession.primitives.fields import bare
from procession.primitives.secrecy import Secrecy, fields_of, holds_secrets, plan_of
from procession.primitives.telling import told


def conceal(cls: type) -> None:
    """Have the instances of an attrs class, and of those nested in it, show their secrets masked in `repr`.

    Does nothing where none is marked. Called when a class is defined and, where its annotations name what comes later,
    when it is registered.
    """
    if holds_secrets(cls):
        _conceal(cls, set())


def _conceal(cls: type, seen: set[type]) -> None:
    seen.add(cls)
    own = cls.__dict__.get("__repr__")
    if not getattr(own, "__conceals__", False):
        cls.__repr__ = _structural() if own is None or _is_generated(own) else _scrubbing(own)  # type: ignore[assignment, method-assign]  # as attrs sets it
    for annotation in fields_of(cls).values():
        for inner in _classes_in(annotation):
            if inner not in seen and holds_secrets(inner):
                _conceal(inner, seen)


def _structural() -> Callable[[object], str]:
    def masked_repr(self: Any) -> str:  # noqa: ANN401 - an instance of an attrs class
        cls = type(self)
        plan = plan_of(cls)
        shown = [
            f"{field.name}={_shown(field, getattr(self, field.name), plan.get(field.name, False))}"
            for field in attrs.fields(cls)
            if field.repr is not False
        ]
        return f"{cls.__qualname__.rsplit('>.', 1)[-1]}({', '.join(shown)})"

    masked_repr.__conceals__ = True  # type: ignore[attr-defined]  # so that it is put on once
    return masked_repr


def _scrubbing(own: Callable[[object], str]) -> Callable[[object], str]:
    def masked_repr(self: Any) -> str:  # noqa: ANN401 - as above
        return told(own(self), self)

    masked_repr.__conceals__ = True  # type: ignore[attr-defined]  # as above
    return masked_repr


def _is_generated(function: object) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and code.co_filename.startswith("<attrs generated")


def _shown(field: attrs.Attribute[Any], value: object, plan: Secrecy) -> str:
    if plan is True and value is not None:
        return repr(MASK)
    return field.repr(value) if callable(field.repr) else repr(value)


def _classes_in(annotation: object) -> Iterator[type]:
    annotation = bare(annotation)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, tuple, frozenset):
        for member in typing.get_args(annotation):
            yield from _classes_in(member)
    elif isinstance(annotation, type) and attrs.has(annotation):
        yield annotation
