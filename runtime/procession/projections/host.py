"""One projection: caught up from the journal, then kept live; asked, rebuilt beside itself, and swapped."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import TypeVar

import attrs
import trio

from procession.actors.supervisor import ActorInfo, RestartPolicy, Supervised, leaves, supervise
from procession.engine.clock import Clock
from procession.engine.watch import Watch
from procession.errors import RuntimeClosed, RuntimeFailed
from procession.journal.journal import JournalReader
from procession.journal_errors import CommitFailed
from procession.primitives.projection import Projection
from procession.projection_errors import ProjectionBehind, ProjectionStopped, QueryRefused
from procession.projections.feed import Feed
from procession.projections.fold import Folder
from procession.projections.generation import Generation, Retired, Work
from procession.projections.rebuild import Building
from procession.projections.store import QueryConnection
from procession.projections.view import ProjectionInfo, ProjectionState, Rebuilt
from procession.settings import ProjectorsSettings
from procession.telemetry.names import Counters

T = TypeVar("T")
logger = logging.getLogger("procession.projections")
_LOOK_AGAIN_S = 0.5


class ProjectionHost:
    """Serves one projection for as long as the runtime lives."""

    def __init__(
        self,
        projection: Projection,
        generation: Generation,
        folder: Folder,
        journal: JournalReader,
        watch: Watch,
        clock: Clock,
        counters: Counters,
        limits: ProjectorsSettings,
        policy: RestartPolicy,
        queries: Work,
    ) -> None:
        self.projection = projection
        self.folder = folder
        self.limits = limits
        self.rebuilding: Generation | None = None
        """What is being built beside it."""
        self.swapping = trio.Lock()
        """Held while a page is folded, and while another store takes the place of this one."""
        self._generation = generation
        self._journal = journal
        self._watch = watch
        self._clock = clock
        self._counters = counters
        self._policy = policy
        self._queries = queries
        self._actor = Supervised(projection.name)
        self._moved = trio.Event()
        self._adopted = trio.Event()
        self._closed = False
        self._behind_since_us: int | None = None

    @property
    def generation(self) -> Generation:
        """The store that answers."""
        return self._generation

    @property
    def outdated(self) -> bool:
        """An older version of the projector made it: it answers, and is not folded any more."""
        return self._generation.place.mark != self.projection.mark

    def feed(self, generation: Generation) -> Feed:
        """What feeds a store of this projection."""
        return Feed(generation, self.projection, self.folder, self._journal, self.limits)

    def info(self) -> ProjectionInfo:
        """Where it stands."""
        place = self._generation.place
        behind = max(0, self._watch.position - place.position)
        since_us = self._behind_since_us
        lag_s = 0.0 if not behind or since_us is None else max(0.0, (self._clock.now_us() - since_us) / 1_000_000)
        rebuilding = self.rebuilding
        return ProjectionInfo(
            self.projection.name,
            place.mark.version,
            self._state(behind),
            place.position,
            behind,
            lag_s,
            place.events,
            self._actor.restarts,
            self._actor.last_error,
            None if rebuilding is None else rebuilding.place.position,
            self._generation.file.path,
        )

    def actor(self) -> ActorInfo:
        """It, for the supervision tree."""
        info = self.info()
        standing = f"{info.state} at position {info.position}"
        if info.lag_positions:
            standing += f", {info.lag_positions} positions and {info.lag_s:.1f} s behind"
        if info.rebuild_position is not None:
            standing += f", rebuilt up to {info.rebuild_position}"
        found = f": {info.found}" if info.found and info.state in ("backing off", "stopped") else ""
        return ActorInfo(info.name, self._actor.state, info.restarts, (), standing + found)

    async def run(self, jitter: Callable[[], float]) -> None:
        """Keep it live, until cancelled; failures are retried with back-off, and then it is shown as stopped."""
        while True:
            try:
                await supervise(self._actor, self._follow, self._policy, jitter=jitter, on_failure=self._failed)
            except RuntimeFailed as error:
                logger.error("%s; everything else goes on", error)  # noqa: TRY400 - each failure was logged
                self._stir()
                await self._adopted.wait()
            else:
                return

    async def adopt(self, generation: Generation) -> None:
        """Another store takes the place of this one; queries that run end on the old one. Hold `swapping`."""
        old, self._generation = self._generation, generation
        adopted, self._adopted = self._adopted, trio.Event()
        adopted.set()
        self._stir()
        self._watch.stir()  # it may be behind, and nothing new may come for long
        await old.work(old.retire)

    async def close(self) -> None:
        """Release its store; who waits is told."""
        self._closed = True
        self._stir()
        await self._generation.work(self._generation.retire)

    async def reach(self, position: int) -> None:
        """Wait until it stands at a position.

        Raises:
            ProjectionStopped: it has stopped short of it.
            RuntimeClosed: the runtime closes.
        """
        while self._generation.place.position < position:
            if self._actor.state == "failed" and self.rebuilding is None:
                raise ProjectionStopped(self.projection.name, self._generation.place.position, self._actor.last_error)
            if self._closed:
                raise RuntimeClosed
            await self._moved.wait()

    async def ask(self, question: Callable[[QueryConnection], T], at_least: int, timeout_s: float) -> T:
        """Answer a query once it stands at a position.

        Raises:
            ProjectionBehind: it does not within the time.
            QueryRefused: the query can't be answered, or takes longer.
            ProjectionStopped, RuntimeClosed: as `reach`.
        """
        reached = False
        with trio.move_on_after(timeout_s):
            await self.reach(at_least)
            reached = True
            while True:
                generation = self._generation
                with contextlib.suppress(Retired):
                    return await self._answer(generation, question)
                if generation is self._generation:
                    raise RuntimeClosed
        if reached:
            raise QueryRefused(self.projection.name, f"it took longer than {timeout_s:g} s")
        info = self.info()
        found = f"{info.state}: {info.found}" if info.found else info.state
        raise ProjectionBehind(self.projection.name, info.position, at_least, timeout_s, found)

    async def _answer(self, generation: Generation, question: Callable[[QueryConnection], T]) -> T:
        wanted = _Wanted()
        try:
            return await self._queries(lambda: generation.answer(question, wanted))
        finally:
            wanted.over = True

    async def _follow(self) -> None:
        feed = self.feed(self._generation)
        while True:
            until = self._watch.position
            if self.outdated or until <= self._generation.place.position:
                self._behind_since_us = None
                if self._watch.closed:
                    return
                await self._watch.changed()
                continue
            if self._behind_since_us is None:
                self._behind_since_us = self._clock.now_us()
            async with self.swapping:
                if feed.generation is not self._generation:
                    feed = self.feed(self._generation)
                try:
                    await self.step(feed, until)
                except RuntimeClosed:
                    return
                finally:
                    self._behind_since_us = feed.oldest_us or self._behind_since_us
            self._counters.projection_batches += 1
            self._stir()

    async def step(self, feed: Feed, until: int) -> bool:
        """Fold what comes next into a store; waits while the journal is held. False where it stands at `until`.

        Raises:
            ProjectionFailed: as `Feed.step`.
            RuntimeClosed: the runtime closes.
        """
        while True:
            try:
                return await feed.step(until)
            except CommitFailed:  # the journal is held: it is read again once it is reopened
                if self._watch.closed:
                    raise RuntimeClosed from None
                with trio.move_on_after(_LOOK_AGAIN_S):
                    await self._watch.changed()

    async def rebuild(self, building: Building, on_progress: Callable[[Rebuilt], None]) -> Rebuilt:
        """Build another store up to where this one stands, and have it take its place; the old one answers meanwhile.

        Raises:
            ProjectionFailed: a handler raised; what is built so far is kept for the next rebuild.
            RuntimeClosed: the runtime closes; as above.
        """
        self.rebuilding = building.generation
        try:
            while True:
                until = self._watch.position
                while await self.step(building.feed, until):
                    on_progress(building.progress(until))
                async with self.swapping:
                    until = max(self._watch.position, self._generation.place.position)
                    if until - building.generation.place.position > self.limits.batch_rows_max:
                        continue  # too much came meanwhile to hold the other one up for
                    while await self.step(building.feed, until):
                        pass
                    with trio.CancelScope(shield=True):  # once it counts it must answer, too
                        await self.adopt(await building.finish())
                self._counters.projections_rebuilt += 1
                return building.progress(until)
        finally:
            self.rebuilding = None
            self._stir()  # who waits for one that has stopped must hear that no rebuild revives it

    def _state(self, behind: int) -> ProjectionState:
        if self.outdated:
            return "outdated"
        if self._actor.state == "failed":
            return "stopped"
        if self._actor.state == "backing_off":
            return "backing off"
        return "catching up" if behind else "live"

    def _failed(self, error: Exception) -> None:
        found = next(leaves(error))
        logger.error(
            "projector %s failed at position %d and starts again: %s",
            self.projection.name,
            self._generation.place.position,
            found,
        )
        self._counters.projectors_failed += 1
        self._stir()

    def _stir(self) -> None:
        moved, self._moved = self._moved, trio.Event()
        moved.set()


@attrs.define(eq=False)
class _Wanted:
    """Whether somebody still waits for an answer."""

    over: bool = False

    def __call__(self) -> bool:
        return not self.over
