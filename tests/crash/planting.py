"""Planting a fault: a part of the product is replaced, in this process alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType

Fault = Callable[[], None]


def plant(on: type | ModuleType, name: str, by: object) -> None:
    """Replace what has this name, where it still has it: a fault that is planted nowhere proves nothing."""
    assert hasattr(on, name), f"{on.__name__} has no {name} any more: plant the fault where it is now"
    setattr(on, name, by)


def by_name(*faults: Fault) -> dict[str, Fault]:
    """As a command line names them."""
    return {fault.__name__: fault for fault in faults}


def plant_named(name: str, faults: Mapping[str, Fault]) -> None:
    """Plant one in this process; `-` is none."""
    if name != "-":
        faults[name]()
