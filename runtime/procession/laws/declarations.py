"""Laws that can be seen in what classes declare: names, fields, handlers, keys, stored names."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator
from types import FunctionType

from procession.errors import DefinitionError
from procession.laws.finding import Finding
from procession.laws.inner_state import scan_rule_for_state
from procession.laws.purity import suspects_of
from procession.laws.purity_scan import scan_rule
from procession.laws.suppression import Suspect, finding_of, place_of
from procession.laws.tense import is_past_tense
from procession.laws.values import hints_of
from procession.primitives.command import Command
from procession.primitives.definition import Definition
from procession.primitives.event import Event, FailureEvent
from procession.primitives.handlers import Handler, trigger_name
from procession.primitives.invariant import Invariant
from procession.primitives.process import ProcessManager
from procession.primitives.refusal import Refusal
from procession.primitives.stored import check_fields, stored_of

_PACKAGE = __name__.partition(".")[0]


def check_event(event: type[Event]) -> Iterator[Suspect]:
    """Laws 1 and 8 of one event class: its name, and fields that could not be resolved when it was defined."""
    if event.__module__.partition(".")[0] == _PACKAGE:
        return
    path, line = place_of(stored_of(event).site)
    if not is_past_tense(event.__name__):
        found, cure = "is not named in the past tense", "say what has happened: OrderPlaced, StockRanOut"
        yield Suspect(Finding(path, line, "LAW01", event.__name__, found, cure), (event,))
    yield from check_stored(event)


def check_stored(cls: type[Event | Command | Refusal]) -> Iterator[Suspect]:
    """Fields of an event, command or refusal that can change, or that name nothing."""
    stored = stored_of(cls)
    try:
        check_fields(cls, stored.site, later=False)
    except DefinitionError as error:
        yield Suspect(finding_of(error), (cls,), certain=True)
    except NameError as error:
        path, line = place_of(stored.site)
        found = f"has a field of type {error.name!r}, which is not defined"
        finding = Finding(path, line, "DEF01", cls.__name__, found, "define it or mend it", allowable=False)
        yield Suspect(finding, certain=True)


def check_names(classes: Iterable[type[Event]]) -> Iterator[Suspect]:
    """Law 8: no two events have one stored name and version."""
    known: dict[tuple[str, int], type] = {}
    for cls in classes:
        stored = stored_of(cls)
        first = known.setdefault((stored.name, stored.version), cls)
        if first is not cls:
            path, line = place_of(stored.site)
            found = f"has the stored name {stored.name!r} and version {stored.version}, as {first.__qualname__} does"
            cure = "a schema never changes: give the new shape the next version, or a name of its own"
            yield Suspect(Finding(path, line, "LAW08", cls.__name__, found, cure, allowable=False), certain=True)


def check_handlers(definition: Definition) -> Iterator[Suspect]:
    """Law 2: a reaction asks for effects; only a fold returns a state, and never that of a failure event."""
    cls = definition.cls
    for handler in cls.__handlers__:
        if handler.mark.kind != "fold" and _returns(handler, cls):
            resolved = handler.resolve(cls, cls.__process__.key)
            failures = [trigger_name(trigger) for trigger in resolved.triggers if _is_failure(trigger)]
            path, line = place_of(handler.site)
            what = f" on {failures[0]}, a failure event" if failures else ""
            finding = Finding(
                path,
                line,
                "LAW02" if failures else "DEF01",
                f"{cls.__name__}.{handler.name}",
                f"is a reaction that returns a state{what}",
                "yield effects; `record(...)` an ordinary event, and fold that in a method marked @folds",
            )
            yield Suspect(finding, (handler.method, cls))


def _returns(handler: Handler, cls: type[ProcessManager]) -> bool:
    """Whether it is annotated to return a state: its own class, by whatever name."""
    method = handler.method
    said = method.__annotations__.get("return")
    if isinstance(said, str):
        return said.strip("'\"") in (cls.__name__, "Self", "typing.Self")
    hint = hints_of(method).get("return", said) if isinstance(method, FunctionType) else said
    return hint is typing.Self or (isinstance(hint, type) and issubclass(hint, ProcessManager))


def _is_failure(trigger: object) -> bool:
    event = trigger[0] if isinstance(trigger, tuple) else trigger
    return isinstance(event, type) and issubclass(event, FailureEvent)


def check_rule(rule: Invariant) -> Iterator[Suspect]:
    """An invariant is as pure as a handler, and judges histories (law 10)."""
    for scan in (scan_rule(rule), scan_rule_for_state(rule)):
        yield from suspects_of(scan, rule.judge)
