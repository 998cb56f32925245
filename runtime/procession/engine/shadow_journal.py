"""Shadow replay of a journal: what flows have handled runs again, here and in other processes. Only reads."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack

import attrs
import trio

from procession.actors.supervisor import leaves
from procession.engine.envelopes import envelope_of, message_of
from procession.engine.shadow import Answer, Job, Reply, Unshadowed, answer_of, is_allowed, job_of, judged
from procession.engine.shadow_host import Child, open_child
from procession.engine.turn import Life, Turn, TurnFailed, run_turn
from procession.errors import ProcessionError, ShadowEnded
from procession.journal.journal import JournalReader
from procession.journal.rows import EventRow, FlowQuery, FlowRow, FlowStatus
from procession.laws.finding import Finding
from procession.primitives.definition import Definition
from procession.primitives.event import Event
from procession.primitives.handlers import Handler
from procession.primitives.process import ProcessManager
from procession.primitives.registry import Registry

PROCESSES = 2
_BATCH_TURNS = 256
_FLOWS_PAGE = 500
_STEPS_PAGE = 256
_STARTED: tuple[FlowStatus, ...] = ("active", "quarantined", "ended", "cancelled")
_CURE = "take time, ids, chance and order from events and state"


async def shadow_journal(
    journal: JournalReader, registry: Registry, *, flows_max: int = 0, effects_max: int = 1_000
) -> list[Finding]:
    """Run the turns of a journal's flows again, here and in two other processes, and report what differs.

    The code at hand is compared with itself: what it makes of the past is another question. One finding for each
    handler, with the first flow that shows it.

    Args:
        journal: is read only; its owner may run beside.
        registry: the classes of the flows, with the events that they handle.
        flows_max: at most so many flows of each process, the oldest first; 0 for all.
        effects_max: of one turn; more is a failed turn.

    Raises:
        ShadowEnded: a second process ended.
        OSError: none can be started.

    Cancellation: ends the other processes.
    """
    async with AsyncExitStack() as stack:
        children = [await stack.enter_async_context(open_child(number)) for number in range(PROCESSES)]
        replay = _Replay(journal, registry, children, effects_max)
        for definition in registry.processes.values():
            await replay.process(definition, flows_max)
        await replay.compare()
    return sorted(found.finding() for found in replay.found.values())


@attrs.frozen
class _Turned:
    """A turn of the past that ran here, and is to run elsewhere."""

    flow: str
    definition: Definition
    handler: Handler | None
    job: Job
    here: Answer


@attrs.define
class _Found:
    """What one handler does, or what keeps a process from being replayed, and which flows show it."""

    definition: Definition
    handler: Handler | None
    found: str
    flow: str
    flows: int = 1

    def finding(self) -> Finding:
        where = self.definition.cls.__process__.site if self.handler is None else self.handler.site
        path, _, line = where.rpartition(":")
        subject = self.definition.cls.__name__ + ("" if self.handler is None else f".{self.handler.name}")
        more = "" if self.flows == 1 else f", first of {self.flows} turns"
        return Finding(path, int(line), "LAW03", subject, f"{self.found} (flow {self.flow}{more})", _CURE)


class _Replay:
    """Reads flows, runs their turns here, and has them run elsewhere in batches."""

    def __init__(self, journal: JournalReader, registry: Registry, children: Sequence[Child], effects_max: int) -> None:
        self.found: dict[tuple[str, str], _Found] = {}
        self._journal = journal
        self._registry = registry
        self._children = children
        self._effects_max = effects_max
        self._batch: list[_Turned] = []

    async def process(self, definition: Definition, flows_max: int) -> None:
        """Its flows, the oldest first."""
        query = FlowQuery(process=definition.name, status=_STARTED)
        after, read = 0, 0
        while True:
            limit = min(_FLOWS_PAGE, flows_max - read) if flows_max else _FLOWS_PAGE
            rows = await self._journal.flows(query, after, limit) if limit else []
            for row in rows:
                await self._flow(definition, row)
            if not rows or len(rows) < limit:
                return
            after, read = rows[-1].id, read + len(rows)

    async def compare(self) -> None:
        """What waits runs elsewhere, in each of the other processes."""
        batch, self._batch = self._batch, []
        if not batch:
            return
        replies = await self._elsewhere([turned.job for turned in batch])
        for turned, *there in zip(batch, *replies, strict=True):
            try:
                differs = next(filter(None, (judged(turned.here, reply) for reply in there)), "")
            except Unshadowed as error:
                self._note(turned.definition, None, turned.flow, f"can't be shadowed: {error}")
            else:
                if differs:
                    self._note(turned.definition, turned.handler, turned.flow, differs)

    async def _elsewhere(self, jobs: Sequence[Job]) -> list[list[Reply]]:
        replies: list[list[Reply]] = [[] for _ in self._children]
        ended: list[ShadowEnded] = []

        async def ask(number: int, child: Child) -> None:
            replies[number] = await child.replay(jobs)

        try:
            async with trio.open_nursery() as nursery:
                for number, child in enumerate(self._children):
                    nursery.start_soon(ask, number, child)
        except* ShadowEnded as group:
            ended += [error for error in leaves(group) if isinstance(error, ShadowEnded)]
        if ended:
            raise ended[0]
        return replies

    async def _flow(self, definition: Definition, row: FlowRow) -> None:
        """One flow from its first step on, as far as the code at hand can follow."""
        state, version = definition.cls(), 0
        life: Life = "unstarted"
        while steps := await self._journal.steps(row.id, version, _STEPS_PAGE):
            for step, event in steps:
                version = step.version
                if step.outcome == "handled":
                    turn = self._turn(definition, f"{row.process}/{row.key}", state, event, life)
                    if turn is None:
                        return
                    state, life = turn.state, "active"
            if len(self._batch) >= _BATCH_TURNS:
                await self.compare()

    def _turn(self, definition: Definition, flow: str, state: ProcessManager, row: EventRow, life: Life) -> Turn | None:
        """A turn here; None where the flow can't be followed any further."""
        codec, envelope = self._registry.codec, envelope_of(row)
        try:
            event = message_of(self._registry, row)
            job = job_of(
                definition, codec, state, event, codec.encode(event).decode(), life, envelope, self._effects_max
            )
            turn = run_turn(definition, state, event, life, lambda: envelope, self._effects_max)
            here = answer_of(turn, codec)
        except (ProcessionError, TurnFailed) as error:
            self._note(definition, None, flow, f"can't handle its own past: {error}")
            return None
        except Unshadowed as error:
            self._note(definition, None, flow, f"can't be shadowed: {error}")
            return None
        if not is_allowed(definition, event):
            self._batch.append(_Turned(flow, definition, _handler(definition, event, turn.name), job, here))
        return turn

    def _note(self, definition: Definition, handler: Handler | None, flow: str, what: str) -> None:
        """Once for each handler; counted after that."""
        found = self.found.setdefault(
            (definition.name, what if handler is None else handler.name), _Found(definition, handler, what, flow, 0)
        )
        found.flows += 1


def _handler(definition: Definition, event: Event, name: str) -> Handler | None:
    reaction = definition.reaction(event)
    handlers = () if reaction is None else (reaction.start, reaction.on, reaction.fold)
    return next((handler for handler in handlers if handler is not None and handler.name == name), None)
