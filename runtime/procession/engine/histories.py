"""Histories of flows, rebuilt from durable steps: events decoded, effects read back from what was stored."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, NamedTuple

import attrs

from procession.engine.envelopes import message_of, time_of
from procession.errors import InvalidPayload, TooLarge, WiringError
from procession.journal.journal import JournalReader
from procession.journal.rows import EventRow, FlowRow, Stepped, StepRow
from procession.primitives.codec import from_json
from procession.primitives.effects import After, At, Cancel, Effect, End, Record
from procession.primitives.event import Event
from procession.primitives.history import Turned
from procession.primitives.registry import Registry

PAGE = 500


class DurableTurn(NamedTuple):
    """A turn that stands in the journal, or will with the batch that holds it."""

    version: int
    event: EventRow
    turned: Turned


@attrs.frozen
class Past:
    """What the journal has of a flow after some version."""

    version: int
    """The last version of the flow; acts have one and are no turns."""
    turns: tuple[DurableTurn, ...]


class HistoryReader:
    """Reads the turns of flows. Runs none of the user's folds or reactions."""

    def __init__(self, registry: Registry, journal: JournalReader, turns_max: int) -> None:
        self._registry = registry
        self._journal = journal
        self._turns_max = turns_max

    async def read(self, process: str, key: str, after_version: int) -> Past:
        """The turns of a flow after a version, as far as the flow's row tells; none where there is no such flow.

        Raises:
            TooLarge: there are more than `turns_max`.
            UnknownType, InvalidPayload, WiringError: a class that its steps need is gone, or has changed.
        """
        row = (await self._journal.load(process, key, 0)).row
        if row is None:
            return Past(after_version, ())
        if row.version > self._turns_max:
            raise TooLarge(f"the history of {process}/{key}", row.version, self._turns_max, _BOUND)
        steps = await self._steps(row, after_version)
        facts = await self._facts(row, steps)
        last = max((step.version for step, _ in steps if step.outcome == "handled"), default=0)
        turns = [
            DurableTurn(
                step.version,
                event,
                Turned(
                    message_of(self._registry, event),
                    step.name,
                    effects_of(self._registry, step, facts),
                    row.outcome if step.version == last and row.status == "ended" else None,
                ),
            )
            for step, event in steps
            if step.outcome == "handled"
        ]
        return Past(row.version, tuple(turns))

    async def alerts(self, process: str, key: str) -> list[dict[str, Any]]:
        """The data of every alert about a flow."""
        after, found = 0, []
        while True:
            page = await self._journal.unhandled(process, key, after, PAGE)
            for row in page:
                if row.reason == "alert":
                    found += [from_json(event.payload) for event in await self._journal.events(row.position - 1, 1)]
            if len(page) < PAGE:
                return found
            after = page[-1].position

    async def _steps(self, row: FlowRow, after_version: int) -> list[Stepped]:
        found: list[Stepped] = []
        while after_version < row.version:  # what is newer than the row comes next time: the row tells how it ended
            page = await self._journal.steps(row.id, after_version, min(PAGE, row.version - after_version))
            assert page, f"{row.process}/{row.key}: version {after_version + 1} is missing"
            found += page
            after_version = page[-1].step.version
        return found

    async def _facts(self, row: FlowRow, steps: Sequence[Stepped]) -> dict[str, Event]:
        """The facts that these steps recorded, by id: each is an event of its own, which the flow mostly handles."""
        wanted = {
            effect["id"]: step.position
            for step, _ in steps
            if step.effects is not None
            for effect in from_json(step.effects)
            if "record" in effect
        }
        rows = {event.id.hex(): event for _, event in steps}
        missing = [position for fact, position in wanted.items() if fact not in rows]
        if missing:
            rows |= {event.id.hex(): event for event in await self._not_handled(row, min(missing))}
        return {fact: message_of(self._registry, rows[fact]) for fact in wanted if fact in rows}

    async def _not_handled(self, row: FlowRow, after: int) -> list[EventRow]:
        """Events after a position that concern the flow and that no turn of it handled, for whatever reason."""
        held = await self._journal.deliveries(row.id, after, PAGE, ("pending", "waiting", "quarantined"))
        found = [delivered.event for delivered in held]
        while True:
            page = await self._journal.unhandled(row.process, row.key, after, PAGE)
            for unhandled in page:
                found += await self._journal.events(unhandled.position - 1, 1)
            if len(page) < PAGE:
                return found
            after = page[-1].position


def effects_of(registry: Registry, step: StepRow, facts: dict[str, Event]) -> tuple[Effect, ...]:
    """The effects of a stored step. A deadline of an older step, which does not tell its delay, is read as absolute.

    Args:
        facts: what was recorded, by id in hex: a step names it, and it is an event of its own.

    Raises:
        UnknownType, InvalidPayload, WiringError: a class is gone, or has changed.
    """
    if step.effects is None:
        return ()
    return tuple([_effect(registry, effect, facts) for effect in from_json(step.effects)])


def _effect(registry: Registry, effect: dict[str, Any], facts: dict[str, Event]) -> Effect:
    if "command" in effect:
        cls = registry.commands.get(effect["command"])
        if cls is None:
            raise WiringError(f"the command type {effect['command']!r} is not registered", "register its gateway")
        return registry.codec.structure(cls, effect["data"])
    if "timer" in effect:
        event = registry.codec.structure(registry.event_class(effect["event"], effect["version"]), effect["data"])
        if "after_us" in effect:
            return After(datetime.timedelta(microseconds=effect["after_us"]), event, effect["timer"])
        return At(time_of(effect["due_us"]), event, effect["timer"])
    if "cancel" in effect:
        return Cancel(effect["cancel"])
    if "record" in effect:
        if effect["id"] not in facts:
            raise InvalidPayload(effect["record"], "the event that was recorded is not among those of the flow")
        return Record(facts[effect["id"]])
    return End(effect["end"])


_BOUND = "invariants.turns_per_flow_max"
