"""Hypothesis strategies for values of a type: any that the codec writes and reads back, within what the type says."""

from __future__ import annotations

import datetime
import decimal
import enum
import types
import typing
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs
import hypothesis
from hypothesis import strategies as st

from procession.primitives.fields import resolved_fields
from procession.testing.examples import fits

T = TypeVar("T")
Values = Mapping[str, st.SearchStrategy[Any]]
"""Strategies for fields by name, in place of what their types say."""
INT_MIN, INT_MAX = -(2**63), 2**64 - 1
"""What JSON integers hold."""
ELEMENTS_MAX = 5
NESTED_MAX = 3
"""How often a class that holds others of its own is nested."""
_MICROSECONDS_MAX = 2**63 - 1
_OFFSET_MINUTES_MAX = 14 * 60


def values(annotation: Any, inside: tuple[type, ...] = ()) -> st.SearchStrategy[Any]:  # noqa: ANN401 - a type form
    """Values of a resolved annotation.

    `Annotated` may carry a strategy of its own, which is taken; or bounds (`ge gt le lt min_length max_length`, as the
    classes of `annotated_types` have them), which are kept.

    Args:
        annotation: of a field.
        inside: the classes around that field.

    Raises:
        TypeError: nothing can be derived from it.
    """
    metadata: tuple[Any, ...] = ()
    while True:
        if typing.get_origin(annotation) is typing.Annotated:
            metadata += annotation.__metadata__
            annotation = annotation.__origin__
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        else:
            break
    for said in metadata:
        if isinstance(said, st.SearchStrategy):
            return said
    return _within(_plain(annotation, _Bounds.of(metadata), inside), _Bounds.of(metadata))


def built(cls: type[T], chosen: Values, inside: tuple[type, ...] = ()) -> st.SearchStrategy[T]:
    """Instances of an attrs class; what its validators refuse is not among them."""
    annotations = resolved_fields(cls)
    fields = {
        field.alias: chosen[field.name] if field.name in chosen else values(annotations[field.name], (*inside, cls))
        for field in attrs.fields(cls)  # type: ignore[arg-type]  # callers know that it is one
        if field.init
    }
    if any(strategy.is_empty for strategy in fields.values()):
        return st.nothing()
    arguments = st.fixed_dictionaries(fields)

    @st.composite  # not a map: a failing example is then shown as the class shows itself
    def instance(draw: st.DrawFn) -> T:
        return made(cls, draw(arguments))

    return instance()


def made(cls: type[T], arguments: Mapping[str, object]) -> T:
    """An instance, or another example where the class refuses this one."""
    try:
        return cls(**arguments)
    except (TypeError, ValueError):  # a validator of the user's class
        hypothesis.reject()


def changed(message: T, fields: Mapping[str, object]) -> T:
    """The same with some fields replaced; another example where the class refuses that."""
    if not fields:
        return message
    kept = {field.alias: getattr(message, field.name) for field in attrs.fields(type(message)) if field.init}  # type: ignore[arg-type]  # callers know that it is one of attrs
    aliases = {field.name: field.alias for field in attrs.fields(type(message))}  # type: ignore[arg-type]  # as above
    return made(type(message), kept | {aliases[name]: value for name, value in fields.items()})


def holding(key: str, name: str, value: Any, annotation: Any) -> dict[str, object]:  # noqa: ANN401 - type forms
    """A field, by its name, with a key in it, or nothing where it can hold none; what it held stays if it can."""
    alone: list[object] = [key, *([int(key)] if key.isdecimal() and str(int(key)) == key else [])]
    for one in alone:
        if fits(one, annotation):
            return {name: one}
        some = value if isinstance(value, tuple) else ()
        for several in ((*some[:1], one, *some[1:]), (one,)):
            if fits(several, annotation):
                return {name: several}
        if fits(frozenset({one}), annotation):
            return {name: frozenset({one, *(value if isinstance(value, frozenset) else ())})}
    return {}


@attrs.frozen
class _Bounds:
    lowest: Any = None
    above: Any = None
    highest: Any = None
    below: Any = None
    size_min: int = 0
    size_max: int | None = None

    @classmethod
    def of(cls, metadata: tuple[Any, ...]) -> _Bounds:
        """What these say, by the names that bounds have."""
        names = ("ge", "gt", "le", "lt", "min_length", "max_length")
        said = {name: getattr(one, name) for one in metadata for name in names if getattr(one, name, None) is not None}
        return cls(
            said.get("ge"),
            said.get("gt"),
            said.get("le"),
            said.get("lt"),
            said.get("min_length", 0),
            said.get("max_length"),
        )

    @property
    def least(self) -> Any:  # noqa: ANN401 - of the type that is bounded
        """A bound from below, itself included or not."""
        return self.lowest if self.lowest is not None else self.above

    @property
    def most(self) -> Any:  # noqa: ANN401 - of the type that is bounded
        """A bound from above, itself included or not."""
        return self.highest if self.highest is not None else self.below

    @property
    def elements_max(self) -> int:
        """How many elements a collection gets at most."""
        return self.size_min + ELEMENTS_MAX if self.size_max is None else self.size_max

    def hold(self, value: Any) -> bool:  # noqa: ANN401 - of the type that is bounded
        """Whether a value is within."""
        return (
            (self.lowest is None or value >= self.lowest)
            and (self.above is None or value > self.above)
            and (self.highest is None or value <= self.highest)
            and (self.below is None or value < self.below)
        )


def _within(strategy: st.SearchStrategy[Any], bounds: _Bounds) -> st.SearchStrategy[Any]:
    return strategy if bounds.least is None and bounds.most is None else strategy.filter(bounds.hold)


def _plain(annotation: Any, bounds: _Bounds, inside: tuple[type, ...]) -> st.SearchStrategy[Any]:  # noqa: ANN401 - a type form
    origin, members = typing.get_origin(annotation), typing.get_args(annotation)
    found: st.SearchStrategy[Any] | None = None
    if annotation in _SCALARS:
        found = _SCALARS[annotation](bounds)
    elif origin in (typing.Union, types.UnionType):
        found = st.one_of(*[values(member, inside) for member in members])
    elif origin is typing.Literal:
        found = st.sampled_from(members)
    elif origin in (tuple, frozenset):
        found = _collections(origin, members, bounds, inside)
    elif isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        found = st.sampled_from(list(annotation))
    elif isinstance(annotation, type) and attrs.has(annotation):
        # Nothing, where it is nested deeply: a tuple of them is empty there, and of a union the rest is left.
        found = st.nothing() if inside.count(annotation) >= NESTED_MAX else built(annotation, {}, inside)
    if found is None:
        msg = f"nothing can be derived from {annotation}; give a strategy for the field"
        raise TypeError(msg)
    return found


def _collections(
    origin: Any,  # noqa: ANN401 - a type form
    members: tuple[Any, ...],
    bounds: _Bounds,
    inside: tuple[type, ...],
) -> st.SearchStrategy[Any]:
    if origin is tuple and members[-1:] != (Ellipsis,):
        return st.tuples(*[values(member, inside) for member in members])
    element, least, most = values(members[0], inside), bounds.size_min, bounds.elements_max
    if element.is_empty:
        return st.nothing() if least else st.just(origin())
    if origin is frozenset:
        return st.frozensets(element, min_size=least, max_size=most)
    return st.lists(element, min_size=least, max_size=most).map(tuple)


def _texts(bounds: _Bounds) -> st.SearchStrategy[str]:
    return st.text(min_size=bounds.size_min, max_size=bounds.size_max)


def _integers(bounds: _Bounds) -> st.SearchStrategy[int]:
    least, most = bounds.least, bounds.most
    return st.integers(INT_MIN if least is None else least, INT_MAX if most is None else most)


def _floats(bounds: _Bounds) -> st.SearchStrategy[float]:
    return st.floats(bounds.least, bounds.most, allow_nan=False, allow_infinity=False)


def _decimals(bounds: _Bounds) -> st.SearchStrategy[decimal.Decimal]:
    return st.decimals(bounds.least, bounds.most, allow_nan=False, allow_infinity=False)


def _moments(_: _Bounds) -> st.SearchStrategy[datetime.datetime]:
    """With a time zone, as an event should have them: UTC, or a fixed offset in minutes."""
    minutes = st.integers(-_OFFSET_MINUTES_MAX, _OFFSET_MINUTES_MAX)
    offsets = minutes.map(lambda offset: datetime.timezone(datetime.timedelta(minutes=offset)))
    return st.datetimes(timezones=st.just(datetime.UTC) | offsets, allow_imaginary=False)


def _durations(_: _Bounds) -> st.SearchStrategy[datetime.timedelta]:
    longest = datetime.timedelta(microseconds=_MICROSECONDS_MAX)
    return st.timedeltas(-longest, longest)


_SCALARS: dict[object, Callable[[_Bounds], st.SearchStrategy[Any]]] = {
    str: _texts,
    int: _integers,
    float: _floats,
    bool: lambda _: st.booleans(),
    bytes: lambda bounds: st.binary(min_size=bounds.size_min, max_size=bounds.size_max),
    None: lambda _: st.none(),
    types.NoneType: lambda _: st.none(),
    decimal.Decimal: _decimals,
    datetime.datetime: _moments,
    datetime.date: lambda _: st.dates(),
    datetime.time: lambda _: st.times(),
    datetime.timedelta: _durations,
    uuid.UUID: lambda _: st.uuids(),
}
