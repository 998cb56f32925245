"""A fingerprint of what folding a process depends on; a snapshot with another one is thrown away."""

from __future__ import annotations

import hashlib
import sys
from types import CodeType, FunctionType

from procession.primitives.codec import shape_of
from procession.primitives.definition import Definition
from procession.primitives.handlers import trigger_name

_DEPTH_MAX = 8


def fingerprint(definition: Definition) -> str:
    """What folding a process depends on, hashed.

    Covers the state's fields, the events folded, the code of all folds and of what they call in their own package,
    and the interpreter's minor version.
    """
    hashed = hashlib.blake2b(digest_size=16)
    hashed.update(f"{sys.version_info[:2]}|{shape_of(definition.cls)}".encode())
    for trigger in sorted(definition.reactions, key=trigger_name):
        fold = definition.reactions[trigger].fold
        if fold is not None and not isinstance(trigger, tuple):
            hashed.update(f"|{trigger_name(trigger)}|{shape_of(trigger)}|".encode())
            _function(fold.method, hashed, set(), 0)  # type: ignore[arg-type]  # a method of a class is a function
    return hashed.hexdigest()


def _function(function: FunctionType, hashed: hashlib.blake2b, seen: set[CodeType], depth: int) -> None:
    code = function.__code__
    if code in seen or depth > _DEPTH_MAX:
        return
    seen.add(code)
    _code(code, hashed)
    hashed.update(repr(function.__defaults__).encode())
    package = function.__module__.split(".", maxsplit=1)[0]
    for name in code.co_names:
        value = function.__globals__.get(name)
        if isinstance(value, FunctionType) and value.__module__.split(".", maxsplit=1)[0] == package:
            _function(value, hashed, seen, depth + 1)
        elif isinstance(value, str | int | float | bool | bytes | tuple):
            hashed.update(f"{name}={value!r}".encode())


def _code(code: CodeType, hashed: hashlib.blake2b) -> None:
    hashed.update(code.co_code)
    hashed.update(repr((code.co_names, code.co_varnames)).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _code(constant, hashed)
        elif isinstance(constant, frozenset):
            hashed.update(repr(sorted(map(repr, constant))).encode())
        else:
            hashed.update(repr(constant).encode())
