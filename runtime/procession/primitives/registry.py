"""Stored name and version <-> class, for one runtime; and what can't work together is refused here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from procession.errors import DefinitionError, UnknownType, WiringError
from procession.primitives.aggregate import Aggregate
from procession.primitives.codec import Codec
from procession.primitives.command import Command
from procession.primitives.decisions import AggregateDefinition, Decision, compile_aggregate
from procession.primitives.definition import (
    Definition,
    Folding,
    commands_named,
    compile_definition,
    events_named,
)
from procession.primitives.event import OWN_EVENTS, Event
from procession.primitives.fingerprint import fingerprint
from procession.primitives.gateway import CommandMethod, Gateway, command_methods, gateway_class
from procession.primitives.invariant import Invariant
from procession.primitives.lifts import AnyLift, Chains
from procession.primitives.process import ProcessManager
from procession.primitives.refusal import Refusal
from procession.primitives.state import State
from procession.primitives.stored import check_fields, stored_of

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


def build_registry(
    processes: Sequence[type[ProcessManager]],
    gateways: Sequence[Gateway | type[Gateway]],
    events: Iterable[type[Event]] = (),
    lifts: Iterable[AnyLift] = (),
    invariants: Iterable[Invariant] = (),
    aggregates: Sequence[type[Aggregate]] = (),
) -> Registry:
    """Register everything that a runtime is given, and refuse what can't work together.

    Raises:
        DefinitionError: a class or a lift can't work.
        WiringError: a command with no receiver or two, two classes with one stored name, a lift to what nobody takes,
            an invariant of another process.
    """
    registry = gather(processes, gateways, events, lifts, aggregates)
    registry.check_lifts()
    for process in processes:
        _check_receivers(registry, process)
    for rule in invariants:
        _add_invariant(registry, rule)
    return registry


def gather(
    processes: Sequence[type[ProcessManager]],
    gateways: Sequence[Gateway | type[Gateway]],
    events: Iterable[type[Event]] = (),
    lifts: Iterable[AnyLift] = (),
    aggregates: Sequence[type[Aggregate]] = (),
) -> Registry:
    """The same for one part of what a runtime is given: its commands may have their receivers elsewhere."""
    registry = Registry(chains=Chains(lifts))
    for own in OWN_EVENTS:
        registry.add_event(own)
    for gateway in gateways:
        _add_gateway(registry, gateway)
    for aggregate in aggregates:
        _add_aggregate(registry, aggregate)
    concerned: dict[type[Event], list[Definition]] = {}
    for process in processes:
        for event in _add_process(registry, process):
            concerned.setdefault(event, []).append(registry.processes[process.__process__.name])
    for event in events:
        registry.add_event(event)
    registry.add_lifts()
    registry.concerned = {event: tuple(definitions) for event, definitions in concerned.items()}
    return registry


def _add_invariant(registry: Registry, rule: Invariant) -> None:
    name = rule.process.__process__.name
    definition = registry.processes.get(name)
    if definition is None or not issubclass(definition.cls, rule.process):
        raise WiringError(
            f"{rule.site}: the invariant {rule.name} is of {rule.process.__name__}, which is not given",
            "give the runtime the process, or leave the invariant out",
        )
    known = registry.invariants.get(name, ())
    other = next((other for other in known if other.name == rule.name), None)
    if other is not None:
        raise WiringError(
            f"{rule.site}: {rule.process.__name__} has another invariant called {rule.name} ({other.site})",
            "give one of them a name of its own: an alert is known by it",
        )
    registry.invariants[name] = (*known, rule)


def _add_gateway(registry: Registry, gateway: Gateway | type[Gateway]) -> None:
    cls = gateway_class(gateway)
    name = cls.__gateway__.name
    if name in registry.gateways:
        raise two_classes("gateway", name, gateway_class(registry.gateways[name]), cls)
    registry.gateways[name] = gateway
    for method in command_methods(cls):
        registry.add_command(method.command)
        _refuse_second(registry, method.command, f"{method.site}: {cls.__name__}.{method.name}")
        registry.receivers[method.command] = Receiver(cls, name, method)
        for event in method.contract.events:
            registry.add_event(event)


def _add_aggregate(registry: Registry, aggregate: type[Aggregate]) -> None:
    definition = compile_aggregate(aggregate)
    name = definition.name
    if name in registry.aggregates:
        raise two_classes("aggregate", name, registry.aggregates[name].cls, aggregate)
    if name in registry.gateways:
        raise two_classes("gateway or aggregate", name, gateway_class(registry.gateways[name]), aggregate)
    refuse_older(definition, registry.chains)
    registry.aggregates[name] = definition
    for command, decision in definition.decisions.items():
        registry.add_command(command)
        _refuse_second(registry, command, f"{decision.handler.site}: {aggregate.__name__}.{decision.name}")
        registry.deciders[command] = Decider(definition, decision)
        for event in decision.verdicts.events:
            registry.add_event(event)
        for refusal in decision.verdicts.refusals:
            registry.add_refusal(refusal)
    for trigger in definition.reactions:
        assert isinstance(trigger, type), "an aggregate applies events only"
        registry.add_event(trigger)


def _refuse_second(registry: Registry, command: type[Command], second: str) -> None:
    """A command has one receiver.

    Raises:
        WiringError: it has one already.
    """
    first = ""
    if command in registry.receivers:
        other = registry.receivers[command]
        first = f"{other.gateway.__name__}.{other.method.name} ({other.method.site})"
    elif command in registry.deciders:
        known = registry.deciders[command]
        first = f"{known.definition.cls.__name__}.{known.decision.name} ({known.decision.handler.site})"
    if first:
        raise WiringError(
            f"{second} takes {command.__name__}, as {first} does", "a command has one receiver: remove one of them"
        )


def _add_process(registry: Registry, process: type[ProcessManager]) -> list[type[Event]]:
    """Register a process with all that it names; returns the types that concern it, by name."""
    definition = compile_definition(process)
    known = registry.processes.get(definition.name)
    if known is not None:
        raise two_classes("process", definition.name, known.cls, process)
    if definition.name in registry.aggregates:
        raise two_classes("process or aggregate", definition.name, registry.aggregates[definition.name].cls, process)
    refuse_older(definition, registry.chains)
    registry.processes[definition.name] = definition
    for trigger in definition.reactions:
        if isinstance(trigger, tuple):
            registry.add_command(trigger[1])
        else:
            registry.add_event(trigger)
    for named in sorted(events_named(process), key=lambda cls: stored_of(cls).name):
        registry.add_event(named)
    for command in commands_named(process):
        registry.add_command(command)
    return sorted(definition.concerned, key=lambda cls: stored_of(cls).name)


def refuse_older(definition: Folding, chains: Chains) -> None:
    """Handlers see the newest type only, so none may wait for an older one.

    Raises:
        DefinitionError: one does; says which.
    """
    for lift in chains:
        reaction = definition.reactions.get(lift.old)
        if reaction is None:
            continue
        handler, newest = reaction.on or reaction.start or reaction.fold, chains.newest(lift.old).__name__
        raise DefinitionError(
            site_of(definition.cls) if handler is None else handler.site,
            definition.cls.__name__ + ("" if handler is None else f".{handler.name}"),
            f"is concerned by {lift.old.__name__}, which {lift.name} ({lift.site}) lifts to {newest}",
            f"handle {newest}: handlers never see the older type",
        )


def site_of(cls: type[State]) -> str:
    """File and line of a process manager or an aggregate."""
    if issubclass(cls, ProcessManager):
        return cls.__process__.site
    assert issubclass(cls, Aggregate), "a state is a process manager's or an aggregate's"
    return cls.__aggregate__.site


def _check_receivers(registry: Registry, process: type[ProcessManager]) -> None:
    for command, handler in commands_named(process).items():
        if not registry.takes(command):
            raise WiringError(
                f"{handler.site}: {process.__name__}.{handler.name} sends {command.__name__}, which no gateway takes",
                "give the runtime the gateway whose method takes it, or the aggregate that decides it",
            )


def _resolvable(cls: type) -> None:
    site = stored_of(cls).site
    try:
        check_fields(cls, site, later=False)
    except NameError as error:
        raise DefinitionError(
            site, cls.__name__, f"has a field of type {error.name!r}, which is not defined", "define it or mend it"
        ) from error


def two_classes(kind: str, name: str, first: type, second: type) -> WiringError:
    return WiringError(
        f"two {kind} classes have the stored name {name!r}: {first.__module__}.{first.__qualname__}"
        f" and {second.__module__}.{second.__qualname__}",
        "give one of them a name, or a version, of its own",
    )
