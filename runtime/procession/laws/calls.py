"""What a call in a handler makes: which function it enters, what it may return, and what it must not be."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Callable, Sequence
from types import CodeType, FunctionType, MethodType
from typing import Self

import attrs

from procession.laws.forbidden import ORDER, UNSEEDED, Forbidden, Judge, full_name
from procession.laws.frame import Frame
from procession.laws.values import (
    NOTHING,
    Bound,
    Fields,
    Instance,
    Known,
    Made,
    Unordered,
    Value,
    Values,
    above,
    either,
    function_of,
    hints_of,
    inner_functions,
    is_unordered,
    item_of,
    settle,
    typed,
)
from procession.primitives.effects import After

Enter = Callable[[FunctionType, dict[str, Values]], None]
Breach = Callable[[Forbidden, str], None]
Ask = Callable[[str, "Sequence[Values]"], None]
_EFFECTS = f"{After.__module__}."
_LISTS = frozenset({"builtins.tuple", "builtins.list"})
_ORDERED_BY = frozenset({"builtins.next", "builtins.str.join"})
_PASSED_ON = frozenset({f"builtins.{name}" for name in ("iter", "map", "filter", "zip", "reversed", "enumerate")})
_ORDER_FREE = frozenset(
    {f"builtins.{name}" for name in ("sorted", "len", "sum", "min", "max", "any", "all", "set", "frozenset")}
)
_SETS = frozenset({"builtins.set", "builtins.frozenset"})
_SET_MAKERS = frozenset({"union", "difference", "intersection", "symmetric_difference", "copy"})
_SETTERS = frozenset(
    {"builtins.setattr", "builtins.delattr", "builtins.object.__setattr__", "builtins.object.__delattr__"}
)
_IMPORTERS = frozenset({"builtins.__import__", "importlib.import_module"})


class Calls:
    """Judges what code names and calls."""

    def __init__(self, enter: Enter, is_own: Callable[[object], bool], judge: Judge, ask: Ask) -> None:
        """Args are told, or asked, what the calls mean.

        Args:
            enter: told which of the user's functions run, with which arguments.
            is_own: whether a function or class is the user's.
            judge: what is wrong with reaching for an object.
            ask: told which effects are made, of what.
        """
        self._enter, self._is_own, self._judge, self._ask = enter, is_own, judge, ask

    def mention(self, frame: Frame, values: Values) -> None:
        """The code names these: what is named may be called by whoever it is given to."""
        for value in values:
            match value:
                case Known(thing, path):
                    self._look(frame.breach, thing, path)
                case Bound(holder=holder) as bound:
                    function = function_of(bound)
                    if not self._accuse(frame.breach, function, ""):
                        self._run(function, {_first(function.__code__): (holder,)})

    def call(self, frame: Frame, callee: Values, given: Sequence[Values] | None, named: dict[str, Values]) -> Values:
        """The code calls one of these with arguments, None where nobody knows how many; what that may return."""
        found: Values = NOTHING
        for value in callee:
            found = either(found, self._one(frame, value, given, named))
        return found

    def construct(self, breach: Breach, cls: type, given: Sequence[Values] | None, named: dict[str, Values]) -> None:
        """An object of the user's class is made: its constructor runs, and the defaults of what is not given."""
        if attrs.has(cls):
            for position, field in enumerate(attrs.fields(cls)):
                left_out = given is not None and position >= len(given) and field.alias not in named
                made = field.default
                if isinstance(made, attrs.Factory) and (left_out or not field.init):  # type: ignore[arg-type]  # a class in fact
                    self._look(breach, made.factory, f"the default of {cls.__name__}.{field.name}")
                for part in (field.converter, field.validator):
                    self._look(breach, part, "")
        elif dataclasses.is_dataclass(cls):
            for place, each in enumerate(dataclasses.fields(cls)):
                left_out = given is not None and place >= len(given) and each.name not in named
                if each.default_factory is not dataclasses.MISSING and left_out:
                    self._look(breach, each.default_factory, f"the default of {cls.__name__}.{each.name}")
        for name in ("__new__", "__init__", "__attrs_post_init__", "__post_init__"):
            made_by = next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)
            made_by = getattr(made_by, "__func__", made_by)
            if isinstance(made_by, FunctionType):
                self._run(made_by, _arguments(made_by, [(Instance(cls, new=True),), *(given or ())], named))

    def _look(self, breach: Breach, thing: object, path: str) -> None:
        if self._accuse(breach, thing, path):
            return
        if isinstance(thing, FunctionType):
            self._run(thing, {})
        for inner in inner_functions(thing):
            self._look(breach, inner, path)

    def _accuse(self, breach: Breach, thing: object, path: str) -> bool:
        forbidden = self._judge(thing, called=False, path=path)
        if forbidden is not None:
            name = (full_name(thing) or path or type(thing).__name__).removeprefix("builtins.")
            breach(forbidden, f"{name}, {path}" if " " in path else name)
        return forbidden is not None

    def _run(self, function: FunctionType, arguments: dict[str, Values]) -> None:
        if self._is_own(function):
            self._enter(function, arguments)

    def _one(self, frame: Frame, value: Value, given: Sequence[Values] | None, named: dict[str, Values]) -> Values:
        match value:
            case Made(code) as made:
                return _call_made(made, code, given or (), named)
            case Bound(holder=holder) as bound:
                function = function_of(bound)
                self._run(function, _arguments(function, [(holder,), *(given or ())], named))
                return self._returned(function, (holder,))
            case Known(FunctionType() as function) if self._is_own(function):
                self._run(function, _arguments(function, given or (), named))
                return self._returned(function, given[0] if given else NOTHING)
            case Known(MethodType() as method) if isinstance(method.__func__, FunctionType):
                return self._one(frame, Bound(method.__func__, Known(method.__self__)), given, named)
            case Known(functools.partial() as partial):
                held: list[Values] = [(Known(argument),) for argument in partial.args]
                return self._one(frame, Known(partial.func), None if given is None else [*held, *given], named)
            case Known(type() as cls):
                return self._class(frame, cls, given, named)
            case Known(thing):
                return self._builtin(frame, thing, given, named)
        return NOTHING

    def _returned(self, function: FunctionType, holder: Values) -> Values:
        if function.__name__ == "evolve" or hints_of(function).get("return") is Self:
            return holder
        return typed(hints_of(function).get("return"))

    def _class(self, frame: Frame, cls: type, given: Sequence[Values] | None, named: dict[str, Values]) -> Values:
        name = full_name(cls)
        if name == "builtins.type" and given is not None and len(given) == 1:
            return tuple(Known(value.cls) for value in given[0] if isinstance(value, Instance))
        if name == "builtins.super":
            return above(frame.variable(_first(_outermost(frame).code)))
        if name == "functools.partial":
            return self._partial(frame, given, named)
        self._unseeded(frame, name, given, named)
        if name in _LISTS or name in _PASSED_ON or name in _SETS:
            return self._ordered(frame, name, given)
        forbidden = self._judge(cls, called=True, path="")
        if forbidden is not None:
            frame.breach(forbidden, name)
        elif self._is_own(cls):
            self.construct(frame.breach, cls, given, named)
        return () if cls.__module__ == "builtins" else (Instance(cls),)

    def _partial(self, frame: Frame, given: Sequence[Values] | None, named: dict[str, Values]) -> Values:
        for value in given[0] if given else NOTHING:
            self._one(frame, value, given[1:] if given else None, named)
        return given[0] if given else NOTHING

    def _builtin(self, frame: Frame, thing: object, given: Sequence[Values] | None, named: dict[str, Values]) -> Values:
        name = full_name(thing)
        first = given[0] if given else NOTHING
        owner, _, method = name.rpartition(".")
        if name == "builtins.getattr":
            return self._getattr(frame, first, given[1] if given and len(given) > 1 else NOTHING)
        if name == "builtins.vars":
            return tuple(Fields(value) for value in first)
        if name in _IMPORTERS:
            modules = [sys.modules.get(text) for text in _texts(first)]
            return tuple(Known(module) for module in modules if module is not None)
        if name in _ORDERED_BY or name in _PASSED_ON or name in _ORDER_FREE:
            return self._ordered(frame, name, given)
        if owner == "builtins.dict" and method in ("get", "__getitem__"):
            return self._item(frame, getattr(thing, "__self__", None), first)
        if owner in _SETS and method in _SET_MAKERS:
            return (Unordered(),)
        if name in _SETTERS:
            frame.change(first, name.removeprefix("builtins."))
        self._unseeded(frame, name, given, named)
        if name.startswith(_EFFECTS):
            self._ask(name.removeprefix(_EFFECTS), given or ())
        if isinstance(thing, FunctionType) and name.startswith("procession.testing."):
            return typed(hints_of(thing).get("return"))
        return NOTHING

    def _getattr(self, frame: Frame, holders: Values, names: Values) -> Values:
        found: Values = NOTHING
        for name in _texts(names):
            found = either(found, frame.attribute(holders, name))
        return found

    def _item(self, frame: Frame, table: object, keys: Values) -> Values:
        found: Values = NOTHING
        for key in keys:
            found = either(found, item_of(Known(table), key))
        self.mention(frame, found)
        return found

    def _ordered(self, frame: Frame, name: str, given: Sequence[Values] | None) -> Values:
        unordered = any(is_unordered(values) for values in given or ())
        for values in given or ():
            settle(values)
        if name in _SETS:
            return (Unordered(),)
        if name in _ORDER_FREE or not unordered:
            return NOTHING
        what = f"{name.removeprefix('builtins.')}(...) of it"
        if name in _LISTS:
            return (frame.listed(what),)
        if name in _ORDERED_BY:
            frame.breach(ORDER, what)
            return NOTHING
        return (Unordered(),)

    def _unseeded(self, frame: Frame, name: str, given: Sequence[Values] | None, named: dict[str, Values]) -> None:
        if name in UNSEEDED and given is not None:
            most, forbidden = UNSEEDED[name]
            if len(given) + len(named) <= most:
                frame.breach(forbidden, f"{name} without {'arguments' if not most else 'a time'}")


def _call_made(made: Made, code: CodeType, given: Sequence[Values], named: dict[str, Values]) -> Values:
    if code.co_name.startswith("<") and code.co_name != "<lambda>":
        through = code.co_name in ("<genexpr>", "<setcomp>") and bool(given) and is_unordered(given[0])
        return (Unordered(),) if through else NOTHING
    for name, values in {**dict(zip(code.co_varnames[: code.co_argcount], given, strict=False)), **named}.items():
        made.arguments[name] = either(made.arguments.get(name, NOTHING), values)
    return NOTHING


def _arguments(function: FunctionType, given: Sequence[Values], named: dict[str, Values]) -> dict[str, Values]:
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    return {**dict(zip(names, given, strict=False)), **named}


def _first(code: CodeType) -> str:
    return code.co_varnames[0] if code.co_argcount else ""


def _outermost(frame: Frame) -> Frame:
    while frame.around is not None:
        frame = frame.around
    return frame


def _texts(values: Values) -> list[str]:
    return [value.value for value in values if isinstance(value, Known) and isinstance(value.value, str)]
