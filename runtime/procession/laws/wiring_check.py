"""Everything that a check finds in a wiring: the laws, then the faults of definitions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import FunctionType, ModuleType

import attrs

from procession.errors import DefinitionError
from procession.laws import declarations, faults, purity
from procession.laws.finding import Finding
from procession.laws.inner_state import is_test, scan_test
from procession.laws.projector_scan import check_projection
from procession.laws.purity_scan import scan_aggregate, scan_process
from procession.laws.suppression import Suspect, finding_of, settle
from procession.primitives.command import Command
from procession.primitives.decisions import AggregateDefinition, compile_aggregate, refusals_of
from procession.primitives.definition import Definition, Folding, commands_named, compile_definition, events_named
from procession.primitives.event import GENERIC, Event
from procession.primitives.gateway import CommandMethod, Gateway, command_methods, gateway_class
from procession.primitives.lifts import Chains
from procession.primitives.projection import Projection, compile_projection
from procession.primitives.projector import events_of
from procession.primitives.registration import refuse_older, site_of
from procession.primitives.stored import stored_of
from procession.primitives.wiring import Wiring


@attrs.define
class Checked:
    """What was found, and all that was looked at: its allowances must allow something."""

    suspects: list[Suspect] = attrs.field(factory=list)
    things: list[object] = attrs.field(factory=list)

    def findings(self, *others: Iterable[Suspect]) -> list[Finding]:
        """All findings in order, with those of other checks."""
        return settle([*self.suspects, *(suspect for other in others for suspect in other)], self.things)


def check_wiring(wiring: Wiring, *others: Iterable[Suspect], whole: bool = True) -> list[Finding]:
    """Every finding in a wiring, in the order of files and lines; what is allowed comes with its reason.

    Args:
        wiring: processes, gateways, events and invariants that belong together.
        others: what other checks found in it.
        whole: it is all that will run together; else nothing is said of what is missing.
    """
    return look_at(wiring, whole=whole).findings(*others)


def look_at(wiring: Wiring, *, whole: bool = True) -> Checked:
    """As `check_wiring`, before allowances are settled."""
    checked = Checked()
    parts = list(_parts(wiring, checked))
    gateways = list(_gateways(wiring, checked))
    aggregates = list(_aggregates(wiring, checked))
    taken = [method for _, methods in gateways for method in methods]
    definitions = [part.definition for part in parts]
    lifted = (cls for lift in wiring.lifts for cls in (lift.old, lift.new))
    projected = (cls for projector in wiring.projectors for cls in events_of(projector))
    events = _events(definitions, taken, [*wiring.events_named, *lifted, *projected, *_decided(aggregates)])
    commands = _commands(definitions, taken)
    commands += [cls for aggregate in aggregates for cls in aggregate.decisions if cls not in commands]
    checked.things += [*events, *commands, *map(gateway_class, wiring.gateways)]
    for event in events:
        checked.suspects += declarations.check_event(event)
    for command in commands:
        checked.suspects += declarations.check_stored(command)
    for refusal in dict.fromkeys(refusal for aggregate in aggregates for refusal in refusals_of(aggregate)):
        checked.suspects += declarations.check_stored(refusal)
    checked.suspects += declarations.check_names(events)
    for part in parts:
        checked.suspects += declarations.check_handlers(part.definition)
        checked.suspects += purity.check_purity(part.scans)
        checked.suspects += [*faults.endless(part), *faults.unreachable(part), *faults.never_armed(part)]
    for rule in wiring.invariants:
        checked.things.append(rule.judge)
        checked.suspects += declarations.check_rule(rule)
    chains = _lifts(wiring, [*definitions, *aggregates], checked)
    checked.suspects += faults.doubled(gateways, aggregates)
    projections = list(_projections(wiring, chains, checked))
    for projection in projections:
        checked.suspects += check_projection(projection)
    checked.suspects += faults.shared_stores(projections)
    foldings: list[Folding] = [*definitions, *aggregates]
    checked.suspects += faults.same_name("process or aggregate", [(f.name, f.cls, site_of(f.cls)) for f in foldings])
    checked.suspects += faults.same_name(
        "gateway", [(cls.__gateway__.name, cls, cls.__gateway__.site) for cls in map(gateway_class, wiring.gateways)]
    )
    checked.suspects += faults.same_name("projector", [(p.name, p.cls, p.cls.__projector__.site) for p in projections])
    checked.suspects += faults.same_name("command", [(stored_of(c).name, c, stored_of(c).site) for c in commands])
    if whole:
        checked.suspects += faults.orphans(parts, taken, aggregates, wiring.events_named, chains, projections)
        checked.suspects += faults.without_receiver(parts, taken, aggregates)
    return checked


def _lifts(wiring: Wiring, definitions: Sequence[Folding], checked: Checked) -> Chains:
    checked.things += [lift.function for lift in wiring.lifts]
    for lift in wiring.lifts:
        checked.suspects += purity.check_lift(lift)
    try:
        chains = Chains(wiring.lifts)
        for definition in definitions:
            refuse_older(definition, chains)
    except DefinitionError as error:
        checked.suspects.append(Suspect(finding_of(error), certain=True))
        return Chains()
    return chains


def _projections(wiring: Wiring, chains: Chains, checked: Checked) -> Iterator[Projection]:
    for projector in wiring.projectors:
        checked.things += [projector, *(handler.method for handler in projector.__handlers__)]
        try:
            yield compile_projection(projector, chains)
        except DefinitionError as error:
            checked.suspects.append(Suspect(finding_of(error), (projector,), certain=True))


def check_tests(module: ModuleType) -> Checked:
    """Law 10: what the tests of a module look at."""
    checked = Checked()
    for name, thing in vars(module).items():
        if is_test(name, thing, module.__name__):
            checked.suspects += check_test(thing)
            checked.things.append(thing)
    return checked


def check_test(function: FunctionType) -> Iterator[Suspect]:
    """Law 10: what one test, and what it calls of the user's own, looks at."""
    return purity.suspects_of(scan_test(function))


def _parts(wiring: Wiring, checked: Checked) -> Iterator[faults.Part]:
    for process in wiring.processes:
        checked.things += [process, *(handler.method for handler in process.__handlers__)]
        try:
            definition = compile_definition(process)
        except DefinitionError as error:
            checked.suspects.append(Suspect(finding_of(error), (process,), certain=True))
            continue
        scans = tuple(scan_process(definition))
        entered = {function: None for scan in scans for function in scan.entered.values()}
        checked.things += [function for function in entered if function not in checked.things]
        yield faults.Part(definition, scans)


def _gateways(wiring: Wiring, checked: Checked) -> Iterator[tuple[type[Gateway], tuple[CommandMethod, ...]]]:
    for gateway in map(gateway_class, wiring.gateways):
        try:
            yield gateway, command_methods(gateway)
        except DefinitionError as error:
            checked.suspects.append(Suspect(finding_of(error), (gateway,), certain=True))


def _aggregates(wiring: Wiring, checked: Checked) -> Iterator[AggregateDefinition]:
    """The aggregates that can be compiled; their purity is checked on the way."""
    for aggregate in wiring.aggregates:
        checked.things += [aggregate, *(handler.method for handler in aggregate.__handlers__)]
        try:
            definition = compile_aggregate(aggregate)
        except DefinitionError as error:
            checked.suspects.append(Suspect(finding_of(error), (aggregate,), certain=True))
            continue
        scans = tuple(scan_aggregate(definition))
        checked.suspects += purity.check_purity(scans)
        entered = {function: None for scan in scans for function in scan.entered.values()}
        checked.things += [function for function in entered if function not in checked.things]
        yield definition


def _decided(aggregates: Iterable[AggregateDefinition]) -> Iterator[type[Event]]:
    for aggregate in aggregates:
        yield from (event for decision in aggregate.decisions.values() for event in decision.verdicts.events)
        yield from (trigger for trigger in aggregate.reactions if isinstance(trigger, type))


def _events(
    definitions: Sequence[Definition], taken: Iterable[CommandMethod], registered: Iterable[type[Event]]
) -> list[type[Event]]:
    found: dict[type[Event], None] = {}
    for definition in definitions:
        found |= dict.fromkeys(trigger for trigger in definition.reactions if isinstance(trigger, type))
        found |= dict.fromkeys(sorted(events_named(definition.cls), key=lambda cls: stored_of(cls).name))
    found |= dict.fromkeys(event for method in taken for event in method.contract.events)
    found |= dict.fromkeys(registered)
    return [event for event in found if event not in GENERIC]


def _commands(definitions: Iterable[Definition], taken: Iterable[CommandMethod]) -> list[type[Command]]:
    found: dict[type[Command], None] = {}
    for definition in definitions:
        found |= dict.fromkeys(commands_named(definition.cls))
    found |= dict.fromkeys(method.command for method in taken)
    return list(found)
