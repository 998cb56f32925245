"""What handlers ask for, found in their code: which commands, deadlines and facts, and by which handler.

Derived, not declared: a class counts where the code names it after the verb, on whatever path; one that comes out of a
container or an argument is missed. Nothing is run.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any, Literal

import attrs

from procession.primitives import effects
from procession.primitives.command import Command
from procession.primitives.event import Event
from procession.primitives.process import ProcessManager

Verb = Literal["sends", "arms", "cancels", "records"]
_VERBS: dict[int, Verb | None] = {
    id(effects.after): "arms",
    id(effects.at): "arms",
    id(effects.cancel): "cancels",
    id(effects.record): "records",
    id(effects.end): None,
}
_INLINED_MAX = 1_000
"""Helpers looked into for one handler; none of a sane size comes near."""


@attrs.frozen
class Asked:
    """One thing that one handler may ask for."""

    handler: str
    verb: Verb
    cls: type[Event | Command]


def asked_in_code(process: type[ProcessManager]) -> tuple[Asked, ...]:
    """What the handlers of a process may ask for, in order of the handlers and of their code, each once."""
    found: dict[Asked, None] = {}
    for handler in process.__handlers__:
        if handler.mark.kind != "fold":
            _Reader(process, handler.name, found).read(handler.method, None)
    return tuple(found)


@attrs.define(eq=False)
class _Reader:
    """Reads the code of one handler, and of the helpers that it names, in order."""

    process: type[ProcessManager]
    handler: str
    found: dict[Asked, None]
    seen: set[Callable[..., Any]] = attrs.field(factory=set)

    def read(self, function: Callable[..., Any], verb: Verb | None) -> Verb | None:
        """Read a function that stands after a verb; returns the verb that stands at its end."""
        if function in self.seen or len(self.seen) >= _INLINED_MAX:
            return verb
        self.seen.add(function)
        names: dict[str, object] = dict(function.__globals__)
        names.update(inspect.getclosurevars(function).nonlocals)
        return self._code(function.__code__, names, verb)

    def _code(self, code: CodeType, names: Mapping[str, object], verb: Verb | None) -> Verb | None:
        value: object = None
        for instruction in dis.get_instructions(code):
            name = instruction.argval
            if instruction.opname == "YIELD_VALUE":
                verb = None
                continue
            if isinstance(name, CodeType):
                verb = self._code(name, names, verb)
                continue
            if instruction.opname in _NAMES:
                value = names.get(name)
            elif instruction.opname in _ATTRIBUTES:
                # Of anything but a module, the only attributes that we can know are those of the process itself.
                value = vars(value).get(name) if isinstance(value, ModuleType) else self._of_process(name)
            else:
                continue
            verb = self._value(value, verb)
        return verb

    def _value(self, value: object, verb: Verb | None) -> Verb | None:
        if id(value) in _VERBS:
            return _VERBS[id(value)]
        if isinstance(value, type) and "__procession__" in vars(value):
            if issubclass(value, Command):
                self.found[Asked(self.handler, "sends", value)] = None
            elif issubclass(value, Event) and verb is not None:
                self.found[Asked(self.handler, verb, value)] = None
        elif isinstance(value, FunctionType) and value.__module__ == self.process.__module__:
            return self.read(value, verb)
        return verb

    def _of_process(self, name: str) -> object:
        value = inspect.getattr_static(self.process, name, None)
        if isinstance(value, property):
            return value.fget
        return value.__func__ if isinstance(value, staticmethod | classmethod) else value


_NAMES = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF"})
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
