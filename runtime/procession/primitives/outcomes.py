"""How a process may end, as far as its code tells: declared by `@ends`, or named after `end` in a handler."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Iterator

from procession.primitives import effects
from procession.primitives.handlers import Handler
from procession.primitives.process import ProcessManager

_DEFAULT: str = inspect.signature(effects.end).parameters["outcome"].default
_CALLS = frozenset({"PUSH_NULL", "PRECALL", "CALL", "CALL_FUNCTION", "CACHE"})
"""What may stand between a function, its one constant, and what is done with the result."""


def outcomes_of(process: type[ProcessManager]) -> dict[str, tuple[str, ...]]:
    """The outcomes by handler, in order, each once. One that is no constant is missed. Nothing is run."""
    found: dict[str, dict[str, None]] = {}
    for handler in process.__handlers__:
        names = found.setdefault(handler.name, {})
        if handler.mark.kind == "end":
            names[handler.mark.outcome] = None
        elif handler.mark.kind != "fold":
            names.update(dict.fromkeys(_in_code(handler)))
    return {name: tuple(outcomes) for name, outcomes in found.items() if outcomes}


def _in_code(handler: Handler) -> Iterator[str]:
    """What stands after `end` in a handler's code."""
    names, asked = handler.method.__globals__, False
    for instruction in dis.get_instructions(handler.method.__code__):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            asked = names.get(instruction.argval) is effects.end
        elif asked and instruction.opname not in _CALLS:
            asked = False
            if instruction.opname == "LOAD_CONST" and isinstance(instruction.argval, str):
                yield instruction.argval
            elif instruction.opname == "YIELD_VALUE":
                yield _DEFAULT
