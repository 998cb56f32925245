"""A process's diagram: its steps from the declarations, what leads from one to the next, and the flows at each."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import attrs

from procession.errors import NotFound
from procession.journal.found import StageCounts
from procession.journal.journal import JournalReader
from procession.journal.rows import FlowQuery
from procession.primitives.asked import asked_in_code
from procession.primitives.command import Command
from procession.primitives.definition import Definition
from procession.primitives.event import OWN_EVENTS, CommandGivenUp, CommandRefused, Event, FailureEvent
from procession.primitives.handlers import Handler, Trigger
from procession.primitives.outcomes import outcomes_of
from procession.primitives.registry import Registry
from procession.primitives.stored import stored_of
from procession.reading.process_diagram import Link, LinkKind, ProcessDiagram, Stage
from procession.reading.search_query import written_value

FLOWS_MAX = 5_000
"""Of each status; where each stands costs a look at its newest step."""
ENDED_MAX = 1_000
"""Ends are counted so far."""
_LOOKED_MAX = 20_000
_OUTCOMES_MAX = 20


async def read_diagram(reader: JournalReader, registry: Registry, process: str) -> ProcessDiagram:
    """A process, with the flows that stand at each of its steps, counted up to a bound.

    Raises:
        NotFound: there is no such process.
    """
    definition = registry.processes.get(process)
    if definition is None:
        raise NotFound("process", process)
    counts = await reader.stages(process, FLOWS_MAX)
    known = dict.fromkeys(outcome for outcomes in outcomes_of(definition.cls).values() for outcome in outcomes)
    named = (await reader.names(_OUTCOMES_MAX)).outcomes
    ends: dict[str, tuple[int, bool]] = {}
    for outcome in dict.fromkeys([*known, *named]):
        query = FlowQuery(process=process, outcome=outcome)
        found = await reader.count(query, ENDED_MAX, _LOOKED_MAX)
        if found.number or outcome in known:
            ends[outcome] = found.number, found.more
    shape = _Shape(registry, definition)
    return ProcessDiagram(
        process=process,
        about=_first_line(definition.cls),
        stages=(*_live_stages(shape, counts), *_ends(process, ends, known)),
        links=tuple(dict.fromkeys(shape.links())),
        counted=sum(count.number for count in counts.found),
        more=counts.more,
    )


def _live_stages(shape: _Shape, counts: StageCounts) -> Iterator[Stage]:
    waiting: dict[str, int] = {}
    quarantined: dict[str, int] = {}
    for count in counts.found:
        numbers = quarantined if count.status == "quarantined" else waiting
        numbers[count.stage or ""] = numbers.get(count.stage or "", 0) + count.number
    process = written_value(shape.definition.name)

    def stage(name: str, events: tuple[str, ...], about: str, *, known: bool) -> Stage:
        search = f"process:{process} stage:{written_value(name)}"
        here, aside = waiting.pop(name, 0), quarantined.pop(name, 0)
        return Stage(f"step:{name}", "step", name, events, about, here, aside, counts.more, search, known)

    unstarted = f"process:{process} status:unstarted"
    here, aside = waiting.pop("", 0), quarantined.pop("", 0)
    yield Stage("start", "start", "start", (), "", here, aside, counts.more, unstarted, known=True)
    if any(link.source == "outside" for link in shape.links()):
        yield Stage("outside", "outside", "any time", (), "", 0, 0, more=False, search="", known=True)
    for name, (handler, triggers) in shape.steps().items():
        events = tuple(dict.fromkeys(map(_name_of, triggers)))
        yield stage(name, events, _first_line(handler.method), known=True)
    for name in sorted({*waiting, *quarantined}):
        yield stage(name, (), "", known=False)


def _ends(process: str, ends: dict[str, tuple[int, bool]], known: dict[str, None]) -> Iterator[Stage]:
    for outcome, (number, more) in ends.items():
        search = f"process:{written_value(process)} outcome:{written_value(outcome)}"
        yield Stage(f"end:{outcome}", "end", outcome, (), "", number, 0, more, search, outcome in known)


@attrs.define(eq=False)
class _Shape:
    """Steps and links, as the declarations have them."""

    registry: Registry
    definition: Definition

    def steps(self) -> dict[str, tuple[Handler, list[Trigger]]]:
        """By the name that a step has: the handler, and what it is dispatched by."""
        found: dict[str, tuple[Handler, list[Trigger]]] = {}
        for trigger, reaction in self.definition.reactions.items():
            plain = reaction.fold if reaction.start is None and reaction.on is None else None
            for handler in (reaction.start, reaction.on, plain):
                if handler is not None:
                    found.setdefault(handler.name, (handler, []))[1].append(trigger)
        return found

    def links(self) -> Iterator[Link]:
        """What leads from one step to the next."""
        led: set[Trigger] = set()
        for link, trigger in self._by_asking():
            led.add(trigger)
            yield link
        for trigger, reaction in self.definition.reactions.items():
            event = trigger[0] if isinstance(trigger, tuple) else trigger
            kind: LinkKind = "runtime" if event in OWN_EVENTS else "outside"
            if reaction.start is not None or reaction.missing == "start":
                yield Link("start", self._target(trigger, "start"), kind, _name_of(trigger), "")
            if reaction.on is not None and reaction.missing != "start" and trigger not in led:
                yield Link("outside", f"step:{reaction.on.name}", kind, _name_of(trigger), "")
        for name, outcomes in outcomes_of(self.definition.cls).items():
            for outcome in outcomes:
                yield Link(f"step:{name}", f"end:{outcome}", "runtime", "", "")

    def _by_asking(self) -> Iterator[tuple[Link, Trigger]]:
        """What comes back to the flow of what its handlers ask for."""
        kinds: dict[str, LinkKind] = {"arms": "deadline", "records": "fact"}
        for asked in asked_in_code(self.definition.cls):
            source = f"step:{asked.handler}"
            if issubclass(asked.cls, Command):
                answers = self._answers(asked.cls)
            elif asked.verb in kinds:
                answers = iter(((asked.cls, kinds[asked.verb]),))
            else:
                continue
            for trigger, kind in answers:
                seen = trigger if isinstance(trigger, tuple) else self.registry.chains.newest(trigger)
                if seen in self.definition.reactions:
                    by = stored_of(asked.cls).name
                    yield Link(source, self._target(seen, "on"), kind, _name_of(seen), by), seen

    def _answers(self, command: type[Command]) -> Iterator[tuple[Trigger, LinkKind]]:
        receiver, decider = self.registry.receivers.get(command), self.registry.deciders.get(command)
        events: tuple[type[Event], ...] = ()
        if receiver is not None:
            events = tuple(receiver.method.contract.events)
        elif decider is not None:
            events = tuple(decider.decision.verdicts.events)
        for event in events:
            yield event, "failure" if issubclass(event, FailureEvent) else "answer"
        yield (CommandGivenUp, command), "failure"
        yield (CommandRefused, command), "failure"

    def _target(self, trigger: Trigger, role: str) -> str:
        reaction = self.definition.reactions[trigger]
        wanted = reaction.start if role == "start" else reaction.on
        return f"step:{wanted.name if wanted is not None else reaction.name}"


def _name_of(trigger: Trigger) -> str:
    if not isinstance(trigger, tuple):
        return stored_of(trigger).name
    return f"{stored_of(trigger[1]).name} {'given up' if trigger[0] is CommandGivenUp else 'refused'}"


def _first_line(documented: object) -> str:
    return (inspect.getdoc(documented) or "").partition("\n")[0]
