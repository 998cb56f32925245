"""Examples of messages, made from their annotations alone: the same in every run, and a list of what they leave out."""

from __future__ import annotations

import datetime
import decimal
import enum
import itertools
import types
import typing
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from procession.errors import WiringError
from procession.primitives.event import Event
from procession.primitives.fields import resolved_fields
from procession.primitives.refusal import Refusal
from procession.primitives.stored import stored_of

EventT = TypeVar("EventT", bound=Event | Refusal)
VARIANTS_MAX = 32
_NOON = datetime.datetime(2000, 1, 1, 12, tzinfo=datetime.UTC)
_NOTHING: Mapping[str, object] = {}
_FACTORY: type = type(attrs.Factory(tuple))


@attrs.define(eq=False)
class Examples:
    """Makes events up. `bool`, enums, `Literal` and None are tried in full; of all else there is one value.

    A tuple or frozenset of any size is tried empty and with two elements; a field with a default of a type that is
    not tried in full keeps its default.
    """

    variants_max: int = VARIANTS_MAX
    """Of one event class; what is left out beyond it is told."""
    _left_out: dict[str, str] = attrs.field(factory=dict)
    _left_out_of: dict[tuple[str, str], set[str]] = attrs.field(factory=dict)
    """For each field's name and what was tried of it, the classes."""
    _making: list[type] = attrs.field(factory=list)

    @property
    def unexplored(self) -> tuple[str, ...]:
        """What was tried with some values only, a sentence each."""
        fields = [
            f"{', '.join(f'{name}.{field}' for name in sorted(names))}: {said}"
            for (field, said), names in self._left_out_of.items()
        ]
        return tuple(sorted([*fields, *(f"{subject}: {said}" for subject, said in self._left_out.items())]))

    def of(self, cls: type[EventT], known: Mapping[str, object] = _NOTHING) -> tuple[EventT, ...]:
        """Examples of an event class, never none.

        Args:
            cls: what to make.
            known: values for fields of these names; one that does not fit its field's type is not used.

        Raises:
            WiringError: the class refuses whatever is made up for it.
        """
        names = _made_with(cls)
        choices = [
            (known[name],) if name in known and fits(known[name], annotation) else self._field(cls, name, annotation)
            for name, annotation in resolved_fields(cls).items()
            if name in names
        ]
        found: dict[EventT, None] = {}
        refused = ""
        for values in self._combined(cls.__name__, choices):
            try:
                found[cls(**dict(zip(names.values(), values, strict=True)))] = None
            except (TypeError, ValueError) as error:  # a validator of the user's class
                refused = f"{type(error).__name__}: {error}"
        if not found:
            raise WiringError(
                f"{stored_of(cls).site}: no example of {cls.__name__} can be made up ({refused})",
                "give examples of your own, by start=, outside= or outcomes=",
            )
        if refused:
            self._left_out[cls.__name__] = f"it refuses some made-up values ({refused})"
        return tuple(found)

    def _field(self, cls: type, name: str, annotation: object) -> Sequence[object]:
        choices = self._choices(name, annotation, 1)
        default: object = attrs.fields_dict(cls)[name].default
        if default is not attrs.NOTHING and not isinstance(default, _FACTORY):
            choices = tuple(dict.fromkeys((default, *choices))) if len(choices) > 1 else (default,)
        if not _whole(annotation):
            said = f"only {' and '.join(map(repr, choices))}"
            self._left_out_of.setdefault((name, said), set()).add(cls.__name__)
        return choices

    def _combined(self, subject: str, choices: Sequence[Sequence[object]]) -> Iterator[tuple[object, ...]]:
        """The product of choices up to the bound: each value at least once, then every combination."""
        whole = 1
        for one in choices:
            whole *= len(one)
        if whole <= self.variants_max:
            yield from itertools.product(*choices)
            return
        self._left_out[subject] = f"{self.variants_max} of {whole:,} combinations"
        yield from itertools.islice(dict.fromkeys(_one_by_one(choices)), self.variants_max)

    def _choices(self, name: str, annotation: Any, index: int) -> Sequence[object]:  # noqa: ANN401 - a type form
        annotation = _bare(annotation)
        origin, members = typing.get_origin(annotation), typing.get_args(annotation)
        if origin in (typing.Union, types.UnionType):
            return tuple(value for member in members for value in self._choices(name, member, index))
        if origin in (tuple, frozenset):
            return self._collections(name, origin, members, index)
        if origin is typing.Literal or (isinstance(annotation, type) and issubclass(annotation, enum.Enum)):
            return tuple(members or annotation)
        return self._values(name, annotation, index)

    def _collections(self, name: str, origin: Any, members: tuple[Any, ...], index: int) -> Sequence[object]:  # noqa: ANN401
        if origin is frozenset or members[-1:] == (Ellipsis,):
            element = name.removesuffix("s") or name
            two = [one for number in (1, 2) for one in self._nth(element, members[0], number)]
            return (origin(two), origin()) if two else (origin(),)
        return tuple(self._combined(name, [self._choices(name, member, index) for member in members]))

    def _values(self, name: str, annotation: Any, index: int) -> Sequence[object]:  # noqa: ANN401 - a type form
        if annotation is bool:
            return (False, True)
        if isinstance(annotation, type) and attrs.has(annotation):
            return self._inner(annotation, index)
        if annotation not in _SCALARS:
            raise WiringError(
                f"nothing can be made up for the field {name} of type {annotation}",
                "give examples of your own, by start=, outside= or outcomes=",
            )
        return (_SCALARS[annotation](name, index),)

    def _inner(self, cls: type, index: int) -> Sequence[object]:
        """Examples of a class that stands in a field; none of one that is being made: a class may name itself."""
        if cls in self._making:
            return ()
        self._making.append(cls)
        names = _made_with(cls)
        fields = [self._choices(name, kind, index) for name, kind in resolved_fields(cls).items() if name in names]
        self._making.pop()
        combined = self._combined(cls.__name__, fields)
        return tuple(cls(**dict(zip(names.values(), values, strict=True))) for values in combined)

    def _nth(self, name: str, annotation: object, index: int) -> Sequence[object]:
        choices = self._choices(name, annotation, index)
        return choices and (choices[(index - 1) % len(choices)],)


def _made_with(cls: type) -> dict[str, str]:
    """The fields that a class is made with, and the names of the arguments."""
    return {field.name: field.alias for field in attrs.fields(cls) if field.init}


def fits(value: object, annotation: Any) -> bool:  # noqa: ANN401 - a type form
    """Whether a value is of a field's type, exactly: a bool is no int."""
    annotation = _bare(annotation)
    origin, members = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, member) for member in members)
    if origin is typing.Literal:
        return any(value == member and type(value) is type(member) for member in members)
    if origin is tuple and isinstance(value, tuple):
        if members[-1:] == (Ellipsis,):
            return all(fits(item, members[0]) for item in value)
        return len(value) == len(members) and all(map(fits, value, members))
    if origin is frozenset and isinstance(value, frozenset):
        return all(fits(item, members[0]) for item in value)
    return type(value) is annotation or (annotation is None and value is None)


def _whole(annotation: Any) -> bool:  # noqa: ANN401 - a type form
    """Whether every value of a type is tried."""
    annotation = _bare(annotation)
    origin, members = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return all(map(_whole, members))
    if origin is tuple and members[-1:] != (Ellipsis,):
        return all(map(_whole, members))
    if annotation in (bool, None, types.NoneType) or origin is typing.Literal:
        return True
    return isinstance(annotation, type) and issubclass(annotation, enum.Enum)


def _one_by_one(choices: Sequence[Sequence[object]]) -> Iterator[tuple[object, ...]]:
    first = tuple(one[0] for one in choices)
    yield first
    for place, one in enumerate(choices):
        for value in one[1:]:
            yield (*first[:place], value, *first[place + 1 :])
    yield from itertools.product(*choices)


def _bare(annotation: Any) -> Any:  # noqa: ANN401 - a type form
    while True:
        if typing.get_origin(annotation) is typing.Annotated:
            annotation = typing.get_args(annotation)[0]
        elif hasattr(annotation, "__supertype__"):  # a NewType
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return annotation


_SCALARS: dict[Any, Callable[[str, int], object]] = {
    str: lambda name, index: f"{name}-{index}",
    int: lambda _, index: index,
    float: lambda _, index: float(index),
    bytes: lambda name, index: f"{name}-{index}".encode(),
    None: lambda *_: None,
    types.NoneType: lambda *_: None,
    decimal.Decimal: lambda _, index: decimal.Decimal(index),
    datetime.datetime: lambda _, index: _NOON + datetime.timedelta(days=index - 1),
    datetime.date: lambda _, index: (_NOON + datetime.timedelta(days=index - 1)).date(),
    datetime.time: lambda _, index: (_NOON + datetime.timedelta(minutes=index - 1)).time(),
    datetime.timedelta: lambda _, index: datetime.timedelta(hours=index),
    uuid.UUID: lambda _, index: uuid.UUID(int=index, version=4),
}
