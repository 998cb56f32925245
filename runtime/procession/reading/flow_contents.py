"""Everything that a journal holds of one flow, whole or up to one of its steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from procession.errors import NotFound
from procession.journal.journal import JournalReader
from procession.journal.rows import (
    CommandRow,
    CommandState,
    Contents,
    DeliveryRow,
    DeliveryState,
    EventRow,
    FlowRow,
    StepRow,
    TimerRow,
    UnhandledRow,
)
from procession.primitives.codec import to_json
from procession.primitives.event import CommandGivenUp, CommandRefused
from procession.primitives.stored import stored_of
from procession.reading.timeline import effects_of

_PAGE = 500
_READINGS_MAX = 20
_HELD: tuple[DeliveryState, ...] = ("pending", "waiting", "quarantined")
_TOLD: dict[str, CommandState] = {stored_of(CommandGivenUp).name: "given_up", stored_of(CommandRefused).name: "refused"}


async def read_contents(reader: JournalReader, process: str, key: str) -> Contents:
    """All rows of one flow, and the journal's types: what can be imported elsewhere.

    It is read until two readings are the same: a flow that goes on beside it would be of several moments. One that
    never rests is cut right before the last step that was read.

    Raises:
        NotFound: the journal has no such flow.
    """
    found = await _read_once(reader, process, key)
    for _ in range(_READINGS_MAX):
        before, found = found, await _read_once(reader, process, key)
        if found == before:
            return found
    return forked(found, len(found.steps) - 1) if len(found.steps) > 1 else found


async def _read_once(reader: JournalReader, process: str, key: str) -> Contents:
    flow = (await reader.load(process, key, 0)).row
    if flow is None:
        raise NotFound("flow", f"{process}/{key}")
    events: dict[int, EventRow] = {}
    steps: list[StepRow] = []
    while page := await reader.steps(flow.id, steps[-1].version if steps else 0, _PAGE):
        steps += [found.step for found in page]
        events.update({found.event.position: found.event for found in page})
    commands: list[CommandRow] = []
    while asked := await reader.commands(flow.id, commands[-1].seq if commands else 0, _PAGE):
        commands += [found.row for found in asked]
    held: list[DeliveryRow] = []
    while waiting := await reader.deliveries(flow.id, held[-1].position if held else 0, _PAGE, _HELD):
        held += [found.row for found in waiting]
        events.update({found.event.position: found.event for found in waiting})
    unhandled: list[UnhandledRow] = []
    while left := await reader.unhandled(process, key, unhandled[-1].position if unhandled else 0, _PAGE):
        unhandled += left
        for row in left:
            events.update({event.position: event for event in await reader.events(row.position - 1, 1)})
    return Contents(
        events=tuple(events[position] for position in sorted(events)),
        steps=tuple(steps),
        flows=(flow._replace(version=len(steps)),),
        commands=tuple(commands),
        timers=tuple(await reader.timers_of(flow.id)),
        deliveries=tuple(held),
        unhandled=tuple(unhandled),
        types=tuple(await reader.types()),
        concerns=tuple(await reader.concerns()),
    )


def forked(contents: Contents, at: int) -> Contents:
    """The flow as it was after its step `at`: what came later is not there.

    Commands whose answer is not there are open, as if no attempt had been made; deadlines that had not fired are armed.

    Raises:
        NotFound: it has no such step.
    """
    (flow,) = contents.flows
    if not 1 <= at <= len(contents.steps):
        raise NotFound("step", f"{at} of {flow.process}/{flow.key}", f"it has {len(contents.steps)}")
    if at == len(contents.steps):
        return attrs.evolve(contents, deliveries=(), unhandled=(), events=_handled(contents, contents.steps))
    steps = contents.steps[:at]
    events = _handled(contents, steps)
    recorded = {event.position: event for event in events}
    answers = {event.caused_by: _TOLD.get(event.type, "answered") for event in events if event.caused_by is not None}
    positions = {step.position for step in steps}
    last_us = max(recorded[step.position].recorded_us for step in steps)
    row = FlowRow(flow.id, flow.process, flow.key, at, "active", None, None, flow.started_us, last_us)
    return attrs.evolve(
        contents,
        events=events,
        steps=steps,
        flows=(row,),
        commands=tuple(
            _command_then(command, answers) for command in contents.commands if command.position in positions
        ),
        timers=tuple(_armed(flow.id, steps, recorded)),
        deliveries=(),
        unhandled=(),
    )


def _handled(contents: Contents, steps: Sequence[StepRow]) -> tuple[EventRow, ...]:
    positions = {step.position for step in steps}
    return tuple(event for event in contents.events if event.position in positions)


def _command_then(command: CommandRow, answers: dict[bytes, CommandState]) -> CommandRow:
    state = answers.get(command.id)
    return command if state is not None else command._replace(state="open", attempts=0, due_us=0, log=None)


def _armed(flow: int, steps: Sequence[StepRow], recorded: dict[int, EventRow]) -> Iterator[TimerRow]:
    """The deadlines that these steps left armed, in order of (due_us, name)."""
    fired = {event.caused_by for event in recorded.values()}
    armed: dict[str, TimerRow] = {}
    for step in steps:
        event = recorded[step.position]
        for effect in effects_of(step):
            if "timer" in effect:
                armed[effect["timer"]] = _timer(flow, effect, event.correlation or event.id)
            elif "cancel" in effect:
                armed.pop(effect["cancel"], None)
    yield from sorted((row for row in armed.values() if row.id not in fired), key=lambda row: (row.due_us, row.name))


def _timer(flow: int, effect: dict[str, Any], correlation: bytes) -> TimerRow:
    timed = (bytes.fromhex(effect["id"]), effect["due_us"], effect["event"], effect["version"])
    return TimerRow(flow, effect["timer"], *timed, to_json(effect["data"]).decode(), correlation)
