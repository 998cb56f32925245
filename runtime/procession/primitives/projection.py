"""A projector compiled for one runtime: which handler an event meets, and what its projection depends on."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping
from functools import cached_property
from types import FunctionType

import attrs

from procession.errors import DefinitionError
from procession.primitives.event import Event
from procession.primitives.fingerprint import code_fingerprint
from procession.primitives.lifts import Chains
from procession.primitives.projector import Projector, ProjectorHandler, handlers_of
from procession.primitives.schema import shape_of
from procession.primitives.stored import stored_of, two_classes


@attrs.frozen
class ProjectionMark:
    """What a projection depends on; a store that was made by another one can't be folded on."""

    version: int
    shape: str
    """Of its tables and the schemas of its events."""
    code: str
    """Of its handlers and the lifts before them, as this Python compiles them."""
    python: str


@attrs.frozen(slots=False, eq=False)
class Projection:
    """One projector of one runtime."""

    cls: type[Projector]
    name: str
    version: int
    store: str
    tables: tuple[str, ...]
    handlers: tuple[ProjectorHandler, ...]
    by_stored: Mapping[tuple[str, int], ProjectorHandler]
    """By stored name and version, lifted ones included."""
    chains: Chains

    @cached_property
    def events(self) -> tuple[type[Event], ...]:
        """The event types that its handlers take."""
        return tuple(event for handler in self.handlers for event in handler.events)

    @cached_property
    def types(self) -> tuple[str, ...]:
        """The stored names that it reads from the journal."""
        return tuple(sorted({name for name, _ in self.by_stored}))

    @cached_property
    def wants_envelope(self) -> bool:
        """Whether a handler asks for it: whole rows must be read then."""
        return any("envelope" in handler.takes for handler in self.handlers)

    @cached_property
    def mark(self) -> ProjectionMark:
        """What its store is marked with."""
        hashed = hashlib.blake2b(repr(self.tables).encode(), digest_size=16)
        for event in sorted(self.events, key=lambda cls: (stored_of(cls).name, stored_of(cls).version)):
            for cls in (event, *self.chains.older(event)):
                stored = stored_of(cls)
                hashed.update(f"|{stored.name} {stored.version}|{shape_of(cls)}".encode())
        lifts = [lift.function for lift in self.chains if self.chains.newest(lift.old) in self.events]
        functions = [*(handler.method for handler in self.handlers), *lifts]
        code = code_fingerprint(self.cls, [each for each in functions if isinstance(each, FunctionType)])
        return ProjectionMark(self.version, hashed.hexdigest(), code, "{}.{}".format(*sys.version_info[:2]))


def compile_projection(cls: type[Projector], chains: Chains) -> Projection:
    """A projector with its handlers resolved.

    Raises:
        DefinitionError: a handler can't work, two take one event, or one waits for what is lifted.
    """
    handlers, options = handlers_of(cls), cls.__projector__
    taken: dict[type[Event], ProjectorHandler] = {}
    by_stored: dict[tuple[str, int], ProjectorHandler] = {}
    for handler in handlers:
        for event in handler.events:
            _check(cls, handler, event, chains)
            first = taken.setdefault(event, handler)
            if first is not handler:
                raise DefinitionError(
                    handler.site,
                    f"{cls.__name__}.{handler.name}",
                    f"projects {event.__name__}, as {first.name} does",
                    "one event meets one handler: write both changes there",
                )
            for each in (event, *chains.older(event)):
                by_stored[stored_of(each).name, stored_of(each).version] = handler
    return Projection(cls, options.name, options.version, options.store, cls.tables, handlers, by_stored, chains)


def compile_projections(projectors: Iterable[type[Projector]], chains: Chains) -> dict[str, Projection]:
    """Projectors by name.

    Raises:
        DefinitionError: one can't work, or two have one store (law 9).
        WiringError: two have one name.
    """
    found: dict[str, Projection] = {}
    for projector in projectors:
        projection = compile_projection(projector, chains)
        known = found.get(projection.name)
        if known is not None:
            raise two_classes("projector", projection.name, known.cls, projector)
        for other in found.values():
            if other.store.casefold() == projection.store.casefold():  # one file, where the file system knows no case
                raise shared_store(other.cls, projector)
        found[projection.name] = projection
    return found


def shared_store(first: type[Projector], second: type[Projector]) -> DefinitionError:
    """Law 9: what is said of two projectors with one store."""
    return DefinitionError(
        second.__projector__.site,
        second.__name__,
        f"has the store {second.__projector__.store!r}, as {first.__name__} ({first.__projector__.site}) does",
        "give it a store of its own: projectors share nothing, each takes from events what it needs",
        "LAW09",
    )


def _check(cls: type[Projector], handler: ProjectorHandler, event: type[Event], chains: Chains) -> None:
    lift, subject = chains.step(event), f"{cls.__name__}.{handler.name}"
    if lift is not None:
        raise DefinitionError(
            handler.site,
            subject,
            f"projects {event.__name__}, which {lift.name} ({lift.site}) lifts to {chains.newest(event).__name__}",
            f"project {chains.newest(event).__name__}: handlers never see the older type",
        )
    older = chains.older(event)
    if handler.mark.columns is not None and older:
        raise DefinitionError(
            handler.site,
            subject,
            f"takes columns of {event.__name__}, to which {older[0].__name__} is lifted",
            "take events, by @projects: columns come as they were stored, unlifted",
        )
