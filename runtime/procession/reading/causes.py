"""Why a flow asked for something or got something: the chain of causes, down to the first event."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from procession.engine.envelopes import time_of
from procession.errors import NotFound
from procession.journal.journal import JournalReader
from procession.journal.rows import EventRow
from procession.laws.secret_marks import Marks
from procession.primitives.codec import from_json
from procession.primitives.registry import Registry
from procession.primitives.stored import stored_of
from procession.reading.timeline import Entry, Timeline, decision_before, effects_of, read_timeline
from procession.reading.why import Cause, Why, shown_time

_CAUSES_MAX = 1_000
"""Links of one chain; a deadline that a flow arms again and again makes long ones."""
_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def read_why(reader: JournalReader, process: str, key: str, what: str | int) -> Why:
    """Why a flow asked for a command or deadline, or got an event.

    Args:
        what: a position, an id in hex, or a stored name: the latest of that type.

    Raises:
        NotFound: the journal has never heard of the flow, or the flow not of what was named.
    """
    chain = _Chain(reader)
    story = await chain.story(process, key)
    place = story.place_of(str(what).strip())
    if place is None:
        raise NotFound(
            f"command or event in flow {process}/{key}", str(what), f"`procession show {process}/{key}` shows all of it"
        )
    complete = await chain.follow(story, *place)
    return Why(f"{process}/{key}", str(what), tuple(reversed(chain.found)), complete)


def stored_names(registry: Registry) -> Mapping[str, str]:
    """The stored name of each class, for those who know it by the class."""
    classes = (*registry.events.values(), *registry.commands.values())
    return {cls.__name__: stored_of(cls).name for cls in classes}


@attrs.frozen
class _Place:
    """An event of a flow, and perhaps one thing that its turn asked for."""

    entry: Entry
    effect: dict[str, Any] | None


@attrs.frozen
class _Story:
    """One flow, with ways to find things in it."""

    timeline: Timeline
    asked: dict[str, _Place]
    """By id in hex: commands, timers and facts, with the turn that asked for each."""
    events: dict[str, Entry]
    """By id in hex."""

    @property
    def name(self) -> str:
        return f"{self.timeline.flow.process}/{self.timeline.flow.key}"

    def place_of(self, what: str) -> tuple[Entry, dict[str, Any] | None] | None:
        """What was named: an event, or what a turn asked for."""
        if what.isdecimal():
            entry = next((entry for entry in self.timeline.entries if entry.event.position == int(what)), None)
            return None if entry is None else (entry, None)
        if _ID.fullmatch(what.lower()):
            identity = what.lower().replace("-", "")
            if identity in self.events:
                return self.events[identity], None
            place = self.asked.get(identity)
            return None if place is None else (place.entry, place.effect)
        return self._latest(what)

    def _latest(self, name: str) -> tuple[Entry, dict[str, Any] | None] | None:
        for entry in reversed(self.timeline.entries):
            for effect in reversed(effects_of(entry.step)):
                if name in (effect.get("command"), effect.get("timer"), effect.get("event")):
                    return entry, effect
            if entry.event.type == name:
                return entry, None
        return None


def _story(timeline: Timeline) -> _Story:
    asked = {
        effect["id"]: _Place(entry, effect)
        for entry in timeline.entries
        for effect in effects_of(entry.step)
        if "id" in effect
    }
    return _Story(timeline, asked, {entry.event.id.hex(): entry for entry in timeline.entries})


class _Chain:
    """Walks from what was asked about to its first cause, across flows."""

    def __init__(self, reader: JournalReader) -> None:
        self._reader = reader
        self._stories: dict[tuple[str, str], _Story] = {}
        self.found: list[Cause] = []
        """The last cause first."""

    async def story(self, process: str, key: str) -> _Story:
        """One flow; read once."""
        if (process, key) not in self._stories:
            self._stories[process, key] = _story(await read_timeline(self._reader, process, key))
        return self._stories[process, key]

    async def follow(self, story: _Story, entry: Entry, effect: dict[str, Any] | None) -> bool:
        """Add causes until the first; False where there are too many."""
        while True:
            if effect is not None:
                if "record" not in effect:  # a fact is shown as the event that it is
                    self.found.append(_of_effect(story, entry, effect))
                self.found.append(_of_step(story, entry))
            if entry.event.caused_by is None:
                self.found.append(_of_event(story, entry, _origin(entry)))
                return True
            cause = await self._cause_of(entry.event)
            if cause is None:
                decided = await decision_before(self._reader, entry.event)
                self.found.append(_of_event(story, entry, entry.cause))
                marks = Marks.of(await self._reader.types())
                shown = None if decided is None else marks.event(decided)
                self.found.append(_unknown(entry.event) if shown is None else _of_decision(story, shown))
                return True
            self.found.append(_of_event(story, entry, _cause_in_words(story, entry, cause[0])))
            if len(self.found) >= _CAUSES_MAX:
                return False
            story, entry, effect = cause

    async def _cause_of(self, event: EventRow) -> tuple[_Story, Entry, dict[str, Any] | None] | None:
        """The turn that led to an event. It is in one of the flows that the event concerns: mostly in the first."""
        assert event.caused_by is not None, "an event from outside has no cause here"
        caused_by = event.caused_by.hex()
        keys: dict[str, list[str]] = from_json(event.keys)
        for process, key in [(process, key) for process, found in keys.items() for key in found]:
            story = await self.story(process, key)
            # A fact is named by its own id; what it is caused by is the event whose turn recorded it.
            place = story.asked.get(event.id.hex()) or story.asked.get(caused_by)
            if place is not None:
                return story, place.entry, place.effect
            if caused_by in story.events:
                return story, story.events[caused_by], None
        return None


def _of_event(story: _Story, entry: Entry, origin: str) -> Cause:
    event = entry.event
    says = f"{event.type} at {event.position}, {origin}"
    if entry.step is None:
        says += f"; {story.name} has not handled it: {entry.fate.replace('_', ' ')}"
    at = time_of(event.recorded_us)
    return Cause("event", event.type, says, event.id.hex(), story.name, event.position, at, from_json(event.payload))


def _of_decision(story: _Story, decided: EventRow) -> Cause:
    data: dict[str, Any] = from_json(decided.payload)
    origin = f"{decided.source or ''} {decided.source_id or ''}".strip() or "without an id"
    says = f"command {data['command_type']} from outside ({origin}), decided by {data['decision']}"
    at = time_of(decided.recorded_us)
    return Cause(
        "command", data["command_type"], says, decided.id.hex(), story.name, decided.position, at, data["command"]
    )


def _origin(entry: Entry) -> str:
    """Where an event came from that nothing in the journal led to."""
    event = entry.event
    if event.source is not None or event.source_id is not None:
        return f"from outside: {event.source or ''} {event.source_id or ''}".rstrip()
    if event.type.startswith("procession."):
        data: dict[str, Any] = from_json(event.payload)
        return f"by {data.get('by', 'an operator')}: {data.get('why', '')}"
    return "from outside, without an id"


def _cause_in_words(story: _Story, entry: Entry, causing: _Story) -> str:
    """As the flow tells it that asked: another one only knows the id of what it asked for."""
    told = causing.events.get(entry.event.id.hex(), entry).cause
    return told if causing is story else f"{told} of {causing.name}"


def _of_step(story: _Story, entry: Entry) -> Cause:
    assert entry.step is not None, "only a turn asks for something"
    says = f"{story.name} {entry.step.name}, step {entry.step.version}"
    return Cause("step", entry.step.name, says, "", story.name, entry.event.position, None, None)


def _of_effect(story: _Story, entry: Entry, effect: dict[str, Any]) -> Cause:
    position = entry.event.position
    if "command" in effect:
        row = story.timeline.commands[effect["id"]].row
        tries = f"{row.attempts} attempt{'' if row.attempts == 1 else 's'}"
        says = f"command {row.type} to {row.gateway}: {row.state.replace('_', ' ')}, {tries}"
        return Cause("command", row.type, says, effect["id"], story.name, position, None, effect["data"])
    says = f"deadline {effect['event']}, due {shown_time(time_of(effect['due_us']))}"
    return Cause("timer", effect["timer"], says, effect["id"], story.name, position, None, effect["data"])


def _unknown(event: EventRow) -> Cause:
    assert event.caused_by is not None, "only what has a cause has an unknown one"
    identity = event.caused_by.hex()
    says = f"caused by {identity}, which none of the flows that it concerns asked for"
    return Cause("unknown", identity, says, identity, None, 0, None, None)
