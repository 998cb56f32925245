"""Runtime: what a service holds. A command side (publish, acts) and a query side (flows, events), nothing else."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import overload

import attrs
import trio

from procession.actors.supervisor import ActorInfo
from procession.aggregate_handle import AggregateHandle
from procession.engine.engine import Engine
from procession.engine.envelopes import all_recorded, recorded_of
from procession.engine.gateway_state import GatewayState
from procession.engine.intake import Submission
from procession.engine.turn import refuse_in_turn
from procession.errors import ActRefused, NotAccepted, NotFound, OutcomeUnknown
from procession.flow_handle import FlowHandle, FlowSummary, summary_of
from procession.journal.archived import Archived
from procession.journal.journal import JournalReader
from procession.journal.rows import FlowQuery, FlowStatus
from procession.measuring import Measuring
from procession.operating import Operating
from procession.primitives.aggregate import Aggregate
from procession.primitives.command import Command
from procession.primitives.envelope import Recorded
from procession.primitives.event import Event, GatewayPaused, GatewayResumed, ProcessResumed
from procession.primitives.outside import Outside, Position
from procession.primitives.process import ProcessManager
from procession.primitives.registry import Registry
from procession.projections.view import NoProjections, ProjectionsView
from procession.publishing import encode_all
from procession.sending import Reply, send
from procession.settings import GatewaysSettings, Settings
from procession.telemetry.instruments import Meter, observe
from procession.telemetry.samples import Family
from procession.telemetry.trace_context import context_of_caller, trace_of_caller

_FOLLOW_PAGE = 500


class Runtime(Operating):
    """An open runtime. Made by `open_runtime`; used within the same trio run, or by way of `procession.embed`."""

    def __init__(self, engine: Engine, projections: ProjectionsView | None = None) -> None:
        super().__init__(engine, projections or NoProjections())
        self._archiving = False
        self._gateway_acts = trio.Lock()
        """They hold in the order in which they stand in the journal."""
        self.measuring = Measuring(engine)
        """What is measured of it."""
        self._trace_at_start = context_of_caller()
        """What it was opened in is no cause of what is published while it runs."""
        self.beside: list[Callable[[], ActorInfo]] = []
        """What runs beside the engine, for the tree."""

    @property
    def journal(self) -> JournalReader:
        """The journal, to read from."""
        return self._engine.lasting.journal

    @property
    def registry(self) -> Registry:
        """The classes that it runs, by their stored names."""
        return self._engine.registry

    @property
    def settings(self) -> Settings:
        """Those that it was opened with."""
        return self._engine.settings

    @overload
    async def publish(
        self, events: Event, *, id: str | None = None, source: str | None = None, wait: bool = True
    ) -> Position: ...
    @overload
    async def publish(self, events: Sequence[Event | Outside], *, wait: bool = True) -> list[Position]: ...
    async def publish(
        self,
        events: Event | Sequence[Event | Outside],
        *,
        id: str | None = None,
        source: str | None = None,
        wait: bool = True,
    ) -> Position | list[Position]:
        """Accept one event, or several together or not at all; returns positions once they are durable.

        Give ids: an event with the same source and id is accepted once, however often it is published, and answers
        with its first position (`position.duplicate` tells). Without an id each publish is a new event.

        Args:
            events: one event, or a sequence of events and of `Outside` (events with ids of their own).
            id: CloudEvents id of the one event; unique within `source`.
            source: CloudEvents source; `local` where only an id is given.
            wait: wait for room in the intake; else `Overloaded` is raised.

        Raises:
            PublishRefused: nothing was written; the error says why.
            OutcomeUnknown: the commit failed and can't be looked up yet; publish again under the same id.
            RuntimeClosed: the runtime is closing or closed.

        Cancellation: before the commit nothing is written; after it began, the outcome is found by publishing again.
        """
        refuse_in_turn("publish")
        one = isinstance(events, Event)
        outside = (
            [Outside(events, id, source)]
            if isinstance(events, Event)
            else [event if isinstance(event, Outside) else Outside(event) for event in events]
        )
        self._engine.running()
        incoming = encode_all(
            self._engine.registry, self._engine.settings.intake, outside, trace_of_caller(self._trace_at_start)
        )
        if not incoming:
            return []
        submission = Submission(incoming)
        await self._engine.submit(submission, wait=wait)
        positions = [Position(accepted.position, duplicate=accepted.duplicate) for accepted in submission.accepted]
        return positions[0] if one else positions

    async def send(
        self,
        command: Command,
        *,
        id: str | None = None,
        source: str | None = None,
        wait: bool = True,
        timeout_s: float | None = None,
    ) -> Reply:
        """Have an aggregate decide a command; answers with its events or its refusal, once they are durable.

        Give ids: a command with the same source and id is decided once, however often it is sent, and is answered as
        it was then. Without an id each call is a new command.

        Args:
            command: one that an aggregate of this runtime decides.
            id: unique within `source`.
            source: who asks; `local` where only an id is given.
            wait: wait for room in the intake; else `Overloaded` is raised.
            timeout_s: how long to wait for the answer.

        Raises:
            SendRefused: no aggregate decides it, its code raised, or the aggregate is set aside; nothing was written.
            PublishRefused: as `publish` raises it; nothing was written.
            OutcomeUnknown: the commit failed and can't be looked up yet; send again under the same id.
            TimeoutError: no answer in time; whether it was decided tells sending it again under the same id.
            RuntimeClosed: the runtime is closing or closed.

        Cancellation: before the commit nothing is written; after it began, the outcome is found by sending again.
        """
        refuse_in_turn("send")
        with trio.move_on_after(float("inf") if timeout_s is None else timeout_s):
            return await send(self._engine, command, id, source, trace_of_caller(self._trace_at_start), wait=wait)
        msg = f"{type(command).__name__} was not answered within {timeout_s:g} s; send it again under the same id"
        raise TimeoutError(msg)

    def aggregate(self, aggregate: type[Aggregate] | str, key: str | int) -> AggregateHandle:
        """An aggregate by its class and key; nothing need have been decided for it yet.

        Raises:
            NotFound: there is no such aggregate.
        """
        refuse_in_turn("aggregate")
        name = aggregate if isinstance(aggregate, str) else aggregate.__aggregate__.name
        if name not in self._engine.registry.aggregates:
            raise NotFound("aggregate", name)
        return AggregateHandle(self._engine, name, str(key))

    def flow(self, process: type[ProcessManager] | str, key: str | int) -> FlowHandle:
        """A flow by its process and key; it need not have started yet.

        Raises:
            NotFound: there is no such process.
        """
        refuse_in_turn("flow")
        name = process if isinstance(process, str) else process.__process__.name
        if name in self._engine.registry.aggregates:
            raise NotFound("process", name, "it is an aggregate: `send` it commands, read it by `aggregate`")
        if name not in self._engine.registry.processes:
            raise NotFound("process", name)
        return FlowHandle(self._engine, name, str(key))

    async def flows(
        self,
        process: type[ProcessManager] | str | None = None,
        *,
        status: FlowStatus | tuple[FlowStatus, ...] = (),
        outcome: str | None = None,
        key_prefix: str | None = None,
        limit: int = 1000,
    ) -> list[FlowSummary]:
        """Flows that match, the oldest first, at most `limit`."""
        refuse_in_turn("flows")
        name = process if process is None or isinstance(process, str) else process.__process__.name
        states = (status,) if isinstance(status, str) else status
        query = FlowQuery(
            process=name,
            but_not=() if name is not None else tuple(self._engine.registry.aggregates),
            status=states,
            outcome=outcome,
            key_prefix=key_prefix,
        )
        return [summary_of(row) for row in await self.journal.flows(query, 0, limit)]

    async def events(self, after: int = 0, *, types: Sequence[str] = (), limit: int = 1000) -> list[Recorded]:
        """Durable events after a position, in order, at most `limit`."""
        refuse_in_turn("events")
        rows = await self.journal.events(after, limit, types)
        return all_recorded(self._engine.registry, rows)

    async def follow(self, after: int = 0) -> AsyncGenerator[Recorded, None]:
        """Durable events after a position, in order, as they come; ends when the runtime closes.

        Close it with `aclosing` where you leave it early.
        """
        refuse_in_turn("follow")
        async with contextlib.aclosing(self._engine.watch.follow(after, _FOLLOW_PAGE)) as rows:
            async for row in rows:
                yield recorded_of(self._engine.registry, row)

    @property
    def position(self) -> int:
        """The last position that is durable."""
        return self._engine.watch.position

    async def wait_beyond(self, position: int) -> None:
        """Wait until something is durable after a position, or the runtime closes."""
        watch = self._engine.watch
        while watch.position <= position and not watch.closed:
            await watch.changed()

    async def drain(self) -> None:
        """Wait until all that was accepted is handled and judged, and no command is open.

        Armed timers are not waited for.
        """
        refuse_in_turn("drain")
        while not self._engine.idle():
            with contextlib.suppress(NotAccepted):  # held: it goes on when the journal is well
                self._engine.running()
            with trio.move_on_after(_LOOK_AGAIN_S):
                await self._engine.watch.changed()

    def counters(self) -> dict[str, int]:
        """Counts since this runtime was opened, by full name; `telemetry.names.counter_help()` says what each means."""
        refuse_in_turn("counters")
        return self._engine.counters.as_dict()

    async def metrics(self) -> list[Family]:
        """All that is exported, as it stands; the journal is asked no more often than `telemetry.sample_s` allows."""
        refuse_in_turn("metrics")
        await self.measuring.look()
        return self.measuring.families()

    def histograms(self) -> list[Family]:
        """The histograms as they stand; may be called in any thread. For `telemetry.otlp_metrics.WithHistograms`."""
        return [family for family in self.measuring.counted() if family.metric.kind == "histogram"]

    def observe(self, meter: Meter) -> None:
        """Export counters and gauges through an OpenTelemetry meter; they are read when it collects."""
        observe(self.measuring.families, meter)

    def tree(self) -> ActorInfo:
        """The supervision tree: names, states, restarts."""
        refuse_in_turn("tree")
        tree = self._engine.tree()
        return attrs.evolve(tree, children=(*tree.children, *(info() for info in self.beside)))

    @property
    def held(self) -> str:
        """Why nothing is accepted and no attempt begins, in words; empty while all is well."""
        return self._engine.held

    @property
    def committing_s(self) -> float:
        """How long the commit that runs now has taken; 0 where none does. Nothing becomes durable before it ends."""
        return self._engine.committing_s

    def gateways(self) -> list[GatewayState]:
        """Where each gateway stands."""
        refuse_in_turn("gateways")
        return [host.state() for host in self._engine.lasting.gateways]

    def reload_gateways(self, settings: GatewaysSettings) -> list[str]:
        """Drive the gateways by other limits from now on; running calls keep theirs. Names what changed.

        Raises:
            SettingsError: a gateway that is named is not there, or a value does not fit; nothing changed.
        """
        refuse_in_turn("reload_gateways")
        return self._engine.lasting.gateways.reload(settings)

    async def pause_gateway(self, name: str, *, by: str, why: str) -> None:
        """No attempt begins; commands wait and use none of their attempts. Running calls end."""
        refuse_in_turn("pause_gateway")
        host = self._engine.lasting.gateways.host(name)
        host.pausing += 1  # it holds at once, whatever is being written
        try:
            async with self._gateway_acts:
                try:
                    await self._log(GatewayPaused(name, by, why))
                    host.is_paused = True
                except OutcomeUnknown:
                    host.is_paused = True  # who asks again finds it so
                    raise
        finally:
            host.pausing -= 1
            host.wake.set()

    async def resume_gateway(self, name: str, *, by: str, why: str) -> None:
        """Attempts begin again."""
        refuse_in_turn("resume_gateway")
        host = self._engine.lasting.gateways.host(name)
        async with self._gateway_acts:
            await self._log(GatewayResumed(name, by, why))
            host.is_paused = False
            host.wake.set()

    async def resume_process(self, name: str, *, by: str, why: str) -> None:
        """A process that was paused because its flows failed goes on.

        Raises:
            NotFound: there is no such process.
        """
        refuse_in_turn("resume_process")
        if name not in self._engine.registry.processes:
            raise NotFound("process", name)
        await self._log(ProcessResumed(name, by, why))
        await self._engine.take_up_process(name)

    async def archive(
        self,
        *,
        older_than: datetime.timedelta,
        by: str,
        why: str,
        process: type[ProcessManager] | str | None = None,
        limit: int | None = None,
    ) -> Archived:
        """Move flows that ended longer ago to files beside the journal, in small slices between the runtime's commits.

        They are found as before by `flow`, `flows`, `events` and `follow`; their ids are never accepted again.

        Args:
            older_than: since when they must have ended.
            by, why: stand in the journal, with each file that is made.
            process: flows of this process only.
            limit: at most so many flows; the next call goes on.

        Raises:
            ActRefused: the journal is in memory, or is being archived already.
            ArchiveUnreadable, JournalUnwritable: the folder beside the journal can't be used.
            NotAccepted, CommitFailed: the journal is held; what was moved so far is moved.
            RuntimeClosed: the runtime is closing; as above.

        Cancellation: between two slices; a later call goes on where it stopped.
        """
        refuse_in_turn("archive")
        if self._archiving:
            raise ActRefused("archive", "the journal", "it is being archived already")
        # Only where somebody archives: it needs SQLite, and a runtime in memory does not.
        from procession.archiving import archive_beside  # noqa: PLC0415

        name = process if process is None or isinstance(process, str) else process.__process__.name
        self._archiving = True
        try:
            return await archive_beside(self._engine, self._log, older_than, name, limit, by=by, why=why)
        finally:
            self._archiving = False


_LOOK_AGAIN_S = 0.05
