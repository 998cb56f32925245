"""What a name in a handler may stand for, without running it: the very object, or an object of a known class."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import types
import typing
from collections.abc import Iterator
from types import CellType, CodeType, FunctionType

import attrs

from procession.primitives.fields import resolved_fields


class Proxy:
    """Stands for an object that says of itself what class it has: it is asked nothing, since asking runs its code."""


def _plain(value: object) -> object:
    disguised = any("__class__" in vars(base) for base in type(value).__mro__[:-1])
    return _PROXY if disguised else value


_PROXY = Proxy()


@attrs.frozen(eq=False)
class Known:
    """The very object: a global, a default, what a closure holds, an attribute of one of these."""

    value: object = attrs.field(converter=_plain)
    path: str = ""
    """Module and attribute by which it was reached."""
    of: type | None = None
    """The class whose attribute it is, where an object of that class was asked for it."""


@attrs.frozen
class Instance:
    """Some object of a class."""

    cls: type
    above: bool = False
    """It is looked at as `super()` does: what the class itself defines is left out."""
    new: bool = False
    """It is being made: its constructor may set what it likes."""


@attrs.frozen
class Unordered:
    """A set, or what goes through one, in an order that depends on the hash seed."""


@attrs.define(eq=False)
class Listed:
    """A list or tuple that was made of a set. It breaks a law unless what is done with it minds no order."""

    what: str
    line: int
    settled: bool = False


@attrs.frozen
class Fields:
    """The `__dict__` of an object."""

    holder: Value


@attrs.frozen(eq=False)
class Bound:
    """A method of the user's with the object that it belongs to."""

    function: FunctionType
    holder: Value


def function_of(bound: Bound) -> FunctionType:
    """The function of a method: a checker takes a field that holds a function for a method of its class."""
    function: object = bound.function
    assert isinstance(function, FunctionType)
    return function


@attrs.define(eq=False)
class Made:
    """A function that is defined while the code runs: lambdas, comprehensions, inner functions."""

    code: CodeType
    arguments: dict[str, Values] = attrs.field(factory=dict)


Value = Known | Instance | Unordered | Listed | Fields | Bound | Made
Values = tuple[Value, ...]
"""All that it may be; empty where nothing is known."""
NOTHING: Values = ()
_ALTERNATIVES_MAX = 8


@attrs.frozen
class Reached:
    """What asking an object for an attribute finds, and what that runs."""

    values: Values = NOTHING
    runs: tuple[Bound, ...] = ()
    """Getters of properties."""


def either(first: Values, second: Values) -> Values:
    """What is one or the other."""
    if not first or first is second:
        return second
    if not second:
        return first
    return tuple(dict.fromkeys((*first, *second)))[:_ALTERNATIVES_MAX]


def is_unordered(values: Values) -> bool:
    """Whether one of them comes in an order that depends on the hash seed; numbers do not."""
    return any(
        isinstance(value, Unordered | Listed)
        or (
            isinstance(value, Known)
            and isinstance(value.value, set | frozenset)
            and any(not isinstance(item, int) for item in value.value)
        )
        for value in values
    )


def settle(values: Values) -> None:
    """These are used where their order does not matter, or where it is judged by itself."""
    for value in values:
        if isinstance(value, Listed):
            value.settled = True


def typed(annotation: object) -> Values:
    """What an annotation, resolved, says of a value."""
    if isinstance(annotation, typing.NewType):
        return typed(annotation.__supertype__)
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is typing.Annotated:
        return typed(arguments[0])
    if origin in (typing.Union, types.UnionType):
        found: Values = NOTHING
        for member in arguments:
            found = either(found, typed(member))
        return found
    if origin in (set, frozenset):
        return NOTHING if all(argument in (int, bool) for argument in arguments) else (Unordered(),)
    if origin is type and arguments and isinstance(arguments[0], type):
        return (Known(arguments[0]),)
    found_class = origin if isinstance(origin, type) else annotation
    if isinstance(found_class, type) and found_class.__module__ != "builtins":
        return (Instance(found_class),)
    return NOTHING


@functools.lru_cache(maxsize=4096)
def hints_of(function: FunctionType) -> dict[str, object]:
    """The annotations of a function, resolved; none where they can't be."""
    try:
        return dict(typing.get_type_hints(function))
    except Exception:  # noqa: BLE001 - an annotation is the user's text: whatever is wrong with it, nothing is known
        return {}


@functools.lru_cache(maxsize=1024)
def _fields_of(cls: type) -> dict[str, object]:
    try:
        return resolved_fields(cls) if attrs.has(cls) else dict(typing.get_type_hints(cls))
    except Exception:  # noqa: BLE001 - as above
        return {}


def reach(value: Value, name: str) -> Reached:
    """What `value.name` may be, without running any of the user's code."""
    match value:
        case Instance(cls, above):
            return _of_instance(value, cls, name, above=above)
        case Known(types.ModuleType() as module):
            return _of_module(module, name)
        case Known(type() as cls):
            return _of_class(cls, name)
        case Known(thing):
            return _of_object(value, thing, name)
        case Unordered():
            method = getattr(frozenset, name, None)
            return Reached((Known(method),)) if method is not None else Reached()
        case Fields():
            return Reached((Known(getattr(dict, name, None), of=dict),)) if hasattr(dict, name) else Reached()
    return Reached()


def _of_module(module: types.ModuleType, name: str) -> Reached:
    path = f"{module.__name__}.{name}"
    if name in vars(module):
        return Reached((Known(vars(module)[name], path),))
    if module.__name__ == __name__.partition(".")[0]:  # its names are imported when they are asked for
        with contextlib.suppress(AttributeError):
            return Reached((Known(getattr(module, name), path),))
    submodule = sys.modules.get(path)
    return Reached() if submodule is None else Reached((Known(submodule),))


def _of_class(cls: type, name: str) -> Reached:
    found = inspect.getattr_static(cls, name, _MISSING)
    if isinstance(found, classmethod) and isinstance(found.__func__, FunctionType):
        return Reached((Bound(found.__func__, Known(cls)),))
    if isinstance(found, staticmethod):
        found = found.__func__
    return Reached() if found is _MISSING else Reached((Known(found, of=cls),))


def _of_object(value: Known, thing: object, name: str) -> Reached:
    """An object that is there: what it holds itself, then what its class defines."""
    if name == "__dict__":
        return Reached((Fields(value),))
    held: object = _MISSING
    with contextlib.suppress(AttributeError):
        held = object.__getattribute__(thing, "__dict__").get(name, _MISSING)
    if held is not _MISSING:
        return Reached((Known(held),))
    found = inspect.getattr_static(type(thing), name, _MISSING)
    if isinstance(found, types.MemberDescriptorType):
        with contextlib.suppress(AttributeError):
            return Reached((Known(found.__get__(thing, type(thing))),))
        return Reached()
    if isinstance(found, types.MethodDescriptorType | types.WrapperDescriptorType):
        # It may be borrowed from a class that this object is none of.
        with contextlib.suppress(TypeError):
            return Reached((Known(found.__get__(thing, type(thing))),))
        return Reached()
    return _of_instance(value, type(thing), name)


def _of_instance(value: Value, cls: type, name: str, *, above: bool = False) -> Reached:
    if name == "__class__":
        return Reached((Known(cls),))
    if name == "__dict__":
        return Reached((Fields(value),))
    fields = _fields_of(cls)
    if name in fields and (attrs.has(cls) or not hasattr(cls, name)):
        return Reached(typed(fields[name]))
    found = _above(cls, name) if above else inspect.getattr_static(cls, name, _MISSING)
    if isinstance(found, staticmethod):
        return Reached((Known(found.__func__, of=cls),))
    if isinstance(found, FunctionType):
        return Reached((Bound(found, value),))
    if isinstance(found, classmethod) and isinstance(found.__func__, FunctionType):
        return Reached((Bound(found.__func__, Known(cls)),))
    getter = found.fget if isinstance(found, property) else getattr(found, "func", None)
    if isinstance(found, property | functools.cached_property) and isinstance(getter, FunctionType):
        return Reached(typed(hints_of(getter).get("return")), (Bound(getter, value),))
    return Reached() if found is _MISSING else Reached((Known(found, of=cls),))


def _above(cls: type, name: str) -> object:
    for base in cls.__mro__[1:]:
        if name in vars(base):
            return vars(base)[name]
    return _MISSING


def above(values: Values) -> Values:
    """What `super()` finds of these."""
    return tuple(attrs.evolve(value, above=True) for value in values if isinstance(value, Instance))


def item_of(holder: Value, key: Value) -> Values:
    """An item of a table that is there, by a key that is written in the code."""
    if isinstance(holder, Known) and isinstance(key, Known) and type(holder.value) in (dict, tuple, list):
        with contextlib.suppress(LookupError, TypeError):
            return (Known(holder.value[key.value]),)  # type: ignore[index]  # one of the three
    return NOTHING


def content_of(cell: CellType) -> Values:
    """What a closure holds; nothing where that is not bound yet."""
    with contextlib.suppress(ValueError):
        return (Known(cell.cell_contents),)
    return NOTHING


def inner_functions(thing: object) -> Iterator[object]:
    """What a callable object runs: the function of a partial and its arguments, what a cache or decorator wraps."""
    if isinstance(thing, functools.partial):
        yield thing.func
        yield from thing.args
        yield from thing.keywords.values()
    elif isinstance(thing, types.MethodType):
        yield thing.__func__
    else:
        wrapped = None if isinstance(thing, type) else inspect.getattr_static(thing, "__wrapped__", None)
        if isinstance(wrapped, FunctionType):
            yield wrapped


_MISSING = object()
