"""The sequence diagram of one flow, made from its timeline."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import attrs

from procession.engine.envelopes import time_of
from procession.journal.journal import JournalReader
from procession.journal.rows import EventRow, OpenCommand
from procession.primitives.codec import from_json
from procession.primitives.event import CancelRequested, CommandGivenUp, CommandRefused
from procession.primitives.stored import stored_of
from procession.reading.sequence import Lane, LaneKind, Message, MessageKind, Sequence
from procession.reading.timeline import Entry, Timeline, effects_of, read_timeline

_OUTSIDE, _FLOW = 0, 1
_GIVEN_UP, _REFUSED, _CANCEL = (
    stored_of(CommandGivenUp).name,
    stored_of(CommandRefused).name,
    stored_of(CancelRequested).name,
)
_FAILURES_SHOWN_MAX = 20
"""Of one command; those in the middle are left out, and counted."""
_NOTE_CHARS_MAX = 160


async def read_sequence(
    reader: JournalReader, process: str, key: str, after_position: int = 0, events_max: int = 200
) -> Sequence:
    """What went between a flow and all others, a page of its events.

    Raises:
        NotFound: the journal has never heard of the flow.
    """
    types = await reader.types()
    failures = {(row.name, row.version) for row in types if row.kind == "failure"}
    aggregates = {row.name for row in types if row.kind == "aggregate"}
    return sequence_of(
        await read_timeline(reader, process, key),
        failures,
        aggregates,
        after_position=after_position,
        events_max=events_max,
    )


def sequence_of(
    timeline: Timeline,
    failures: Collection[tuple[str, int]],
    aggregates: Collection[str],
    *,
    after_position: int = 0,
    events_max: int = 200,
) -> Sequence:
    """The diagram of a timeline.

    Args:
        failures: name and version of the event types that say that something failed.
        aggregates: the receivers of commands that are no gateways.
    """
    drawing = _Drawing(timeline, failures, aggregates)
    entries = [entry for entry in timeline.entries if entry.event.position > after_position]
    shown, more = entries[:events_max], len(entries) > events_max
    before = {entry.event.position for entry in timeline.entries} - {entry.event.position for entry in entries}
    drawing.asked_before(before)
    for entry in shown:
        drawing.entry(entry)
    if not more:
        drawing.rest()
    flow = timeline.flow
    name, status = f"{flow.process}/{flow.key}", flow.status
    next_page = shown[-1].event.position if more else None
    return Sequence(name, status, tuple(drawing.lanes), tuple(drawing.messages), next_page)


@attrs.define(eq=False)
class _Drawing:
    """Lanes and messages as they come."""

    timeline: Timeline
    failures: Collection[tuple[str, int]]
    aggregates: Collection[str]
    lanes: list[Lane] = attrs.field(factory=list)
    messages: list[Message] = attrs.field(factory=list)
    _places: dict[Lane, int] = attrs.field(factory=dict)
    _timers: dict[str, str] = attrs.field(factory=dict)
    """Id in hex of each timer that was set, with its name."""
    _armed: dict[str, str] = attrs.field(factory=dict)
    """By name, the id of the timer that is armed."""
    _facts: set[str] = attrs.field(factory=set)
    _waiting: list[tuple[int, OpenCommand, dict[str, Any]]] = attrs.field(factory=list)
    """Failed attempts that are not drawn yet: (time, command, failure), by time."""

    def __attrs_post_init__(self) -> None:
        flow = self.timeline.flow
        self._lane("outside", "outside")
        self._lane("flow", f"{flow.process}/{flow.key}")

    def asked_before(self, positions: Collection[int]) -> None:
        """Know what turns of earlier pages asked for; nothing of it is drawn."""
        for entry in self.timeline.entries:
            if entry.event.position in positions:
                for effect in effects_of(entry.step):
                    self._note_effect(effect)

    def entry(self, entry: Entry) -> None:
        """An event, what the flow did with it, and what its turn asked for."""
        event = entry.event
        self._failures_until(event)
        source, kind = self._origin(entry)
        label, note = _told(event, kind)
        if entry.fate not in ("handled", "act"):
            note = ", ".join(part for part in (entry.fate.replace("_", " "), note) if part)
        self._add(kind, source, _FLOW, label, note, entry)
        compensates = (event.type, event.version) in self.failures or event.type in (_GIVEN_UP, _REFUSED, _CANCEL)
        for effect in effects_of(entry.step):
            self._effect(effect, entry, compensates=compensates)
        flow = self.timeline.flow
        if flow.outcome is not None and entry.step is not None and entry.step.version == flow.version:
            self._add("ended", _FLOW, _FLOW, flow.outcome, "", entry)

    def rest(self) -> None:
        """Failed attempts after the last event."""
        for _, command, failure in self._waiting:
            self._failure(command, failure)
        self._waiting.clear()

    def _origin(self, entry: Entry) -> tuple[int, MessageKind]:
        """The lane that an event comes from, and what it is."""
        event = entry.event
        caused_by = "" if event.caused_by is None else event.caused_by.hex()
        command = self.timeline.commands.get(caused_by)
        if command is not None:
            kinds: dict[str, MessageKind] = {_GIVEN_UP: "given_up", _REFUSED: "refused"}
            return self._receiver(command.row.gateway), kinds.get(event.type, "answer")
        if caused_by in self._timers:
            self._armed.pop(self._timers[caused_by], None)
            return self._lane("timers", "timers"), "fired"
        if event.id.hex() in self._facts:
            return _FLOW, "recorded"
        if event.type.startswith("procession."):
            return _OUTSIDE, "act"
        return (_OUTSIDE if not caused_by else self._other(event)), "event"

    def _other(self, event: EventRow) -> int:
        """The lane of another flow, or aggregate, that led to an event: it stands first among those that it names."""
        named: dict[str, list[str]] = from_json(event.keys)
        flow = self.timeline.flow
        for process, keys in named.items():
            if process in self.aggregates:
                return self._lane("aggregate", process)
            for key in keys:
                if (process, key) != (flow.process, flow.key):
                    return self._lane("other", f"{process}/{key}")
        return _OUTSIDE

    def _effect(self, effect: dict[str, Any], entry: Entry, *, compensates: bool) -> None:
        self._note_effect(effect)
        if "command" in effect:
            self._command(effect, entry, compensates=compensates)
        elif "timer" in effect:
            armed = any(row.id.hex() == effect["id"] for row in self.timeline.timers)
            due = f"due {time_of(effect['due_us']).isoformat(timespec='milliseconds').replace('+00:00', 'Z')}"
            self._add("set", _FLOW, self._lane("timers", "timers"), effect["timer"], due, entry, is_open=armed)
        elif "cancel" in effect:
            self._add("cancelled", _FLOW, self._lane("timers", "timers"), effect["cancel"], "", entry)

    def _note_effect(self, effect: dict[str, Any]) -> None:
        if "timer" in effect:
            self._timers[effect["id"]] = effect["timer"]
        elif "record" in effect:
            self._facts.add(effect["id"])

    def _command(self, effect: dict[str, Any], entry: Entry, *, compensates: bool) -> None:
        command = self.timeline.commands.get(effect["id"])
        if command is None:
            return
        row = command.row
        tries = "" if row.attempts <= 1 else f"{row.attempts} attempts"
        state = "" if row.state in ("open", "answered") else row.state.replace("_", " ")
        note = ", ".join(part for part in (state, tries) if part)
        target = self._receiver(row.gateway)
        self._add("command", _FLOW, target, row.type, note, entry, is_open=row.state == "open", compensates=compensates)
        found: list[dict[str, Any]] = [
            failure for failure in (from_json(row.log) if row.log else []) if "at_us" in failure
        ]
        if len(found) > _FAILURES_SHOWN_MAX:
            half = _FAILURES_SHOWN_MAX // 2
            found = [*found[:half], *found[-half:]]
        self._waiting += [(failure["at_us"], command, failure) for failure in found]
        self._waiting.sort(key=lambda waiting: waiting[0])

    def _failures_until(self, event: EventRow) -> None:
        """Draw the failed attempts that came before an event: by the clock, and all of a command before its answer."""
        still: list[tuple[int, OpenCommand, dict[str, Any]]] = []
        for waiting in self._waiting:
            at_us, command, failure = waiting
            if at_us <= event.recorded_us or command.row.id == event.caused_by:
                self._failure(command, failure)
            else:
                still.append(waiting)
        self._waiting = still

    def _failure(self, command: OpenCommand, failure: dict[str, Any]) -> None:
        lane, row = self._receiver(command.row.gateway), command.row
        note = f"attempt {failure.get('n', '?')}: {failure.get('found', '')}"
        at = time_of(failure["at_us"])
        self.messages.append(
            Message("failed", lane, lane, row.type, _short(note), at, row.position, 0, compensates=False, open=False)
        )

    def _receiver(self, name: str) -> int:
        return self._lane("aggregate" if name in self.aggregates else "gateway", name)

    def _lane(self, kind: LaneKind, name: str) -> int:
        lane = Lane(kind, name)
        if lane not in self._places:
            self._places[lane] = len(self.lanes)
            self.lanes.append(lane)
        return self._places[lane]

    def _add(
        self,
        kind: MessageKind,
        source: int,
        target: int,
        label: str,
        note: str,
        entry: Entry,
        *,
        is_open: bool = False,
        compensates: bool = False,
    ) -> None:
        version = 0 if entry.step is None else entry.step.version
        event = entry.event
        at = time_of(event.recorded_us)
        self.messages.append(
            Message(kind, source, target, label, _short(note), at, event.position, version, compensates, is_open)
        )


def _told(event: EventRow, kind: MessageKind) -> tuple[str, str]:
    """What an event of the runtime's own is called, and what it says; of others, the type."""
    if not event.type.startswith("procession."):
        return event.type, ""
    data: dict[str, Any] = from_json(event.payload)
    if kind in ("given_up", "refused"):
        return str(data.get("command_type", event.type)), str(data.get("found", ""))
    by = f"{data['by']}: " if data.get("by") else ""
    return event.type, by + str(data.get("why") or data.get("reason") or data.get("says") or "")


def _short(note: str) -> str:
    return note if len(note) <= _NOTE_CHARS_MAX else f"{note[:_NOTE_CHARS_MAX]}…"
