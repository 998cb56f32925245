"""What a projector's handlers reach for, and what their SQL says, found without running them: laws 3, 4, 5 and 9."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import CodeType, FunctionType

import attrs

from procession.laws.finding import Finding
from procession.laws.forbidden import (
    CHANGES,
    DRAWS,
    PROJECTIONS,
    QUERIES,
    STORE,
    Forbidden,
)
from procession.laws.mutation import CHANGES_PROJECTOR
from procession.laws.purity import refuse_certain, suspects_of
from procession.laws.purity_scan import Scan
from procession.laws.suppression import Suspect, place_of
from procession.laws.values import NOTHING, Instance, Values, either
from procession.primitives.envelope import Envelope
from procession.primitives.event import Event
from procession.primitives.projection import Projection
from procession.primitives.projector import ProjectorHandler, Store

_FROM_EVENTS = "each projector takes from events what it needs, and keeps it in its own store"
_OTHERS = Forbidden("LAW09", "reaches for another projection", _FROM_EVENTS)
_OTHER_STORE = Forbidden("LAW09", "opens a store beside its own", _FROM_EVENTS)
_DRAWN = Forbidden("LAW05", "draws from an iterator that outlives the event", "count in a table of the store")
_CODES = frozenset({"LAW01", "LAW03", "LAW04", "LAW05", "LAW09"})
_INSTEAD = {
    CHANGES: CHANGES_PROJECTOR,
    DRAWS: _DRAWN,
    PROJECTIONS: _OTHERS,
    QUERIES: _OTHERS,
    STORE: _OTHER_STORE,
}
_CURES = {
    "LAW03": "take it from the event or its `Envelope`",
    "LAW04": "a projector only notes what happened: have a flow yield a command, and a gateway do it",
}
_SQL = re.compile(
    r"\s*(select|insert|update|delete|replace|with|values|attach|detach|pragma|vacuum|begin|commit)\b", re.IGNORECASE
)
_REACHES = re.compile(r"\b(attach|detach|pragma|vacuum)\b", re.IGNORECASE)
_OWN_TRANSACTION = re.compile(r"^\s*(begin|commit|end|rollback|savepoint|release)\b", re.IGNORECASE)
_CHANCE = re.compile(r"\b(random|randomblob)\s*\(", re.IGNORECASE)
_CLOCK = re.compile(
    r"\bcurrent_(date|time|timestamp)\b|\b(date|time|datetime|julianday|strftime|unixepoch|timediff)\s*\(",
    re.IGNORECASE,
)
_TEXTS = re.compile(r"'(?:[^']|'')*'")


def check_projection(projection: Projection) -> Iterator[Suspect]:
    """Laws 3, 4, 5 and 9 of a projector: what its handlers reach for, and what their SQL says."""
    for scan in scan_projection(projection):
        yield from suspects_of(scan, projection.cls)
    yield from check_statements(projection)


def refuse_impure_projection(projection: Projection) -> None:
    """Refuse a projector of which it is certain, and not allowed, that it breaks a law while it runs.

    Raises:
        DefinitionError: with the code of the law, the place, and the cure.
    """
    refuse_certain(projection.cls, lambda: check_projection(projection))


def scan_projection(projection: Projection) -> Iterator[Scan]:
    """Each handler, with what it calls of the user's own; one scan each."""
    package = projection.cls.__module__.partition(".")[0]
    for handler in projection.handlers:
        yield _scan_handler(package, projection, handler)


def check_statements(projection: Projection) -> Iterator[Suspect]:
    """The SQL that stands in its tables and handlers: what the store refuses when it runs, found before."""
    cls = projection.cls
    path, line = place_of(cls.__projector__.site)
    for statement in projection.tables:
        for found in _breaches(statement):
            yield Suspect(_finding(found, path, line, cls.__name__), (cls,))
    for handler in projection.handlers:
        path, line = place_of(handler.site)
        for statement in _statements(handler.method.__code__, handler.method.__doc__):
            for found in _breaches(statement):
                yield Suspect(_finding(found, path, line, f"{cls.__name__}.{handler.name}"), (handler.method, cls))


def _scan_handler(package: str, projection: Projection, handler: ProjectorHandler) -> Scan:
    cls, method = projection.cls, handler.method
    scan = Scan(package, f"{cls.__name__}.{handler.name}", cls, codes=_CODES, instead=_said_of_projectors)
    assert isinstance(method, FunctionType), "marks take functions only"
    given: dict[str, Values] = {
        "event": _instances(handler.events),
        "envelope": (Instance(Envelope),),
        "store": (Instance(Store),),
        "rows": NOTHING,
    }
    names = method.__code__.co_varnames[: method.__code__.co_argcount]
    known: list[Values] = [(Instance(cls),), *(given[wish] for wish in handler.takes)]
    scan.follow(method, dict(zip(names, known, strict=False)))
    return scan


def _said_of_projectors(forbidden: Forbidden) -> Forbidden:
    found = _INSTEAD.get(forbidden, forbidden)
    return attrs.evolve(found, cure=_CURES.get(found.code, found.cure))


def _instances(events: tuple[type[Event], ...]) -> Values:
    found: Values = NOTHING
    for event in events:
        found = either(found, (Instance(event),))
    return found


def _statements(code: CodeType, said: str | None = None) -> Iterator[str]:
    """Texts of a function that look like SQL; `said` is its docstring."""
    for constant in code.co_consts:
        if isinstance(constant, str) and constant != said and _SQL.match(constant):
            yield constant
        elif isinstance(constant, CodeType):
            yield from _statements(constant)


def _breaches(statement: str) -> Iterator[Forbidden]:
    text = _TEXTS.sub("''", statement)
    if _REACHES.search(text):
        yield Forbidden("LAW09", "says ATTACH, DETACH, PRAGMA or VACUUM", _FROM_EVENTS)
    if _OWN_TRANSACTION.match(text):
        yield Forbidden("LAW05", "begins or ends a transaction", "leave it: rows and position are committed together")
    if _CHANCE.search(text):
        yield Forbidden("LAW03", "draws by chance in SQL", "derive it from the event")
    if _CLOCK.search(text):
        yield Forbidden("LAW03", "reads the clock in SQL", "take the time from the event or its `Envelope`")


def _finding(found: Forbidden, path: str, line: int, subject: str) -> Finding:
    return Finding(path, line, found.code, subject, found.does, found.cure)
