"""A fingerprint of what folding a process depends on; a snapshot with another one is thrown away."""

from __future__ import annotations

import datetime
import decimal
import enum
import hashlib
import inspect
import sys
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType

from procession.primitives.definition import Folding
from procession.primitives.fields import field_names
from procession.primitives.handlers import trigger_name
from procession.primitives.lifts import Chains
from procession.primitives.schema import shape_of
from procession.primitives.stored import stored_of

_NAMED_MAX = 10_000
"""Functions and classes looked into; no fold of a sane size comes near."""
_NO_LIFTS = Chains()
_CONSTANTS = (
    str,
    int,
    float,
    bool,
    bytes,
    tuple,
    frozenset,
    decimal.Decimal,
    datetime.timedelta,
    datetime.date,
    enum.Enum,
)


def fingerprint(definition: Folding, chains: Chains = _NO_LIFTS) -> str:
    """What folding a process depends on, hashed.

    Covers the state's fields, the events folded and those that are lifted to them, the code of all folds and lifts and
    of what they call in their own package, and the interpreter's minor version.
    """
    hashed = hashlib.blake2b(digest_size=16)
    first = definition.cls()
    defaults = _stable(tuple(getattr(first, name) for name in field_names(definition.cls)))
    hashed.update(f"{sys.version_info[:2]}|{shape_of(definition.cls)}|{defaults}".encode())
    for trigger in sorted(definition.reactions, key=trigger_name):
        fold = definition.reactions[trigger].fold
        if fold is not None and not isinstance(trigger, tuple):
            hashed.update(f"|{trigger_name(trigger)}|{shape_of(trigger)}|".encode())
            _function(fold.method, definition.cls, hashed, set())  # type: ignore[arg-type]  # a method is a function
            for older in chains.older(trigger):
                lift = chains.step(older)
                assert lift is not None, "an older type is one that is lifted"
                stored = stored_of(older)
                hashed.update(f"|{stored.name} {stored.version}|{shape_of(older)}|{shape_of(lift.new)}|".encode())
                _function(lift.function, object, hashed, set())  # type: ignore[arg-type]  # a lift marks a function
    return hashed.hexdigest()


def code_fingerprint(cls: type, functions: Iterable[FunctionType]) -> str:
    """The code of functions of a class and of what they call in their own package, for this minor version of Python.

    What their docstrings say does not count.
    """
    hashed = hashlib.blake2b(str(sys.version_info[:2]).encode(), digest_size=16)
    for function in functions:
        hashed.update(f"|{function.__name__}|".encode())
        _function(function, cls, hashed, set())
    return hashed.hexdigest()


def _function(function: FunctionType, cls: type, hashed: hashlib.blake2b, seen: set[object]) -> None:
    """Hash a function, and all that its code names: globals, and methods of the class that it may call by `self`."""
    if function in seen or len(seen) > _NAMED_MAX:
        return
    seen.add(function)
    _code(function.__code__, hashed, said=function.__doc__)
    hashed.update(_stable((function.__defaults__, tuple((function.__kwdefaults__ or {}).items()))).encode())
    for name in _names_in(function.__code__):
        for value in (function.__globals__.get(name), inspect.getattr_static(cls, name, None)):
            _value(name, value, function, cls, hashed, seen)


def _value(
    name: str, value: object, function: FunctionType, cls: type, hashed: hashlib.blake2b, seen: set[object]
) -> None:
    package = function.__module__.split(".", maxsplit=1)[0]
    if isinstance(value, staticmethod | classmethod | property):
        value = value.fget if isinstance(value, property) else value.__func__
    if isinstance(value, (*_CONSTANTS, enum.Enum)):
        hashed.update(f"{name}={_stable(value)}".encode())
    elif str(getattr(value, "__module__", "")).split(".", maxsplit=1)[0] != package:
        return
    elif isinstance(value, FunctionType):
        _function(value, cls, hashed, seen)
    elif isinstance(value, type) and value not in seen:
        seen.add(value)
        for inner in vars(value).values():
            # What attrs generates holds a hash of the class's name, which is another in every run.
            if isinstance(inner, FunctionType) and not inner.__code__.co_filename.startswith("<attrs generated"):
                _function(inner, value, hashed, seen)


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _code(code: CodeType, hashed: hashlib.blake2b, said: str | None = None) -> None:
    """Hash code and its constants; `said` is its docstring, which changes nothing."""
    hashed.update(code.co_code)
    hashed.update(repr((code.co_names, code.co_varnames)).encode())
    constants = code.co_consts[1:] if said is not None and code.co_consts[:1] == (said,) else code.co_consts
    for constant in constants:
        if isinstance(constant, CodeType):
            _code(constant, hashed)
        else:
            hashed.update(_stable(constant).encode())


def _stable(value: object) -> str:
    """A text that is the same in every run: no address, no order of a set."""
    if isinstance(value, frozenset):
        return str(sorted(map(_stable, value)))
    if isinstance(value, tuple):
        return str(tuple(map(_stable, value)))
    if value is None or value is Ellipsis or isinstance(value, (*_CONSTANTS, complex, enum.Enum)):
        return repr(value)
    return type(value).__qualname__
