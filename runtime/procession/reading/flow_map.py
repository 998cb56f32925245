"""The map of flows: processes, gateways, aggregates, and what goes between them, by their types. Runs nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal

import attrs

from procession.errors import NotFound
from procession.primitives.asked import asked_in_code
from procession.primitives.command import Command
from procession.primitives.definition import Definition, Reaction, commands_named
from procession.primitives.event import OWN_EVENTS, CommandGivenUp, Event
from procession.primitives.gateway import gateway_class
from procession.primitives.registry import Registry
from procession.primitives.stored import stored_of

NodeKind = Literal["process", "event", "command", "gateway", "aggregate"]
Does = Literal[
    "starts",
    "handles",
    "ends",
    "folds",
    "concerns",
    "sends",
    "takes",
    "answers",
    "gives_up",
    "decides",
    "refuses",
    "applies",
    "arms",
    "cancels",
    "records",
]
Origin = Literal["outside", "answer", "deadline", "fact", "runtime"]
_ORIGINS: dict[str, Origin] = {"answers": "answer", "decides": "answer", "arms": "deadline", "records": "fact"}


@attrs.frozen(order=True)
class Node:
    """One thing of the map, by its stored name."""

    kind: NodeKind
    name: str
    version: int
    """Of an event or command; 0 for what has none."""


@attrs.frozen
class About:
    """What is known of a node beside its name."""

    cls: str
    """The class, with its module."""
    site: str
    """File and line of the class."""
    failure: bool = False
    """It is a failure event."""
    origins: tuple[Origin, ...] = ()
    """Where an event comes from, as far as types tell: `outside` where nothing on the map makes it."""


@attrs.frozen(order=True)
class Edge:
    """What one thing does to another."""

    source: Node
    target: Node
    does: Does
    by: str
    """The handler, or the gateway's method; empty where there is none."""
    derived: bool
    """Found in the code of a handler; else declared by an annotation or a class statement."""


@attrs.frozen
class FlowMap:
    """All of it, in a stable order."""

    nodes: dict[Node, About]
    edges: tuple[Edge, ...]

    def events(self, origin: Origin) -> tuple[Node, ...]:
        """Events that come from there."""
        return tuple(node for node, about in self.nodes.items() if origin in about.origins)


def flow_map(registry: Registry, processes: Collection[str] = ()) -> FlowMap:
    """The map of these processes, or of all, with the gateways that take their commands.

    Raises:
        NotFound: there is no such process.
    """
    for name in processes:
        if name not in registry.processes:
            raise NotFound("process", name)
    of_process = {name: set(_edges(registry, definition)) for name, definition in registry.processes.items()}
    commands = (*registry.receivers, *registry.deciders)
    of_gateways = {edge for command in commands for edge in _of_receiver(registry, command)}
    made: dict[Node, set[Origin]] = {}
    for edge in set().union(of_gateways, *of_process.values()):  # another process may make what these handle
        if edge.does in _ORIGINS:
            made.setdefault(edge.target, set()).add(_ORIGINS[edge.does])
    chosen = [name for name in of_process if name in processes or not processes]
    edges = set().union(*(of_process[name] for name in chosen), of_gateways if not processes else ())
    nodes = {node for edge in edges for node in (edge.source, edge.target)}
    nodes |= {Node("process", name, 0) for name in chosen}
    abouts = {node: _about(registry, node, made.get(node, set())) for node in sorted(nodes)}
    return FlowMap(abouts, tuple(sorted(edges)))


def node_of(cls: type[Event | Command]) -> Node:
    """The node of an event or command class."""
    stored = stored_of(cls)
    return Node("command" if stored.kind == "command" else "event", stored.name, stored.version)


def _edges(registry: Registry, definition: Definition) -> Iterator[Edge]:
    process = Node("process", definition.name, 0)
    for trigger, reaction in definition.reactions.items():
        if isinstance(trigger, tuple):
            does: Does = "gives_up" if trigger[0] is CommandGivenUp else "refuses"
            receiver = _receiver(registry, trigger[1])
            if receiver is not None:
                by = reaction.on.name if reaction.on is not None else reaction.name
                yield Edge(receiver, process, does, by, derived=False)
                yield from _of_receiver(registry, trigger[1])
        else:
            yield from _of_event(node_of(trigger), process, reaction)
    asked_for = asked_in_code(definition.cls)
    sending = {asked.cls for asked in asked_for if asked.verb == "sends"}
    for command, handler in commands_named(definition.cls).items():
        if command not in sending:
            yield Edge(process, node_of(command), "sends", handler.name, derived=True)
        yield from _of_receiver(registry, command)
    for asked in asked_for:
        if asked.verb == "sends" or asked.cls in definition.reactions or asked.verb == "records":
            yield Edge(process, node_of(asked.cls), asked.verb, asked.handler, derived=True)


def _of_event(event: Node, process: Node, reaction: Reaction) -> Iterator[Edge]:
    if reaction.start is not None:
        yield Edge(event, process, "starts", reaction.start.name, derived=False)
    if reaction.on is not None:
        does: Does = "ends" if reaction.on.mark.kind == "end" else "handles"
        yield Edge(event, process, does, reaction.on.name, derived=False)
    if reaction.fold is not None:
        yield Edge(event, process, "folds", reaction.fold.name, derived=False)
    if reaction.start is None and reaction.on is None and reaction.fold is None:
        yield Edge(event, process, "concerns", "", derived=False)


def _receiver(registry: Registry, command: type[Command]) -> Node | None:
    if command in registry.receivers:
        return Node("gateway", registry.receivers[command].name, 0)
    return Node("aggregate", registry.deciders[command].name, 0) if command in registry.deciders else None


def _of_receiver(registry: Registry, command: type[Command]) -> Iterator[Edge]:
    decider = registry.deciders.get(command)
    if decider is not None:
        aggregate = Node("aggregate", decider.name, 0)
        yield Edge(node_of(command), aggregate, "takes", decider.decision.name, derived=False)
        for event in decider.decision.verdicts.events:
            yield Edge(aggregate, node_of(event), "decides", decider.decision.name, derived=False)
            reaction = decider.definition.reactions.get(event)
            if reaction is not None:
                yield Edge(node_of(event), aggregate, "applies", reaction.name, derived=False)
    receiver = registry.receivers.get(command)
    if receiver is None:
        return
    gateway = Node("gateway", receiver.name, 0)
    yield Edge(node_of(command), gateway, "takes", receiver.method.name, derived=False)
    for event in receiver.method.contract.events:
        yield Edge(gateway, node_of(event), "answers", receiver.method.name, derived=False)


def _about(registry: Registry, node: Node, made: set[Origin]) -> About:
    if node.kind == "process":
        cls: type = registry.processes[node.name].cls
        return About(_named(cls), registry.processes[node.name].cls.__process__.site)
    if node.kind == "aggregate":
        aggregate = registry.aggregates[node.name].cls
        return About(_named(aggregate), aggregate.__aggregate__.site)
    if node.kind == "gateway":
        gateway = gateway_class(registry.gateways[node.name])
        return About(_named(gateway), gateway.__gateway__.site)
    if node.kind == "command":
        cls = registry.commands[node.name]
        return About(_named(cls), stored_of(cls).site)
    event = registry.events[node.name, node.version]
    stored = stored_of(event)
    origins: tuple[Origin, ...] = ("runtime",) if event in OWN_EVENTS else tuple(sorted(made)) or ("outside",)
    return About(_named(event), stored.site, stored.kind == "failure", origins)


def _named(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
