"""What changes in place, and whose law that breaks."""

from __future__ import annotations

from collections import deque

from procession.laws.forbidden import CHANGES, Forbidden
from procession.laws.values import Fields, Instance, Known, Value
from procession.primitives.event import Event
from procession.primitives.projector import Projector
from procession.primitives.state import State

CHANGES_EVENT = Forbidden("LAW01", "changes an event", "an event is a fact: yield `record(...)` of another one")
CHANGES_STATE = Forbidden("LAW06", "changes the state in place", "return self.evolve(...) from a fold")
CHANGES_ON_FAILURE = Forbidden(
    "LAW02", "changes the state on a failure event", "yield `record(...)` of an ordinary event, and fold that"
)
CHANGES_SHARED = Forbidden(
    "LAW06", "changes what all flows share", "make it a field of the state, and fold it: a flow's state is its own"
)

CHANGES_PROJECTOR = Forbidden(
    "LAW05",
    "keeps something beside its store",
    "write it into a table of the store: a rebuild starts with an empty one",
)

_CHANGING: dict[type, frozenset[str]] = {
    list: frozenset("append clear extend insert pop remove reverse sort __setitem__ __delitem__ __iadd__".split()),
    dict: frozenset("clear pop popitem setdefault update move_to_end subtract __setitem__ __delitem__".split()),
    set: frozenset(
        "add clear difference_update discard intersection_update pop remove symmetric_difference_update update".split()
    ),
    bytearray: frozenset("append clear extend insert pop remove reverse __setitem__".split()),
    deque: frozenset("append appendleft clear extend extendleft insert pop popleft remove reverse rotate".split()),
}
"""Methods by which an object of a class changes."""


def changed(value: Value, *, failure: bool) -> Forbidden | None:
    """What is wrong with changing a value; None where it lives no longer than the turn.

    Args:
        value: what is assigned to, or whose items are.
        failure: the handler answers a failure event.
    """
    match value:
        case Fields(holder):
            return changed(holder, failure=failure)
        case Instance(new=True):
            return None
        case Instance(cls) if issubclass(cls, Event):
            return CHANGES_EVENT
        case Instance(cls) if issubclass(cls, State):
            return CHANGES_ON_FAILURE if failure else CHANGES_STATE
        case Instance(cls) | Known(type() as cls) | Known(of=type() as cls) if issubclass(cls, Projector):
            return CHANGES_PROJECTOR
        case Known(type() as cls) if issubclass(cls, State):
            return CHANGES_SHARED
        case Known(of=type() as cls) if issubclass(cls, State):
            return CHANGES_SHARED
        case Known(Event()):
            return CHANGES_EVENT
        case Known():
            return CHANGES
    return None


def changes_by(value: Value, method: str) -> bool:
    """Whether a method, by its name, changes the object that it is asked of."""
    if isinstance(value, Fields):
        return method in _CHANGING[dict]
    return isinstance(value, Known) and any(
        isinstance(value.value, cls) and method in methods for cls, methods in _CHANGING.items()
    )


def can_change(value: Value) -> bool:
    """Whether `+=` and its like change the object itself, not only the name."""
    return isinstance(value, Known) and isinstance(value.value, tuple(_CHANGING))
