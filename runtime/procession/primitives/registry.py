"""Stored name and version <-> class, for one runtime; and what can't work together is refused here."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence

import attrs

from procession.errors import DefinitionError, UnknownType, WiringError
from procession.primitives.codec import Codec
from procession.primitives.command import Command
from procession.primitives.definition import Definition, commands_named, compile_definition, events_named
from procession.primitives.event import OWN_EVENTS, Event
from procession.primitives.fingerprint import fingerprint
from procession.primitives.gateway import CommandMethod, Gateway, command_methods
from procession.primitives.process import ProcessManager
from procession.primitives.stored import check_fields, stored_of

_NEAR_MAX = 3


@attrs.frozen
class Receiver:
    """Where a command goes."""

    gateway: Gateway
    name: str
    method: CommandMethod


@attrs.define(eq=False)
class Registry:
    """All classes of one runtime. Registries belong to a runtime, not to the process."""

    codec: Codec = attrs.field(factory=Codec)
    events: dict[tuple[str, int], type[Event]] = attrs.field(factory=dict)
    commands: dict[str, type[Command]] = attrs.field(factory=dict)
    processes: dict[str, Definition] = attrs.field(factory=dict)
    gateways: dict[str, Gateway] = attrs.field(factory=dict)
    receivers: dict[type[Command], Receiver] = attrs.field(factory=dict)
    concerned: dict[type[Event], tuple[Definition, ...]] = attrs.field(factory=dict)
    """Which processes an event type concerns, by key."""
    _latest: dict[str, type[Event]] = attrs.field(factory=dict)

    @functools.cached_property
    def fingerprints(self) -> Mapping[str, str]:
        """Of each process, by its stored name: a snapshot with another one is thrown away."""
        return {name: fingerprint(definition) for name, definition in self.processes.items()}

    def event_class(self, name: str, version: int | None = None) -> type[Event]:
        """The class of a stored name; without a version the newest.

        Raises:
            UnknownType: nothing of this name is registered; names what looks alike.
        """
        found = self._latest.get(name) if version is None else self.events.get((name, version))
        if found is None:
            raise UnknownType(name, self._near(name))
        return found

    def add_event(self, cls: type[Event]) -> None:
        """Register an event class, whole: its fields are checked, its codec hooks built."""
        stored = stored_of(cls)
        known = self.events.get((stored.name, stored.version))
        if known is cls:
            return
        if known is not None:
            raise _two_classes("event", stored.name, known, cls)
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
            raise _two_classes("command", stored.name, known, cls)
        _resolvable(cls)
        self.codec.register(cls)
        self.commands[stored.name] = cls

    def _near(self, name: str) -> tuple[str, ...]:
        tail = name.rsplit(".", maxsplit=1)[-1].lower()
        near = [known for known in self._latest if tail in known.lower() or known.lower() in name.lower()]
        return tuple(sorted(near)[:_NEAR_MAX])


def build_registry(
    processes: Sequence[type[ProcessManager]], gateways: Sequence[Gateway], events: Iterable[type[Event]] = ()
) -> Registry:
    """Register everything that a runtime is given, and refuse what can't work together.

    Raises:
        DefinitionError: a class can't work.
        WiringError: a command with no receiver or two, two classes with one stored name.
    """
    registry = Registry()
    for own in OWN_EVENTS:
        registry.add_event(own)
    for gateway in gateways:
        _add_gateway(registry, gateway)
    concerned: dict[type[Event], list[Definition]] = {}
    for process in processes:
        definition = compile_definition(process)
        known = registry.processes.get(definition.name)
        if known is not None:
            raise _two_classes("process", definition.name, known.cls, process)
        registry.processes[definition.name] = definition
        for trigger in definition.reactions:
            if isinstance(trigger, tuple):
                registry.add_command(trigger[1])
            else:
                registry.add_event(trigger)
        for event in sorted(definition.concerned, key=lambda cls: stored_of(cls).name):
            concerned.setdefault(event, []).append(definition)
        for named in sorted(events_named(process), key=lambda cls: stored_of(cls).name):
            registry.add_event(named)
        _check_receivers(registry, process)
    for event in events:
        registry.add_event(event)
    registry.concerned = {event: tuple(definitions) for event, definitions in concerned.items()}
    return registry


def _add_gateway(registry: Registry, gateway: Gateway) -> None:
    name = type(gateway).__gateway__.name
    if name in registry.gateways:
        raise _two_classes("gateway", name, type(registry.gateways[name]), type(gateway))
    registry.gateways[name] = gateway
    for method in command_methods(type(gateway)):
        registry.add_command(method.command)
        other = registry.receivers.get(method.command)
        if other is not None:
            raise WiringError(
                f"{method.site}: {type(gateway).__name__}.{method.name} takes {method.command.__name__},"
                f" as {type(other.gateway).__name__}.{other.method.name} ({other.method.site}) does",
                "a command has one receiver: remove one of them",
            )
        registry.receivers[method.command] = Receiver(gateway, name, method)
        for event in method.contract.events:
            registry.add_event(event)


def _check_receivers(registry: Registry, process: type[ProcessManager]) -> None:
    for command, handler in commands_named(process).items():
        registry.add_command(command)
        if command not in registry.receivers:
            raise WiringError(
                f"{handler.site}: {process.__name__}.{handler.name} sends {command.__name__}, which no gateway takes",
                "give the runtime the gateway whose method takes it",
            )


def _resolvable(cls: type) -> None:
    site = stored_of(cls).site
    try:
        check_fields(cls, site, later=False)
    except NameError as error:
        raise DefinitionError(
            site, cls.__name__, f"has a field of type {error.name!r}, which is not defined", "define it or mend it"
        ) from error


def _two_classes(kind: str, name: str, first: type, second: type) -> WiringError:
    return WiringError(
        f"two {kind} classes have the stored name {name!r}: {first.__module__}.{first.__qualname__}"
        f" and {second.__module__}.{second.__qualname__}",
        "give one of them a name, or a version, of its own",
    )
