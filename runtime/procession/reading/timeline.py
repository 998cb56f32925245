"""What happened to one flow, in order, with causes: read from a journal, for `show`."""

from __future__ import annotations

from typing import Any

import attrs

from procession.errors import NotFound
from procession.journal.journal import JournalReader
from procession.journal.rows import Delivered, EventRow, FlowRow, OpenCommand, StepRow, TimerRow
from procession.laws.secret_marks import Marks
from procession.primitives.codec import from_json
from procession.primitives.event import CommandDecided
from procession.primitives.stored import stored_of

_PAGE = 500


@attrs.frozen
class Entry:
    """One event that concerned the flow, and what the flow did with it."""

    event: EventRow
    step: StepRow | None
    """None: no turn handled it (yet)."""
    fate: str
    """`handled`, `skipped`, `act`; else why no turn handled it, or `pending`, `waiting`, `quarantined`."""
    cause: str
    """Where it came from, in words."""


@attrs.frozen
class Timeline:
    """One flow as a whole."""

    flow: FlowRow
    entries: tuple[Entry, ...]
    """In order of position."""
    commands: dict[str, OpenCommand]
    """By id in hex, in the order yielded."""
    timers: tuple[TimerRow, ...]
    """Those that are armed."""


async def read_timeline(reader: JournalReader, process: str, key: str) -> Timeline:
    """Everything about a flow, with what is secret masked.

    Raises:
        NotFound: the journal has never heard of it.
    """
    flow = (await reader.load(process, key, 0)).row
    unhandled = await _unhandled(reader, process, key)
    if flow is None:
        if not unhandled:
            raise NotFound("flow", f"{process}/{key}")
        # It never was a flow: events that found none were recorded, nothing else.
        first = unhandled[0][0].recorded_us
        flow = FlowRow(0, process, key, 0, "unstarted", None, None, 0, first)
    steps = await _steps(reader, flow.id)
    commands = {command.row.id.hex(): command for command in await _commands(reader, flow.id)}
    deliveries = await _deliveries(reader, flow.id)
    unhandled_events = [event for event, _ in unhandled] + [found.event for found in deliveries]
    names = _Names(steps, commands, unhandled_events)
    await names.find_decisions(reader, [event for _, event in steps])
    entries = [Entry(event, step, step.outcome, names.cause_of(event)) for step, event in steps]
    entries += [Entry(found.event, None, found.row.state, names.cause_of(found.event)) for found in deliveries]
    entries += [Entry(event, None, reason, names.cause_of(event)) for event, reason in unhandled]
    entries.sort(key=lambda entry: (entry.event.position, entry.step is None))
    timers = await reader.timers_of(flow.id)
    marks = Marks.of(await reader.types())
    if marks:
        entries = [_hidden(entry, marks) for entry in entries]
        commands = {identity: marks.command(command) for identity, command in commands.items()}
        timers = [marks.timer(timer) for timer in timers]
    return Timeline(flow, tuple(entries), commands, tuple(timers))


def _hidden(entry: Entry, marks: Marks) -> Entry:
    step = None if entry.step is None else marks.step(entry.step)
    return attrs.evolve(entry, event=marks.event(entry.event), step=step)


def effects_of(step: StepRow | None) -> list[dict[str, Any]]:
    """What a step asked for."""
    if step is None or step.effects is None:
        return []
    found: list[dict[str, Any]] = from_json(step.effects)
    return found


class _Names:
    """Causes in words: an id says nothing to people."""

    def __init__(
        self, steps: list[tuple[StepRow, EventRow]], commands: dict[str, OpenCommand], others: list[EventRow]
    ) -> None:
        self._named = {identity: f"answer to {command.row.type}" for identity, command in commands.items()}
        for event in (*(event for _, event in steps), *others):
            self._named.setdefault(event.id.hex(), f"{event.type} at {event.position}")
        for step, event in steps:
            for effect in effects_of(step):
                if "timer" in effect:
                    self._named[effect["id"]] = f"deadline set at {event.position}"
                elif "record" in effect:
                    self._named[f"fact {effect['id']}"] = f"recorded at {event.position}"

    async def find_decisions(self, reader: JournalReader, events: list[EventRow]) -> None:
        """What aggregates decided stands right behind the command that led to it, where that came from outside."""
        for event in events:
            if event.caused_by is None or event.caused_by.hex() in self._named:
                continue
            decided = await decision_before(reader, event)
            asking = [name for name, _ in _named_in(event)]
            if decided is not None:
                command = from_json(decided.payload)["command_type"]
                origin = f"{decided.source or ''} {decided.source_id or ''}".strip() or "no id"
                self._named[event.caused_by.hex()] = f"decided on {command}, outside: {origin}"
            elif len(asking) > 1:
                flow = next((f"{process}/{key}" for process, key in _named_in(event) if process != asking[0]), "")
                self._named[event.caused_by.hex()] = f"asked for by {flow}"

    def cause_of(self, event: EventRow) -> str:
        """Where an event came from."""
        if event.source_id is not None:
            return f"outside: {event.source} {event.source_id}"
        if recorded := self._named.get(f"fact {event.id.hex()}"):
            return recorded
        if event.caused_by is not None:
            return self._named.get(event.caused_by.hex(), f"caused by {event.caused_by.hex()}")
        if event.type.startswith("procession."):
            return "operator"
        return f"outside: {event.source or 'no id'}"


async def decision_before(reader: JournalReader, event: EventRow) -> EventRow | None:
    """The decision on a command from outside that led to an event; None where something else did."""
    found = await reader.events(max(0, event.position - _DECIDED_BEFORE), _DECIDED_BEFORE, (_DECIDED,), event.position)
    return next((row for row in found if row.id == event.caused_by), None)


def _named_in(event: EventRow) -> list[tuple[str, str]]:
    keys: dict[str, list[str]] = from_json(event.keys)
    return [(process, key) for process, found in keys.items() for key in found]


async def _steps(reader: JournalReader, flow: int) -> list[tuple[StepRow, EventRow]]:
    found: list[tuple[StepRow, EventRow]] = []
    while True:
        page = await reader.steps(flow, found[-1][0].version if found else 0, _PAGE)
        found += [(stepped.step, stepped.event) for stepped in page]
        if len(page) < _PAGE:
            return found


async def _commands(reader: JournalReader, flow: int) -> list[OpenCommand]:
    found: list[OpenCommand] = []
    while True:
        page = await reader.commands(flow, found[-1].row.seq if found else 0, _PAGE)
        found += page
        if len(page) < _PAGE:
            return found


async def _deliveries(reader: JournalReader, flow: int) -> list[Delivered]:
    found: list[Delivered] = []
    while True:
        after = found[-1].row.position if found else 0
        page = await reader.deliveries(flow, after, _PAGE, ("pending", "waiting", "quarantined"))
        found += page
        if len(page) < _PAGE:
            return found


async def _unhandled(reader: JournalReader, process: str, key: str) -> list[tuple[EventRow, str]]:
    found: list[tuple[EventRow, str]] = []
    after = 0
    while True:
        page = await reader.unhandled(process, key, after, _PAGE)
        for row in page:
            found += [(event, row.reason) for event in await reader.events(row.position - 1, 1)]
        if len(page) < _PAGE:
            return found
        after = page[-1].position


_DECIDED = stored_of(CommandDecided).name
_DECIDED_BEFORE = 1_001
"""Events of one decision, and the decision itself; as many as the default of the settings allows."""
