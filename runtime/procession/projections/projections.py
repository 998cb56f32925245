"""All projections of one runtime: their stores opened and checked before anything starts, and closed in the end."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any, TypeVar

import trio

from procession.actors.supervisor import ActorInfo, RestartPolicy
from procession.engine.clock import Clock
from procession.engine.guard import make_guard
from procession.engine.watch import Watch
from procession.errors import ActRefused, RuntimeClosed
from procession.journal import ownership
from procession.journal.journal import JournalReader
from procession.journal_errors import JournalError
from procession.primitives.projection import Projection
from procession.primitives.projector import Parameters, Projector
from procession.primitives.registry import Registry
from procession.projection_errors import ProjectionError
from procession.projections.fold import Folder
from procession.projections.folder import StoreFile, StoreFolder, in_memory
from procession.projections.generation import Generation, Work, abandonable, at_once, make, open_existing, threaded
from procession.projections.host import ProjectionHost
from procession.projections.query import answered
from procession.projections.rebuild import begin
from procession.projections.standing import check_standing
from procession.projections.view import ProjectionInfo, Rebuilt, no_projector
from procession.settings import Settings
from procession.telemetry.names import Counters

T = TypeVar("T")
logger = logging.getLogger("procession.projections")


class Projections:
    """The projections of one runtime. `open` them, then `run` beside the engine."""

    def __init__(
        self, registry: Registry, journal: JournalReader, settings: Settings, clock: Clock, stores: str | None
    ) -> None:
        self._registry = registry
        self._journal = journal
        self._settings = settings
        self._clock = clock
        self._folder = None if stores is None else StoreFolder(stores)
        self._limits = settings.projectors
        self._hosts: dict[str, ProjectionHost] = {}
        self._generations: dict[str, Generation] = {}
        self._rebuilding: set[str] = set()
        self._locks: list[ownership.Lock] = []
        self._queries = trio.CapacityLimiter(self._limits.queries_max)
        self._nursery: trio.Nursery | None = None

    async def open(self) -> None:
        """Open the store of each, and check that it is its own.

        Raises:
            StoreUnusable: a folder or store can't be used.
            ProjectionChanged: a projector is not the one that made its store.
            JournalOwned: another process folds into it.
        """
        for projection in self._registry.projections.values():
            await self._open(projection)

    async def _open(self, projection: Projection) -> None:
        """Open one; it is noted before it is looked at, so that `close` releases it whatever is found."""
        generation = await self._opened(projection)
        self._generations[projection.name] = generation
        if self._folder is not None:
            await check_standing(generation, projection, self._journal)
            self._folder.tidy(projection.store)

    async def _opened(self, projection: Projection) -> Generation:
        rows_max = self._limits.rows_max
        folder = self._folder
        if folder is None:
            return await make(in_memory(), projection, self._journal.id, at_once, rows_max)
        self._locks.append(await ownership.acquire(folder.lock_name(projection.store), self._clock.now_us()))
        work = threaded(trio.CapacityLimiter(1))
        whole = folder.whole(projection.store)
        if whole is None:
            return await make(folder.first(projection.store), projection, self._journal.id, work, rows_max)
        return await open_existing(whole, projection, self._journal.id, work, rows_max)

    async def run(
        self, watch: Watch, counters: Counters, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Keep them all live, until cancelled."""
        limits = self._settings.supervision
        policy = RestartPolicy(limits.restarts_max, limits.period_s, limits.backoff_initial_s, limits.backoff_max_s)
        jitter = random.Random(self._journal.id).random  # noqa: S311 - jitter, no secret
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for name, projection in self._registry.projections.items():
                generation = self._generations[name]
                guard = make_guard(self._settings.purity.guard)
                host = ProjectionHost(
                    projection,
                    generation,
                    Folder(projection, self._registry, guard),
                    self._journal,
                    watch,
                    self._clock,
                    counters,
                    self._limits,
                    policy,
                    at_once if self._folder is None else abandonable(self._queries),
                )
                self._hosts[name] = host
                nursery.start_soon(host.run, jitter)
                nursery.start_soon(self._keep_whole, host, policy, jitter)
            task_status.started()

    async def ask(
        self,
        projector: type[Projector] | str,
        question: str | Callable[..., Any],
        parameters: Parameters,
        at_least: int,
        timeout_s: float,
    ) -> Any:  # noqa: ANN401 - what the question returns; `Runtime.query` is typed
        """Answer a query; see `Runtime.query`."""
        host = self.host(projector)
        return await host.ask(answered(host.projection.cls, question, parameters), at_least, timeout_s)

    async def rebuild(self, projector: type[Projector] | str, on_progress: Callable[[Rebuilt], None]) -> Rebuilt:
        """Make a projection anew beside the one that answers; see `Runtime.rebuild`."""
        return await self._rebuild_alone(self.host(projector), on_progress)

    def may_rebuild(self, projector: type[Projector] | str) -> str:
        """Its name, where it can be made anew now; see `Runtime.begin_rebuild`."""
        name = self.host(projector).projection.name
        if name in self._rebuilding:
            raise ActRefused("rebuild", name, "it is being rebuilt already")
        return name

    def begin_rebuild(self, name: str) -> None:
        """Make one anew beside everything else; see `Runtime.begin_rebuild`."""
        assert self._nursery is not None, "a host is known where they run"
        self._rebuilding.add(self.may_rebuild(name))
        self._nursery.start_soon(self._rebuild_beside, self.host(name))

    async def _rebuild_beside(self, host: ProjectionHost) -> None:
        """Nobody waits for it: what goes wrong stands in the log, and the next rebuild goes on there."""
        try:
            await self._rebuild_noted(host, _nobody)
        except RuntimeClosed:
            return
        except (ActRefused, ProjectionError, JournalError, OSError) as error:
            logger.error("projection %s was not rebuilt: %s", host.projection.name, error)  # noqa: TRY400

    async def _rebuild_alone(self, host: ProjectionHost, on_progress: Callable[[Rebuilt], None]) -> Rebuilt:
        self._rebuilding.add(self.may_rebuild(host.projection.name))
        return await self._rebuild_noted(host, on_progress)

    async def _rebuild_noted(self, host: ProjectionHost, on_progress: Callable[[Rebuilt], None]) -> Rebuilt:
        """Rebuild one that is noted as being rebuilt."""
        work = at_once if self._folder is None else threaded(trio.CapacityLimiter(1))
        try:
            return await self._rebuild(host, work, on_progress)
        finally:
            self._rebuilding.discard(host.projection.name)

    async def _rebuild(self, host: ProjectionHost, work: Work, on_progress: Callable[[Rebuilt], None]) -> Rebuilt:
        folds = Folder(host.projection, self._registry, make_guard(self._settings.purity.guard))
        building = await begin(
            host.projection, folds, self._journal, self._folder, work, self._limits, self._clock.now_us()
        )
        swapped = False
        try:
            rebuilt = await host.rebuild(building, on_progress)
            swapped = True
        finally:
            if not swapped:
                with trio.CancelScope(shield=True):
                    await work(building.generation.retire)
            building.release()
        if self._folder is not None:
            self._folder.tidy(host.projection.store)
        return rebuilt

    async def _keep_whole(self, host: ProjectionHost, policy: RestartPolicy, jitter: Callable[[], float]) -> None:
        """Rebuild what an older version made, or a killed process was rebuilding; take up what another process did."""
        folder, failures = self._folder, 0
        while folder is not None:
            wait_s = self._limits.look_interval_s
            try:
                await self._look_after(host, folder)
                failures = 0
            except RuntimeClosed:
                return
            except (ActRefused, ProjectionError, JournalError, OSError) as error:
                failures += 1
                wait_s = max(wait_s, policy.backoff_s(failures, jitter()))
                logger.error("projection %s can't be made whole yet: %s", host.projection.name, error)  # noqa: TRY400
            await trio.sleep(wait_s)

    async def _look_after(self, host: ProjectionHost, folder: StoreFolder) -> None:
        store, name = host.projection.store, host.projection.name
        whole = folder.whole(store)
        if name in self._rebuilding:
            return
        if whole is not None and whole.number > host.generation.file.number:
            await self._take_up(host, whole, folder)
        elif host.outdated or (folder.building(store) is not None and not _held(folder.lock_name(store, rebuild=True))):
            await self._rebuild_alone(host, _nobody)

    async def _take_up(self, host: ProjectionHost, whole: StoreFile, folder: StoreFolder) -> None:
        """Another process has rebuilt it: its store answers from here on, if this code can fold into it."""
        work = threaded(trio.CapacityLimiter(1))
        generation = await open_existing(whole, host.projection, self._journal.id, work, self._limits.rows_max)
        adopted = False
        try:
            if generation.place.mark != host.projection.mark:
                return  # other code made it: the next start with that code will take it up
            async with host.swapping:
                feed = host.feed(generation)
                while await host.step(feed, host.generation.place.position):
                    pass
                with trio.CancelScope(shield=True):
                    await host.adopt(generation)
                    adopted = True
        finally:
            if not adopted:
                with trio.CancelScope(shield=True):
                    await work(generation.retire)
        folder.tidy(host.projection.store)

    async def close(self) -> None:
        """Release every store."""
        with trio.CancelScope(shield=True):
            for name, generation in self._generations.items():
                host = self._hosts.get(name)
                await (generation.work(generation.retire) if host is None else host.close())
            self._generations.clear()
            while self._locks:
                self._locks.pop().release()

    def host(self, projector: type[Projector] | str) -> ProjectionHost:
        """A projection by its projector.

        Raises:
            NotFound: this runtime does not have it.
        """
        name = projector if isinstance(projector, str) else projector.__projector__.name
        host = self._hosts.get(name)
        if host is None or not (isinstance(projector, str) or host.projection.cls is projector):
            raise no_projector(projector, tuple(sorted(self._hosts)))
        return host

    def infos(self) -> list[ProjectionInfo]:
        """Where each stands."""
        return [host.info() for host in self._hosts.values()]

    def actor(self) -> ActorInfo:
        """They, for the supervision tree."""
        return ActorInfo("projectors", "running", 0, tuple(host.actor() for host in self._hosts.values()))


def _held(name: str) -> bool:
    holder = ownership.holder_of(name)
    return holder is not None and holder.running


def _nobody(_: Rebuilt) -> None:
    """Nobody asked to be told."""
