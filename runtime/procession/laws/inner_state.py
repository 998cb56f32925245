"""Law 10: what looks at the state of a flow from outside. Tests and invariants judge what a flow shows."""

from __future__ import annotations

from types import FunctionType

from procession.laws.forbidden import Forbidden, full_name
from procession.laws.purity_scan import Scan
from procession.laws.values import Instance, Value
from procession.primitives.invariant import Invariant
from procession.primitives.state import State

_CURE = "compare what it shows: given(...).when(...).then(...)"
BUILDS = Forbidden("LAW10", "makes the state of a flow", _CURE)
CALLS = Forbidden("LAW10", "calls a handler", _CURE)
REACHES = Forbidden("LAW10", "reaches for what is inside", _CURE)
_CODES = frozenset({"LAW10"})
_INSIDE = ("procession.engine.", "procession.primitives.definition.")


def judge_state(thing: object, /, *, called: bool, path: str) -> Forbidden | None:  # noqa: ARG001 - a Judge
    """What is wrong with a test, or a rule, that names a thing."""
    if isinstance(thing, type):
        return BUILDS if called and issubclass(thing, State) else None
    if isinstance(thing, FunctionType):
        if hasattr(thing, "__procession_mark__"):
            return CALLS
        if full_name(thing).startswith(_INSIDE):
            return REACHES
    return None


def judge_attribute(holder: Value, name: str) -> Forbidden | None:
    """What is wrong with a test that asks an object for an attribute."""
    if name.startswith("_") and not name.endswith("__") and isinstance(holder, Instance):
        root = holder.cls.__module__.partition(".")[0]
        return REACHES if root == __name__.partition(".")[0] else None
    return None


def scan_test(function: FunctionType) -> Scan:
    """One test: what it and the functions that it calls look at."""
    package = function.__module__.partition(".")[0]
    scan = Scan(package, function.__qualname__, codes=_CODES, judge=judge_state, peek=judge_attribute)
    scan.follow(function, {})
    return scan


def is_test(name: str, thing: object, module: str) -> bool:
    """Whether a name of a module is a test of it, as pytest collects them."""
    return name.startswith("test") and isinstance(thing, FunctionType) and thing.__module__ == module


def scan_rule_for_state(rule: Invariant) -> Scan:
    """An invariant: it judges the history of a flow, which has no state."""
    assert isinstance(rule.judge, FunctionType), "@invariant takes functions only"
    return scan_test(rule.judge)
