"""Every decision that a journal holds, made again: one command in one state leads to one answer, be it a refusal."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterator

from procession.engine.decide import apply, decide
from procession.engine.envelopes import message_of
from procession.engine.outbox import command_of
from procession.engine.turn import TurnFailed
from procession.journal.rows import Contents, FlowRow
from procession.journal.snapshot_seal import is_of
from procession.primitives.aggregate import Aggregate
from procession.primitives.codec import from_json
from procession.primitives.command import Command
from procession.primitives.decisions import AggregateDefinition
from procession.primitives.event import CommandDecided, CommandRefused
from procession.primitives.registry import Registry
from procession.primitives.stored import stored_of


def decided_again(contents: Contents, registry: Registry) -> Iterator[tuple[str, str]]:
    """Each decision that comes out differently, or snapshot that holds another state, as a rule and a sentence."""
    again = _Again(contents, registry)
    for flow in contents.flows:
        definition = registry.aggregates.get(flow.process)
        if definition is not None:
            yield from again.stream(definition, flow)
    yield from again.answers()


class _Again:
    def __init__(self, contents: Contents, registry: Registry) -> None:
        self._registry = registry
        self._contents = contents
        self._events = {row.position: row for row in contents.events}
        self._by_id = {row.id: row for row in contents.events}
        self._commands = {row.id: row for row in contents.commands}
        self._effects = {(step.flow, step.position): step.effects or "[]" for step in contents.steps}
        self._snapshots = {row.flow: row for row in contents.snapshots}
        self._folded: dict[tuple[str, str], tuple[list[int], list[Aggregate]]] = {}
        """Of each aggregate with events: their positions, and its states before the first, after it, and so on."""

    def stream(self, definition: AggregateDefinition, flow: FlowRow) -> Iterator[tuple[str, str]]:
        """One aggregate, decision by decision."""
        state, snapshot = definition.cls(), self._snapshots.get(flow.id)
        positions, past = self._folded.setdefault((flow.process, flow.key), ([], [state]))
        current = snapshot is not None and is_of(snapshot, self._registry.fingerprints[flow.process])
        steps = [step for step in self._contents.steps if step.flow == flow.id]
        for cause, group in itertools.groupby(steps, lambda step: self._events[step.position].caused_by):
            taken = list(group)
            rows = [self._events[step.position] for step in taken]
            events = tuple(message_of(self._registry, row) for row in rows)
            command = None if cause is None else self._command(cause)
            at = f"{flow.process}/{flow.key} at event {rows[0].position}"
            if command is None:
                yield _SAME, f"{at}: nobody knows which command led to it"
                return
            try:
                verdict = decide(definition, state, command)
                states = apply(definition, state, events)
            except TurnFailed as error:
                yield _SAME, f"{at}: it was decided, and fails again: {error}"
                return
            if tuple(map(self._registry.lifted, verdict.events)) != events:
                found = verdict.events if verdict.refusal is None else verdict.refusal
                yield _SAME, f"{at}: {command} led to {events}, and again to {found}"
            for version, folded in enumerate(states, taken[0].version):
                if snapshot is not None and current and snapshot.version == version:
                    text = self._registry.codec.state_to_json(folded)
                    if from_json(text) != from_json(snapshot.state):
                        yield "a_snapshot_holds_what_is_folded", f"{flow.process}/{flow.key} at version {version}"
            positions += [step.position for step in taken]
            past += states
            state = states[-1]

    def answers(self) -> Iterator[tuple[str, str]]:
        """What left no event in the stream: refusals, and decisions from outside of which nothing followed."""
        for row in self._contents.events:
            news = message_of(self._registry, row) if row.type in _ANSWERS else None
            if not isinstance(news, CommandRefused | CommandDecided):
                continue
            definition = self._registry.aggregates[news.aggregate]
            positions, past = self._folded.get((news.aggregate, news.key), ([], [definition.cls()]))
            at = f"{news.aggregate}/{news.key} at event {row.position}"
            try:
                verdict = decide(definition, past[bisect_left(positions, row.position)], news.command)
            except TurnFailed as error:
                yield _SAME, f"{at}: it was decided, and fails again: {error}"
                continue
            was: object = news.refusal if isinstance(news, CommandRefused) else f"{news.events} events"
            now: object = f"{len(verdict.events)} events" if verdict.refusal is None else verdict.refusal
            if was != now:
                yield _SAME, f"{at}: {news.command} led to {was}, and again to {now}"

    def _command(self, cause: bytes) -> Command | None:
        asked = self._commands.get(cause)
        if asked is not None:
            return command_of(self._registry, from_json(self._effects[asked.flow, asked.position])[asked.idx])
        row = self._by_id.get(cause)
        news = None if row is None else message_of(self._registry, row)
        return news.command if isinstance(news, CommandDecided) else None


_SAME = "each_decision_is_the_same_again"
_ANSWERS = frozenset(stored_of(kind).name for kind in (CommandDecided, CommandRefused))
