"""The aggregates' host: each key is one actor, loaded when something comes for it; decisions run one after another."""

from __future__ import annotations

import logging
from collections import OrderedDict, deque

import attrs
import trio

from procession.engine.aggregate_inbox import AggregateInbox
from procession.engine.decisions import AggregateStream, Asked, Decided, Decisions, FromOutside
from procession.engine.ledger import Ledger
from procession.engine.rehydrate import Rehydrator
from procession.engine.solo import Solo
from procession.engine.turn import TurnFailed
from procession.engine.turn_watch import Suspect, Suspects
from procession.errors import InvalidKey, NotAccepted, ProcessionError
from procession.primitives.decisions import AggregateDefinition
from procession.primitives.stored import stored_of
from procession.send_errors import AggregateSetAside, DecisionFailed
from procession.telemetry.names import Counters

logger = logging.getLogger("procession.aggregates")
_REASON_CHARS_MAX = 500
_MEND = "mend the aggregate's class and start again"


@attrs.define(eq=False)
class _Actor:
    """One aggregate, and the commands that wait until it is loaded, in order."""

    stream: AggregateStream
    waiting: deque[Asked] = attrs.field(factory=deque)
    loading: trio.Event | None = None
    """Set when the task that loads it, and decides what waits, has ended."""

    @property
    def is_read(self) -> bool:
        """It is loaded, or was found to be one that can't be; and nothing waits before what comes now."""
        return self.loading is None and (self.stream.state is not None or self.stream.reason is not None)


@attrs.define(eq=False)
class _Settled:
    """A suspect whose command is given up: it is taken off the file when that is durable."""

    suspects: Suspects
    suspect: Suspect

    def durable(self) -> None:
        self.suspects.settle(self.suspect)

    def failed(self, error: Exception) -> None:
        """Nothing to do: the command is still open, and its suspect in the file."""


def _never_returned(suspect: Suspect) -> str:
    return f"the decision did not return and the process ended: {suspect.place}"


class AggregateHost:
    """Decides what flows ask for, and hands streams to the intake for what comes from outside.

    Decisions are synchronous, so one loop runs all of them; only one whose aggregate is not in memory waits, and
    those that follow it for the same key. Nothing here outlives a failed commit.
    """

    def __init__(
        self,
        ledger: Ledger,
        decisions: Decisions,
        rehydrator: Rehydrator,
        inbox: AggregateInbox,
        counters: Counters,
        *,
        solo: Solo,
        suspects: Suspects,
        cached_max: int,
        slice_ms: int,
    ) -> None:
        self._ledger = ledger
        self._decisions = decisions
        self._rehydrator = rehydrator
        self._inbox = inbox
        self._counters = counters
        self._solo = solo
        self._suspects = suspects
        self._cached_max = cached_max
        self._slice_s = slice_ms / 1000
        self._actors: dict[tuple[str, str], _Actor] = {}
        self._resting: OrderedDict[tuple[str, str], _Actor] = OrderedDict()
        self._nursery: trio.Nursery | None = None
        self._loads = 0

    @property
    def inbox(self) -> AggregateInbox:
        """The commands of flows that wait to be decided."""
        return self._inbox

    def idle(self) -> bool:
        """Nothing waits to be decided, here or in the journal."""
        return self._loads == 0 and self._inbox.idle()

    async def hold(self, definition: AggregateDefinition, key: str) -> AggregateStream:
        """An aggregate, loaded; it stays in memory until `let_go`.

        Raises:
            AggregateSetAside: its past can't be folded.
            NotAccepted: the engine failed before it was loaded.
        """
        actor = self._actor(definition, key)
        actor.stream.pins += 1
        try:
            await self._read(actor)
        except BaseException:
            self.let_go(actor.stream)
            raise
        return actor.stream

    def let_go(self, stream: AggregateStream) -> None:
        """It may leave memory."""
        stream.pins -= 1
        self._rest(stream)

    def decide(self, sent: FromOutside) -> Decided:
        """Decide a command from outside; its aggregate is held.

        Raises:
            DecisionFailed: the user's code raised; nothing was written.
        """
        actor = self._actors[sent.definition.name, sent.key]
        named = stored_of(type(sent.command)).name
        suspect = self._suspects.of(sent.definition.name, sent.key, named)
        if suspect is not None:
            self._suspects.refused(suspect)
            found = f"{actor.stream.name} is not asked {named} until the next start: {_never_returned(suspect)}"
            raise DecisionFailed(found, "mend it, start again, then send again: nothing was written")
        try:
            return self._decisions.from_outside(actor.stream, sent)
        except TurnFailed as error:
            found = f"{actor.stream.name} can't decide {type(sent.command).__name__}: {error}"
            raise DecisionFailed(found, "mend it, then send again: nothing was written") from error

    def attach(self, nursery: trio.Nursery) -> None:
        """Load aggregates in this nursery."""
        self._nursery = nursery

    async def run(self) -> None:
        """Decide what flows ask for, for ever; read on where there is more in the journal."""
        while True:
            await self._inbox.wait_stirred()
            await self._inbox.read_on()
            if self._solo.active:
                await self._run_alone()
            else:
                self.run_ready()
            await trio.lowlevel.checkpoint()

    def run_ready(self) -> None:
        """Decide what waits now, for a slice of time; what comes of it stands in the batch that is being filled."""
        if self._solo.active or self._nursery is None or self._nursery.cancel_scope.cancel_called:
            return
        until = trio.current_time() + self._slice_s
        for _ in range(len(self._inbox)):
            asked = self._inbox.take()
            if asked is None:
                return
            self._admit(asked)
            if trio.current_time() > until:
                return

    def _admit(self, asked: Asked) -> None:
        actor = self._actor_of(asked)
        if actor is None:
            return
        if actor.is_read:
            self._decide(actor, asked)
        else:
            actor.waiting.append(asked)
            self._begin_loading(actor)

    def _begin_loading(self, actor: _Actor) -> trio.Event:
        """In a task of the engine, whoever waits for it: a read that fails is the engine's to answer."""
        if actor.loading is None:
            assert self._nursery is not None, "aggregates are loaded after attach"
            actor.loading = trio.Event()
            self._loads += 1
            self._nursery.start_soon(self._load_and_decide, actor, actor.loading, name=actor.stream.name)
        return actor.loading

    async def _read(self, actor: _Actor) -> None:
        """Wait until it is loaded."""
        stream = actor.stream
        if not actor.is_read:
            await self._begin_loading(actor).wait()
        if stream.reason is not None:
            raise AggregateSetAside(f"{stream.name} is set aside: {stream.reason}", _MEND)
        if stream.state is None:
            raise NotAccepted(f"the engine failed while {stream.name} was loaded")

    def _actor_of(self, asked: Asked) -> _Actor | None:
        """The aggregate that a command is for. None where it names none any more: it is given up."""
        try:
            return self._actor(*self._inbox.place_of(asked))
        except InvalidKey as error:
            if not asked.done:
                self._decisions.give_up(asked, str(error))
            self._inbox.decided(asked)
            return None

    def _decide(self, actor: _Actor, asked: Asked) -> None:
        if not asked.done:
            stream = actor.stream
            suspect = self._suspects.of(stream.process, stream.key, asked.row.type, asked.asker)
            if stream.state is None:
                self._decisions.give_up(asked, f"{stream.name} is set aside: {stream.reason}")
            elif suspect is not None:
                self._decisions.give_up(asked, _never_returned(suspect))
                self._ledger.when_durable(_Settled(self._suspects, suspect))
            else:
                self._decisions.from_flow(actor.stream, asked)
        self._inbox.decided(asked)
        self._rest(actor.stream)

    async def _load_and_decide(self, actor: _Actor, loading: trio.Event) -> None:
        """Load an aggregate, then decide what came for it meanwhile, in order."""
        try:
            if actor.stream.state is None and actor.stream.reason is None:
                await self._load(actor.stream)
            while actor.waiting:
                self._decide(actor, actor.waiting.popleft())
        finally:
            actor.loading = None
            self._loads -= 1
            loading.set()
            self._rest(actor.stream)

    async def _run_alone(self) -> None:
        """One command in its commit, with nothing beside it."""
        asked = self._inbox.take()
        if asked is None:
            return
        actor = self._actor_of(asked)
        if actor is None:
            return
        if not actor.is_read:
            await self._begin_loading(actor).wait()
        async with self._solo.apart(self._inbox.marks_of(asked)), self._solo.alone(actor.stream):
            rejected = self._solo.guilty.pop((actor.stream.process, actor.stream.key), None)
            if asked.done:
                self._inbox.decided(asked)
            elif rejected is not None:
                self._decisions.give_up(asked, f"what was decided can't be written: {rejected}")
                self._inbox.decided(asked)
            elif await self._inbox.mark(asked):
                self._decide(actor, asked)
            else:
                self._decisions.give_up(asked, "the process died again and again while this command was decided alone")
                self._inbox.decided(asked)

    async def _load(self, stream: AggregateStream) -> None:
        """Fold it from its steps. One whose past can't be folded is set aside, and has no state then."""
        try:
            await self._rehydrator.load(stream)
        except (TurnFailed, ProcessionError) as error:
            if not self._rehydrator.is_fault_of_flow(error):
                raise
            self._set_aside(stream, f"its past can't be folded: {error}")
            return
        if stream.is_set_aside():  # it was, with an older class; this one can fold it
            stream.status, stream.reason = "active", None
            self._ledger.touch(stream)

    def _set_aside(self, stream: AggregateStream, reason: str) -> None:
        stream.status, stream.reason = "quarantined", reason[:_REASON_CHARS_MAX]
        self._ledger.touch(stream)
        self._counters.aggregates_set_aside += 1
        logger.warning("aggregate %s is set aside: %s", stream.name, reason, extra={"flow": stream.name})

    def _actor(self, definition: AggregateDefinition, key: str) -> _Actor:
        name = (definition.name, key)
        actor = self._actors.get(name)
        if actor is None:
            actor = self._actors[name] = _Actor(AggregateStream(definition=definition, key=key))
        self._resting.pop(name, None)
        return actor

    def _rest(self, stream: AggregateStream) -> None:
        """Without work it stays in the cache; what rested longest leaves where there is no room, if it is durable."""
        name = (stream.process, stream.key)
        actor = self._actors.get(name)
        if actor is None or stream.pins or actor.waiting or actor.loading is not None:
            return
        self._resting[name] = actor
        self._resting.move_to_end(name)
        while len(self._resting) > self._cached_max:
            oldest = next(iter(self._resting))
            if self._resting[oldest].stream.written_in > self._ledger.durable_number:
                return  # what rests after it is not durable either, or soon will be
            del self._resting[oldest], self._actors[oldest]
            self._counters.aggregates_evicted += 1
