"""Faults of definitions: events that nobody handles, commands that nobody takes, flows that can't end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import attrs

from procession.laws.finding import Finding
from procession.laws.purity_scan import Scan
from procession.laws.suppression import Suspect, finding_of, place_of
from procession.laws.values import Instance, Known, Values
from procession.primitives.command import Command
from procession.primitives.decisions import AggregateDefinition
from procession.primitives.definition import Definition, commands_named
from procession.primitives.event import Event
from procession.primitives.gateway import CommandMethod, Gateway
from procession.primitives.handlers import trigger_name
from procession.primitives.lifts import Chains
from procession.primitives.projection import Projection, shared_store
from procession.primitives.stored import stored_of

_PACKAGE = __name__.partition(".")[0]


@attrs.frozen
class Part:
    """One process of a wiring, with what its scans found that it asks for."""

    definition: Definition
    scans: tuple[Scan, ...]

    def made(self, *effects: str) -> Iterator[tuple[str, Values]]:
        """What its handlers make of these effects."""
        return (asked for scan in self.scans for asked in scan.asked if asked[0] in effects)


def orphans(
    parts: Sequence[Part],
    taken: Iterable[CommandMethod],
    aggregates: Sequence[AggregateDefinition],
    registered: Iterable[type[Event]],
    chains: Chains,
    projections: Iterable[Projection] = (),
) -> Iterator[Suspect]:
    """Events that nobody handles or projects, lifted or not."""
    triggers = [trigger for part in parts for trigger in part.definition.reactions]
    triggers += [trigger for aggregate in aggregates for trigger in aggregate.reactions]
    handled = {trigger if isinstance(trigger, type) else trigger[0] for trigger in triggers}
    handled |= {event for projection in projections for event in projection.events}
    said: dict[type[Event], str] = {}
    for method in taken:
        for event in method.contract.events:
            said.setdefault(event, f"is answered by a gateway ({method.name})")
    for event, how in _decided(aggregates):
        said.setdefault(event, how)
    for part in parts:
        for event, how in _announced(part):
            said.setdefault(event, f"{how} by {part.definition.cls.__name__}")
    for event in registered:
        said.setdefault(event, "is registered")
    for event, how in said.items():
        if chains.newest(event) not in handled and event.__module__.partition(".")[0] != _PACKAGE:
            path, line = place_of(stored_of(event).site)
            cure = "handle it, name it in concerns=, or allow it with the reason why no flow has to know"
            yield Suspect(Finding(path, line, "DEF02", event.__name__, f"{how}, and nobody handles it", cure), (event,))


def _decided(aggregates: Iterable[AggregateDefinition]) -> Iterator[tuple[type[Event], str]]:
    for aggregate in aggregates:
        for decision in aggregate.decisions.values():
            for event in decision.verdicts.events:
                yield event, f"is decided by an aggregate ({aggregate.cls.__name__}.{decision.name})"


def _announced(part: Part) -> Iterator[tuple[type[Event], str]]:
    for effect, values in part.made("record", "after", "at"):
        how = "is recorded" if effect == "record" else "is armed as a deadline"
        for value in values:
            if isinstance(value, Instance) and issubclass(value.cls, Event):
                yield value.cls, how


def without_receiver(
    parts: Iterable[Part], taken: Iterable[CommandMethod], aggregates: Iterable[AggregateDefinition]
) -> Iterator[Suspect]:
    """Commands that no gateway takes and no aggregate decides."""
    known = {method.command for method in taken}
    known.update(command for aggregate in aggregates for command in aggregate.decisions)
    for part in parts:
        cls = part.definition.cls
        for command, handler in commands_named(cls).items():
            if command not in known:
                path, line = place_of(handler.site)
                found = f"sends {command.__name__}, which no gateway takes"
                cure = "give a gateway, or an aggregate, a method whose first parameter is annotated with it"
                subject = f"{cls.__name__}.{handler.name}"
                yield Suspect(Finding(path, line, "DEF03", subject, found, cure, allowable=False), certain=True)


def endless(part: Part) -> Iterator[Suspect]:
    """A flow that can't end stays for ever."""
    cls = part.definition.cls
    if any(handler.mark.kind == "end" for handler in cls.__handlers__) or any(part.made("end")):
        return
    path, line = place_of(cls.__process__.site)
    cure = "mark the reaction to its last event @ends, or yield end(...)"
    yield Suspect(Finding(path, line, "DEF04", cls.__name__, "can't end", cure), (cls,))


def unreachable(part: Part) -> Iterator[Suspect]:
    """A handler of the news that a command was given up, or refused, that this process can't have sent."""
    cls = part.definition.cls
    sent = commands_named(cls)
    for handler in cls.__handlers__:
        for trigger in handler.resolve(cls, cls.__process__.key).triggers:
            if isinstance(trigger, tuple) and trigger[1] not in sent:
                path, line = place_of(handler.site)
                found = f"handles {trigger_name(trigger)}, which this process never sends"
                subject = f"{cls.__name__}.{handler.name}"
                yield Suspect(
                    Finding(path, line, "DEF05", subject, found, "send the command, or remove the handler"),
                    (handler.method, cls),
                )


def never_armed(part: Part) -> Iterator[Suspect]:
    """A timer that is cancelled and never armed; nothing is said where one that is armed can't be told."""
    cls = part.definition.cls
    armed: set[type] = set()
    for _, values in part.made("after", "at"):
        events = {value.cls for value in values if isinstance(value, Instance)}
        if not events:
            return
        armed |= events
    for scan in part.scans:
        for effect, values in scan.asked:
            for value in values if effect == "cancel" else ():
                event = value.value if isinstance(value, Known) else None
                if isinstance(event, type) and issubclass(event, Event) and event not in armed:
                    path, line = place_of(cls.__process__.site)
                    found = f"cancels the timer of {event.__name__}, which it never arms"
                    cure = "arm it by yield after(...), or remove the cancel"
                    yield Suspect(Finding(path, line, "DEF06", scan.subject, found, cure), (cls,))


def doubled(
    gateways: Iterable[tuple[type[Gateway], Iterable[CommandMethod]]], aggregates: Iterable[AggregateDefinition]
) -> Iterator[Suspect]:
    """A command that two gateways or aggregates take."""
    takers = [
        (method.command, f"{gateway.__name__}.{method.name}", method.site)
        for gateway, methods in gateways
        for method in methods
    ]
    takers += [
        (command, f"{aggregate.cls.__name__}.{decision.name}", decision.handler.site)
        for aggregate in aggregates
        for command, decision in aggregate.decisions.items()
    ]
    known: dict[type[Command], str] = {}
    for command, name, site in takers:
        first = known.setdefault(command, name)
        if first != name:
            path, line = place_of(site)
            found = f"takes {command.__name__}, as {first} does"
            cure = "a command has one receiver: remove one of them"
            yield Suspect(Finding(path, line, "DEF08", name, found, cure, allowable=False), certain=True)


def shared_stores(projections: Iterable[Projection]) -> Iterator[Suspect]:
    """Law 9: two projectors with one store."""
    known: dict[str, Projection] = {}
    for projection in projections:
        first = known.setdefault(projection.store.casefold(), projection)
        if first is not projection:
            yield Suspect(finding_of(shared_store(first.cls, projection.cls)), certain=True)


def same_name(kind: str, named: Iterable[tuple[str, type, str]]) -> Iterator[Suspect]:
    """Two classes of one kind with one stored name.

    Args:
        kind: process, gateway, projector or command.
        named: stored name, class and site of each.
    """
    known: dict[str, type] = {}
    for name, cls, site in named:
        first = known.setdefault(name, cls)
        if first is not cls:
            path, line = place_of(site)
            found = f"has the stored name {name!r}, as the {kind} {first.__qualname__} does"
            cure = "give one of them a name of its own"
            yield Suspect(Finding(path, line, "DEF09", cls.__name__, found, cure, allowable=False), certain=True)
