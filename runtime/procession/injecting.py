"""Injectors beside the engine: each a supervised actor, restarted alone, given up alone, closed before all else."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar, overload

import trio

from procession.actors.supervisor import ActorInfo, ActorState, RestartPolicy, Supervised, foreign, supervise
from procession.engine.engine import Engine
from procession.errors import NotAccepted, OutcomeUnknown, RuntimeClosed, RuntimeFailed
from procession.facade import Runtime
from procession.journal_errors import CommitFailed, CommitRejected
from procession.primitives.envelope import Recorded
from procession.primitives.event import Event
from procession.primitives.injector import Injector
from procession.primitives.outside import CloudEvent, Outside, Position
from procession.publishing import decoded

logger = logging.getLogger("procession.injectors")

T = TypeVar("T")
EventT = TypeVar("EventT", bound=Event)


class InjectorIntake:
    """The `Intake` of one injector."""

    def __init__(self, engine: Engine, runtime: Runtime, name: str) -> None:
        self._engine = engine
        self._runtime = runtime
        self._name = name
        self._probe_s = engine.settings.commit.probe_interval_s
        self.journal_id = engine.lasting.journal.id.hex()
        self.events_max = engine.settings.intake.publish_batch_max
        self.payload_bytes_max = engine.settings.intake.payload_bytes_max
        self.refusals = 0
        self.last_refusal = ""

    @overload
    async def __call__(self, events: Event, *, id: str | None = None, source: str | None = None) -> Position: ...
    @overload
    async def __call__(self, events: Sequence[Event | Outside]) -> list[Position]: ...
    async def __call__(
        self, events: Event | Sequence[Event | Outside], *, id: str | None = None, source: str | None = None
    ) -> Position | list[Position]:
        """As `Intake` says."""
        one = isinstance(events, Event)
        given = [Outside(events, id, source)] if isinstance(events, Event) else list(events)
        named = all(isinstance(event, Outside) and event.id is not None for event in given)
        while True:
            try:
                positions = await self._runtime.publish(given)
            except NotAccepted as held:
                if isinstance(held.__cause__, CommitRejected):  # its own data was refused, and would be again
                    raise
                logger.debug("injector %s waits: %s", self._name, held)
            except OutcomeUnknown as unknown:
                if not named:
                    raise
                logger.debug("injector %s asks again: %s", self._name, unknown)
            else:
                return positions[0] if one else positions
            await self._well_again()

    async def _well_again(self) -> None:
        """Until the engine runs.

        Raises:
            RuntimeClosed: it closes instead.
        """
        while True:
            await trio.sleep(self._probe_s)
            try:
                self._engine.running()
            except NotAccepted:
                continue
            return

    def decoded(self, found: CloudEvent) -> Outside:
        """As `Intake` says."""
        return decoded(self._engine.registry, found)

    def made(self, event: type[EventT], data: object) -> EventT:
        """As `Intake` says."""
        return self._engine.registry.codec.structure(event, data)

    async def knows(self, source: str, id: str) -> bool:
        """As `Intake` says."""
        found = await self._read(lambda: self._engine.lasting.journal.look_up([(source, id)], []))
        return (source, id) in found.ids

    async def recorded(self, position: int) -> Recorded:
        """As `Intake` says."""
        (found,) = await self._read(lambda: self._runtime.events(position - 1, limit=1))
        return found

    async def _read(self, read: Callable[[], Awaitable[T]]) -> T:
        """Read from the journal; while it is held, that is waited for."""
        while True:
            try:
                return await read()
            except CommitFailed as held:
                logger.debug("injector %s waits: %s", self._name, held)
            await self._well_again()

    def refused(self, what: str, error: object) -> None:
        """As `Intake` says."""
        self.refusals += 1
        self.last_refusal = f"{what}: {error}"
        self._engine.counters.facts_refused += 1
        logger.warning("injector %s: %s was not accepted: %s", self._name, what, error)

    def now_us(self) -> int:
        """As `Intake` says."""
        return self._engine.clock.now_us()

    @property
    def detail(self) -> str:
        """What was refused, for the tree."""
        return f"{self.refusals} refused, the last: {self.last_refusal}" if self.refusals else ""


class Injecting:
    """All injectors of one runtime."""

    def __init__(self, engine: Engine, runtime: Runtime, injectors: Iterable[Injector]) -> None:
        limits = engine.settings.supervision
        self._engine = engine
        self._policy = RestartPolicy(
            limits.restarts_max, limits.period_s, limits.backoff_initial_s, limits.backoff_max_s
        )
        self._random = random.Random(engine.lasting.journal.id + engine.clock.now_us().to_bytes(8))  # noqa: S311 - jitter
        self._actors = [
            (Supervised(f"injectors/{injector.actor}"), injector, InjectorIntake(engine, runtime, injector.actor))
            for injector in injectors
        ]
        self._scope = trio.CancelScope()
        self._ended = trio.Event()

    def info(self) -> ActorInfo:
        """The injectors for the tree."""
        state: ActorState = "held" if self._engine.held else "running"
        children = tuple(
            ActorInfo(actor.name, actor.state, actor.restarts, (), actor.last_error or intake.detail)
            for actor, _, intake in self._actors
        )
        return ActorInfo("injectors", "ended" if self._ended.is_set() else state, 0, children)

    async def run(self) -> None:
        """Run them all until each has ended, or `close` is called."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    for actor, injector, intake in self._actors:
                        nursery.start_soon(self._run_one, actor, injector, intake)
        finally:
            self._ended.set()

    async def close(self) -> None:
        """Take nothing more in; returns when every injector has ended."""
        self._scope.cancel()
        await self._ended.wait()

    async def _run_one(self, actor: Supervised, injector: Injector, intake: InjectorIntake) -> None:
        try:
            await supervise(
                actor,
                lambda: foreign(lambda: injector.run(intake)),
                self._policy,
                jitter=self._random.random,
                on_failure=lambda error: self._failed(actor, error),
                fatal=(RuntimeClosed,),
            )
        except RuntimeClosed:  # it published while the runtime closed: nothing failed
            actor.state, actor.last_error = "ended", ""
        except RuntimeFailed as error:
            self._engine.counters.injectors_given_up += 1
            logger.error("%s; everything else goes on", error)  # noqa: TRY400 - each failure was logged

    def _failed(self, actor: Supervised, error: Exception) -> None:
        logger.error("%s failed and starts again", actor.name, exc_info=error)
        self._engine.counters.actors_restarted += 1
