"""All classes that a runtime is given, registered one by one; what can't work together is refused here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from procession.errors import DefinitionError, WiringError
from procession.primitives.aggregate import Aggregate
from procession.primitives.command import Command
from procession.primitives.decisions import compile_aggregate
from procession.primitives.definition import (
    Definition,
    Folding,
    commands_named,
    compile_definition,
    events_named,
)
from procession.primitives.event import OWN_EVENTS, Event
from procession.primitives.gateway import Gateway, command_methods, gateway_class
from procession.primitives.invariant import Invariant
from procession.primitives.lifts import AnyLift, Chains
from procession.primitives.process import ProcessManager
from procession.primitives.projection import compile_projections
from procession.primitives.projector import Projector
from procession.primitives.registry import Decider, Receiver, Registry
from procession.primitives.state import State
from procession.primitives.stored import stored_of, two_classes


def build_registry(
    processes: Sequence[type[ProcessManager]],
    gateways: Sequence[Gateway | type[Gateway]],
    events: Iterable[type[Event]] = (),
    lifts: Iterable[AnyLift] = (),
    invariants: Iterable[Invariant] = (),
    aggregates: Sequence[type[Aggregate]] = (),
    projectors: Iterable[type[Projector]] = (),
) -> Registry:
    """Register everything that a runtime is given, and refuse what can't work together.

    Raises:
        DefinitionError: a class or a lift can't work.
        WiringError: a command with no receiver or two, two classes with one stored name, a lift to what nobody takes,
            an invariant of another process.
    """
    registry = gather(processes, gateways, events, lifts, aggregates, projectors)
    registry.check_lifts()
    for definition in registry.processes.values():
        _check_receivers(registry, definition.cls)
    for rule in invariants:
        _add_invariant(registry, rule)
    return registry


def gather(
    processes: Sequence[type[ProcessManager]],
    gateways: Sequence[Gateway | type[Gateway]],
    events: Iterable[type[Event]] = (),
    lifts: Iterable[AnyLift] = (),
    aggregates: Sequence[type[Aggregate]] = (),
    projectors: Iterable[type[Projector]] = (),
) -> Registry:
    """The same for one part of what a runtime is given: its commands may have their receivers elsewhere."""
    brought = dict.fromkeys(one for gateway in gateways for one in gateway_class(gateway).__brings__)
    processes = [*processes, *(one for one in brought if issubclass(one, ProcessManager) and one not in processes)]
    aggregates = [*aggregates, *(one for one in brought if issubclass(one, Aggregate) and one not in aggregates)]
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
    registry.projections = compile_projections(projectors, registry.chains)
    projected = (event for projection in registry.projections.values() for event in projection.events)
    for event in (*events, *projected):
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
