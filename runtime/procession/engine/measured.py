"""What is measured of one runtime: by its processes, its gateways, and the outcomes that their code names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType

from procession.primitives.definition import Definition
from procession.primitives.registry import Registry
from procession.telemetry.measures import Measures, measures_of

_OUTCOME_CHARS_MAX = 64


def measures_for(registry: Registry) -> Measures:
    """Nothing measured yet, of these classes."""
    outcomes = {name: set(_outcomes(definition)) for name, definition in registry.processes.items()}
    return measures_of(outcomes, registry.gateways)


def _outcomes(definition: Definition) -> Iterator[str]:
    """Those that are declared, and every short text in the code of its methods: an `end("…")` may stand there."""
    for reaction in definition.reactions.values():
        if reaction.on is not None and reaction.on.mark.kind == "end":
            yield reaction.on.mark.outcome
    for cls in definition.cls.__mro__:
        for value in vars(cls).values():
            function = getattr(value, "__func__", value)
            if isinstance(function, FunctionType):
                yield from _texts(function.__code__.co_consts)


def _texts(constants: Iterable[object]) -> Iterator[str]:
    for constant in constants:
        if isinstance(constant, CodeType):
            yield from _texts(constant.co_consts)
        elif isinstance(constant, tuple | frozenset):
            yield from _texts(constant)
        elif isinstance(constant, str) and len(constant) <= _OUTCOME_CHARS_MAX:
            yield constant
