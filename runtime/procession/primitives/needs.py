"""What a class or a factory needs: the parameters that it is called with, and what may be given for them."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import attrs

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_MANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@attrs.frozen
class Need:
    """One parameter that is filled by its name."""

    name: str
    annotation: object
    """Resolved; `Any` where there is none, or where it names what can't be found."""
    required: bool

    def takes(self, value: object) -> bool:
        """Whether the value is of the class that the annotation names; anything where it names no plain class."""
        return any(_fits(value, member) for member in _members(self.annotation))

    @property
    def shown(self) -> str:
        """The annotation in words."""
        return " | ".join(getattr(member, "__name__", str(member)) for member in _members(self.annotation))


class UnreadableError(Exception):
    """The parameters of a callable can't be read, or can't be filled by name; says why."""


def needs_of(called: Callable[..., Any]) -> tuple[Need, ...]:
    """The parameters of a class or a factory, in order.

    Raises:
        UnreadableError: they can't be read, or one takes no name.
    """
    try:
        parameters = inspect.signature(called).parameters.values()
    except (TypeError, ValueError) as error:
        raise UnreadableError(str(error)) from error
    annotations = _annotations(called)
    found: list[Need] = []
    for parameter in parameters:
        if parameter.kind in _MANY:
            continue
        if parameter.kind not in _BY_NAME:
            raise UnreadableError(f"parameter {parameter.name!r} takes no name")
        required = parameter.default is inspect.Parameter.empty
        found.append(Need(parameter.name, annotations.get(parameter.name, Any), required))
    return tuple(found)


def _annotations(called: Callable[..., Any]) -> Mapping[str, object]:
    """By parameter, resolved; nothing where one of them names what is not there when the program runs."""
    try:
        if not isinstance(called, type):
            return typing.get_type_hints(inspect.unwrap(called))
        constructor = inspect.getattr_static(called, "__init__")
        if not attrs.has(called):
            return typing.get_type_hints(constructor)
        # Of a class made by attrs: its fields know their annotations, by the names that the constructor gives them.
        hints = {**typing.get_type_hints(constructor), **typing.get_type_hints(called)}
        return {field.alias or field.name: hints.get(field.name, Any) for field in attrs.fields(called)} | hints
    except (AttributeError, NameError, TypeError):
        return {}


def _members(annotation: object) -> tuple[object, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def _fits(value: object, annotation: object) -> bool:
    if annotation is None:
        return value is None
    if not isinstance(annotation, type) or getattr(annotation, "_is_protocol", False):
        return True
    if isinstance(value, bool) and annotation in (int, float, complex):
        return False  # a bool is an int to isinstance; a retry count of True is a mistake
    if type(value) is int and annotation in (float, complex):
        return True
    try:
        return isinstance(value, annotation)
    except TypeError:  # a class that no instance is asked of, such as a TypedDict
        return True
