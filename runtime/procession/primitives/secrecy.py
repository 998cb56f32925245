"""What must not be told: fields marked `secret`, and how messages, states and data are shown without them.

    class CardGiven(Event, name="payment.card_given"):
        order_id: str
        card: Annotated[str, secret]

The journal keeps the value, and handlers, gateways and projectors get it as ever; what shows it shows `MASK`.
"""

from __future__ import annotations

import functools
import operator
import types
import typing
import weakref
from collections.abc import Mapping
from typing import Any

import attrs

from procession.mask import MASK
from procession.primitives.fields import bare, resolved_fields

Plan = dict[str, Any]
"""Which fields of a class, as JSON has it, are secret: by name, True or the plan of what is nested there."""
Secrecy = bool | Plan
"""Of a value: all of it, nothing of it, or what its plan says."""


class _Secret:
    """The mark of a field whose value is shown to nobody."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "secret"


secret = _Secret()
"""Marks a field: `card: Annotated[str, secret]`. Its value is journaled and handed to code; it is shown masked."""


def is_secret(annotation: object) -> bool:
    """Whether a whole value of this type is secret; a union is where one of its members is."""
    while True:
        if typing.get_origin(annotation) is typing.Annotated:
            annotation, *marks = typing.get_args(annotation)
            if any(isinstance(mark, _Secret) for mark in marks):
                return True
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        else:
            break
    return typing.get_origin(annotation) in _UNIONS and any(map(is_secret, typing.get_args(annotation)))


def unmarked(annotation: object) -> Any:  # noqa: ANN401 - a type form
    """An annotation without the marks: as it was before somebody marked it."""
    members = typing.get_args(annotation)
    if not holds_secrets(annotation):
        return annotation
    if isinstance(annotation, typing.NewType):
        return unmarked(annotation.__supertype__)
    if not members:
        return annotation  # a class, whose own fields are marked
    if typing.get_origin(annotation) is typing.Annotated:
        marks = tuple(mark for mark in members[1:] if not isinstance(mark, _Secret))
        plain = unmarked(members[0])
        return typing.Annotated[(plain, *marks)] if marks else plain
    if typing.get_origin(annotation) in _UNIONS:
        return functools.reduce(operator.or_, map(unmarked, members))
    return types.GenericAlias(typing.cast("type", typing.get_origin(annotation)), tuple(map(unmarked, members)))


def is_secret_field(cls: type, name: str) -> bool:
    """Whether a field of an attrs class is secret, as far as its annotations name anything yet."""
    try:
        return is_secret(resolved_fields(cls).get(name))
    except NameError:
        return False


def holds_secrets(annotation: object) -> bool:
    """Whether something within a value of this type is secret, however deep."""
    return _holds(annotation, set())


def _holds(annotation: object, seen: set[object]) -> bool:
    if is_secret(annotation):
        return True
    annotation = bare(annotation)
    if typing.get_origin(annotation) in (*_UNIONS, tuple, frozenset):
        return any(_holds(member, seen) for member in typing.get_args(annotation))
    if not is_class(annotation) or annotation in seen:
        return False
    seen.add(annotation)
    return any(_holds(inner, seen) for inner in fields_of(annotation).values())


def plan_of(cls: type) -> Plan:
    """Which fields of an attrs class are secret; empty where none is."""
    found = _PLANS.get(cls)
    if found is None:
        found = _plan_of_class(cls, (cls,))
        if _UNKNOWN not in fields_of(cls).values():
            _PLANS[cls] = found
    return found


_PLANS: weakref.WeakKeyDictionary[type, Plan] = weakref.WeakKeyDictionary()
"""A class's fields are the same for as long as it lives."""


def _plan_of_class(cls: type, above: tuple[object, ...]) -> Plan:
    plans = {name: _plan(annotation, above) for name, annotation in fields_of(cls).items()}
    return {name: plan for name, plan in plans.items() if plan}


def _plan(annotation: object, above: tuple[object, ...]) -> Secrecy:
    if is_secret(annotation):
        return True
    annotation = bare(annotation)
    if typing.get_origin(annotation) in (*_UNIONS, tuple, frozenset):
        found: Secrecy = {}
        for member in typing.get_args(annotation):
            found = joined(found, _plan(member, above))
        return found
    if not is_class(annotation):
        return False
    if annotation in above:
        return holds_secrets(annotation)  # it holds itself: what is deeper than that is masked as a whole
    return _plan_of_class(typing.cast("type", annotation), (*above, annotation))


def joined(one: Secrecy, other: Secrecy) -> Secrecy:
    """A plan that masks what either of them masks."""
    if one is True or other is True:
        return True
    if not one or not other:
        return one or other
    return {name: joined(one.get(name, False), other.get(name, False)) for name in (*one, *other)}


def masked_data(data: Any, plan: Secrecy) -> Any:  # noqa: ANN401 - JSON
    """JSON data with what a plan says is secret masked; nothing (null) stays nothing."""
    if not plan or data is None:
        return data
    if plan is True:
        return MASK
    if isinstance(data, list):
        return [masked_data(item, plan) for item in data]
    if isinstance(data, dict):
        return {name: masked_data(value, plan.get(name, False)) for name, value in data.items()}
    return data


_UNIONS: tuple[object, ...] = (typing.Union, types.UnionType)


def is_class(annotation: object) -> bool:
    return isinstance(annotation, type) and attrs.has(annotation)


def fields_of(cls: object) -> Mapping[str, object]:
    """The fields with their annotations; where one names nothing yet, all count as secret."""
    assert isinstance(cls, type), "asked of classes only"
    try:
        return resolved_fields(cls)
    except NameError:
        return {field.name: _UNKNOWN for field in attrs.fields(cls)}


_UNKNOWN = typing.Annotated[object, secret]
