"""The answer to "why does it not go on?": what a flow waits for. How it is found is in waits.py, loaded on demand."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator, Mapping

import attrs

from procession.journal.rows import DeliveryState, FlowStatus
from procession.reading.why import shown_time


@attrs.frozen
class Failure:
    """An attempt that failed."""

    attempt: int
    at: datetime.datetime
    found: str


@attrs.frozen
class AwaitedAnswer:
    """A command that is open: its answer has not come."""

    type: str
    id: str
    gateway: str
    answers: tuple[str, ...]
    """The events that its gateway may answer with, by stored name; empty where the classes are not at hand."""
    attempts: int
    """Those that failed."""
    failures: tuple[Failure, ...]
    """Of these the first and the last ones."""
    next_try_at: datetime.datetime
    """No attempt begins before."""
    gateway_state: str
    """What holds its gateway back, in words; empty where nothing is known to."""
    under_way: bool | None
    """Whether an attempt runs now; None where that is not known."""


@attrs.frozen
class AwaitedDeadline:
    """A timer that is armed."""

    name: str
    type: str
    due_at: datetime.datetime


@attrs.frozen
class WaitingEvent:
    """An event that came for the flow and is not handled."""

    type: str
    position: int
    state: DeliveryState


@attrs.frozen
class Ending:
    """How a flow ended."""

    outcome: str
    at: datetime.datetime
    event: str
    """The event that its last turn handled."""
    position: int
    handler: str
    version: int
    asked_by: str
    """Who cancelled it and why; empty where it ended by itself."""


@attrs.frozen
class Surroundings:
    """What is known beside the rows of the flow."""

    running: bool | None = None
    """Whether a runtime owns the journal now; None where that is not known."""
    process: str = ""
    """What holds its process back, in words."""
    gateways: Mapping[str, str] = attrs.field(factory=dict)
    """What holds a gateway back, in words, by name."""
    under_way: Collection[str] | None = None
    """Ids of the commands of which an attempt runs now; None where that is not known."""


@attrs.frozen
class WhyNot:
    """What a flow waits for."""

    flow: str
    status: FlowStatus
    asked_at: datetime.datetime
    running: bool | None
    """Whether a runtime owns the journal; None where that is not known."""
    process_state: str
    """What holds its process back; empty where nothing is known to."""
    quarantined: str
    """Why it is in quarantine; empty where it is not."""
    head: WaitingEvent | None
    """The first event that waits: in quarantine, the one that it failed at."""
    commands: tuple[AwaitedAnswer, ...]
    kept: tuple[str, ...]
    """Flows that a gateway keeps for it and that go on: the tasks of people, for instance."""
    deadlines: tuple[AwaitedDeadline, ...]
    """Those due first come first."""
    events: tuple[WaitingEvent, ...]
    """Events that have come and wait, the first of them."""
    events_waiting: int
    """How many there are."""
    ended: Ending | None
    handles: tuple[str, ...] | None
    """Outside events that it would still handle, by stored name; None where the classes are not at hand."""

    def __str__(self) -> str:
        return "\n".join([f"{self.flow} is {self.status}", *(f"    {line}" for line in _lines(self))])


def _lines(why: WhyNot) -> Iterator[str]:
    if why.ended is not None:
        yield from _of_ending(why.ended)
    elif why.running is False:
        yield "no runtime owns the journal now: nothing happens until one is started"
    if why.process_state:
        yield f"its process is {why.process_state}; resume it once it is mended"
    if why.quarantined:
        yield f"in quarantine: {why.quarantined}"
    if why.quarantined and why.head is not None:
        yield f"at {why.head.type}, position {why.head.position}; mend it, then retry, skip or release"
    for command in why.commands:
        yield from _of_command(command, why.asked_at)
    for flow in why.kept:
        yield f"waits for {flow}, which a gateway keeps for it"
    for deadline in why.deadlines:
        named = "" if deadline.name == deadline.type else f" ({deadline.name})"
        yield f"waits until {shown_time(deadline.due_at)} for {deadline.type}{named}"
    yield from _of_events(why)


def _of_events(why: WhyNot) -> Iterator[str]:
    for event in why.events:
        yield f"{event.type} at {event.position} has come and is {event.state}"
    if why.events_waiting > len(why.events):
        yield f"and {why.events_waiting - len(why.events)} more events"
    if why.ended is None:
        yield from _of_outside(why)


def _of_ending(ended: Ending) -> Iterator[str]:
    by = f", asked by {ended.asked_by}" if ended.asked_by else ""
    yield f"ended as {ended.outcome} at {shown_time(ended.at)}{by}"
    yield f"by {ended.handler}, step {ended.version}, on {ended.event} at {ended.position}"


def _of_command(command: AwaitedAnswer, now: datetime.datetime) -> Iterator[str]:
    answers = f" ({' or '.join(command.answers)})" if command.answers else ""
    yield f"waits for the answer of {command.gateway} to {command.type}{answers}, id {command.id}"
    if command.gateway_state:
        yield f"    {command.gateway} is {command.gateway_state}"
    when = f"may begin at {shown_time(command.next_try_at)}" if command.next_try_at > now else "may begin now"
    when = "is under way" if command.under_way else when
    failed = f"{command.attempts} attempt{'' if command.attempts == 1 else 's'} failed; " if command.attempts else ""
    yield f"    {failed}attempt {command.attempts + 1} {when}"
    for failure in command.failures:
        yield f"    attempt {failure.attempt} failed at {shown_time(failure.at)}: {failure.found}"


def _of_outside(why: WhyNot) -> Iterator[str]:
    if not (why.commands or why.kept or why.deadlines or why.events or why.quarantined):
        yield "no command is open, no deadline is armed, no event waits: only an event from outside moves it"
    if why.handles:
        yield f"from outside it would handle {', '.join(why.handles)}"
    elif why.handles is not None:
        yield "it handles no event from outside as it stands"
