"""Stored name and version <-> class, for one runtime; and what can't work together is refused here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import attrs

from procession.errors import DefinitionError, UnknownType, WiringError
from procession.primitives.codec import Codec
from procession.primitives.command import Command
from procession.primitives.decisions import AggregateDefinition, Decision
from procession.primitives.definition import (
    Definition,
    Folding,
)
from procession.primitives.event import Event
from procession.primitives.fingerprint import fingerprint
from procession.primitives.gateway import CommandMethod, Gateway
from procession.primitives.invariant import Invariant
from procession.primitives.lifts import Chains
from procession.primitives.projection import Projection
from procession.primitives.refusal import Refusal
from procession.primitives.stored import check_fields, stored_of, two_classes

_NEAR_MAX = 3


@attrs.frozen
class Receiver:
    """Where a command goes."""

    gateway: type[Gateway]
    name: str
    method: CommandMethod


@attrs.frozen
class Decider:
    """The aggregate that a command goes to."""

    definition: AggregateDefinition
    decision: Decision

    @property
    def name(self) -> str:
        """The aggregate's stored name."""
        return self.definition.name


@attrs.define(eq=False)
class Registry:
    """All classes of one runtime. Registries belong to a runtime, not to the process."""

    codec: Codec = attrs.field(factory=Codec)
    events: dict[tuple[str, int], type[Event]] = attrs.field(factory=dict)
    commands: dict[str, type[Command]] = attrs.field(factory=dict)
    processes: dict[str, Definition] = attrs.field(factory=dict)
    gateways: dict[str, Gateway | type[Gateway]] = attrs.field(factory=dict)
    """Where one is given as a class, that class, until its instance takes its place."""
    receivers: dict[type[Command], Receiver] = attrs.field(factory=dict)
    aggregates: dict[str, AggregateDefinition] = attrs.field(factory=dict)
    deciders: dict[type[Command], Decider] = attrs.field(factory=dict)
    refusals: dict[tuple[str, int], type[Refusal]] = attrs.field(factory=dict)
    concerned: dict[type[Event], tuple[Definition, ...]] = attrs.field(factory=dict)
    """Which processes an event type concerns, by key; a type that is lifted stands under what it is lifted to."""
    chains: Chains = attrs.field(factory=Chains)
    """The lifts."""
    invariants: dict[str, tuple[Invariant, ...]] = attrs.field(factory=dict)
    """What must hold of every flow, by process."""
    projections: dict[str, Projection] = attrs.field(factory=dict)
    """What projectors make, by name."""
    _latest: dict[str, type[Event]] = attrs.field(factory=dict)
    _named: frozenset[type[Event]] = frozenset()
    """Event types that handlers, gateways or `events` name, before the lifts."""
    _older_names: dict[str, tuple[str, ...]] = attrs.field(factory=dict)
    _readers: dict[tuple[str, int], Callable[[str | bytes], Event]] = attrs.field(factory=dict)

    @functools.cached_property
    def fingerprints(self) -> Mapping[str, str]:
        """Of each process and aggregate, by its stored name: a snapshot with another one is thrown away."""
        folded: dict[str, Folding] = {**self.processes, **self.aggregates}
        return {name: fingerprint(definition, self.chains) for name, definition in folded.items()}

    def takes(self, command: type[Command]) -> bool:
        """Whether a command has its receiver here."""
        return command in self.receivers or command in self.deciders

    def event_class(self, name: str, version: int | None = None) -> type[Event]:
        """The class of a stored name; without a version the newest.

        Raises:
            UnknownType: nothing of this name is registered; names what looks alike.
        """
        found = self._latest.get(name) if version is None else self.events.get((name, version))
        if found is None:
            raise UnknownType(name, self._near(name))
        return found

    def lifted(self, event: Event) -> Event:
        """An event as handlers see it: by the newest type that its own is lifted to.

        Raises:
            LiftFailed: a lift raised, or made an event that does not fit its type.
        """
        chains = self.chains
        return chains.lifted(event, self.codec.check) if type(event) in chains.olds else event

    def read(self, name: str, version: int, payload: str | bytes) -> Event:
        """A stored event as handlers see it: decoded by its own type, then lifted. The one place that reads events.

        Raises:
            UnknownType: its class is not registered.
            InvalidPayload: it does not fit its class any more, or can't be lifted.
        """
        reader = self._readers.get((name, version)) or self._reader(name, version)
        return reader(payload)

    def _reader(self, name: str, version: int) -> Callable[[str | bytes], Event]:
        cls = self.event_class(name, version)
        decode = self.codec.reader(cls)
        reader = (lambda payload: self.lifted(decode(payload))) if cls in self.chains else decode
        self._readers[name, version] = reader
        return reader

    def older_names(self, name: str) -> tuple[str, ...]:
        """The other stored names of what is lifted to the event of this name: how its timers were called then."""
        return self._older_names.get(name, ())

    def add_lifts(self) -> None:
        """Register the types of the lifts; all that is named otherwise is registered."""
        self._named = frozenset(self.events.values())
        for lift in self.chains:
            newest = self.chains.newest(lift.old)
            name = stored_of(newest).name
            names = {stored_of(older).name for older in self.chains.older(newest)} - {name}
            self._older_names[name] = tuple(sorted(names))
            self.add_event(lift.old)
            self.add_event(lift.new)

    def check_lifts(self) -> None:
        """Refuse lifts to what nobody takes: old events would be seen by nobody, in silence.

        Raises:
            WiringError: says which.
        """
        for lift in self.chains:
            newest = self.chains.newest(lift.old)
            if newest not in self._named:
                raise WiringError(
                    f"{lift.site}: {lift.name} leads to {newest.__name__}, which no handler and no gateway names",
                    f"handle {newest.__name__}, or name it in events=",
                )

    def add_event(self, cls: type[Event]) -> None:
        """Register an event class, whole: its fields are checked, its codec hooks built."""
        stored = stored_of(cls)
        known = self.events.get((stored.name, stored.version))
        if known is cls:
            return
        if known is not None:
            raise two_classes("event", stored.name, known, cls)
        _resolvable(cls)
        self.codec.register(cls)
        self.events[stored.name, stored.version] = cls
        newest = self._latest.get(stored.name)
        if newest is None or stored_of(newest).version < stored.version:
            self._latest[stored.name] = cls

    def add_command(self, cls: type[Command]) -> None:
        """Register a command class."""
        stored = stored_of(cls)
        known = self.commands.get(stored.name)
        if known is cls:
            return
        if known is not None:
            raise two_classes("command", stored.name, known, cls)
        _resolvable(cls)
        self.codec.register(cls)
        self.commands[stored.name] = cls

    def add_refusal(self, cls: type[Refusal]) -> None:
        """Register a refusal class."""
        stored = stored_of(cls)
        known = self.refusals.get((stored.name, stored.version))
        if known is cls:
            return
        if known is not None:
            raise two_classes("refusal", stored.name, known, cls)
        _resolvable(cls)
        self.codec.register(cls)
        self.refusals[stored.name, stored.version] = cls

    def _near(self, name: str) -> tuple[str, ...]:
        tail = name.rsplit(".", maxsplit=1)[-1].lower()
        near = [known for known in self._latest if tail in known.lower() or known.lower() in name.lower()]
        return tuple(sorted(near)[:_NEAR_MAX])


def _resolvable(cls: type) -> None:
    site = stored_of(cls).site
    try:
        check_fields(cls, site, later=False)
    except NameError as error:
        raise DefinitionError(
            site, cls.__name__, f"has a field of type {error.name!r}, which is not defined", "define it or mend it"
        ) from error
