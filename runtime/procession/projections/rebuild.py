"""Rebuilding: the projection is made anew beside the one that answers, and then takes its place in one rename."""

from __future__ import annotations

import time

import attrs

from procession.errors import ActRefused
from procession.journal import ownership
from procession.journal.journal import JournalReader
from procession.journal_errors import JournalOwned
from procession.primitives.projection import Projection
from procession.projection_errors import StoreUnusable
from procession.projections.feed import Feed
from procession.projections.fold import Folder
from procession.projections.folder import StoreFolder, in_memory
from procession.projections.generation import Generation, Work, make, open_existing
from procession.projections.standing import check_journal
from procession.projections.view import Rebuilt
from procession.settings import ProjectorsSettings


@attrs.define(eq=False)
class Building:
    """A store that is being built beside the one that answers."""

    generation: Generation
    feed: Feed
    resumed: int
    _projection: Projection
    _folder: StoreFolder | None
    _lock: ownership.Lock | None
    _began: float = attrs.field(factory=time.perf_counter)

    async def step(self, until: int) -> bool:
        """Fold what comes next; False where it stands at `until`. Raises as `Feed.step`."""
        return await self.feed.step(until)

    def progress(self, until: int) -> Rebuilt:
        """How far it is."""
        place = self.generation.place
        took_s = time.perf_counter() - self._began
        return Rebuilt(place.projector, place.position, max(until, place.position), place.events, self.resumed, took_s)

    async def finish(self) -> Generation:
        """Close it, name it as whole, and open it again: from here on it counts, whatever dies.

        Raises:
            StoreUnusable: somebody reads it for long; it is kept for the next rebuild.
        """
        generation, folder = self.generation, self._folder
        if folder is None:
            return generation
        await generation.work(generation.retire_whole)
        whole = folder.finish(generation.file)
        return await open_existing(
            whole, self._projection, generation.place.journal, generation.work, generation.rows_max
        )

    def release(self) -> None:
        """Let others rebuild."""
        if self._lock is not None:
            self._lock.release()


async def begin(
    projection: Projection,
    folds: Folder,
    journal: JournalReader,
    stores: StoreFolder | None,
    work: Work,
    limits: ProjectorsSettings,
    now_us: int,
) -> Building:
    """A store to build into: what a killed rebuild left, if the same code left it, or a new one.

    Raises:
        ActRefused: it is being rebuilt already.
        StoreUnusable, StoreRefused: no store can be made.
    """
    if stores is None:
        generation = await make(in_memory(), projection, journal.id, work, limits.rows_max)
        return Building(generation, Feed(generation, projection, folds, journal, limits), 0, projection, None, None)
    lock = await _locked(stores, projection, now_us)
    begun: Building | None = None
    try:
        generation = await _resumed(projection, journal, stores, work, limits)
        resumed = generation.place.position
        feed = Feed(generation, projection, folds, journal, limits)
        begun = Building(generation, feed, resumed, projection, stores, lock)
    finally:
        if begun is None:
            lock.release()
    return begun


async def _locked(stores: StoreFolder, projection: Projection, now_us: int) -> ownership.Lock:
    try:
        return await ownership.acquire(stores.lock_name(projection.store, rebuild=True), now_us)
    except JournalOwned as error:
        found = f"process {error.pid} on {error.host} has been rebuilding it since {error.started_at}"
        raise ActRefused("rebuild", projection.name, found) from error


async def _resumed(
    projection: Projection, journal: JournalReader, stores: StoreFolder, work: Work, limits: ProjectorsSettings
) -> Generation:
    """What is there of a rebuild by the same code, on the same journal; else a new store, and nothing else is left."""
    while (left := stores.building(projection.store)) is not None:
        try:
            generation = await open_existing(left, projection, journal.id, work, limits.rows_max)
        except StoreUnusable:
            stores.remove(left)  # it is ours by its name, was never whole, and can't be read
            continue
        try:
            await check_journal(generation, projection, journal)
            if generation.place.mark == projection.mark:
                return generation
        except StoreUnusable:
            pass  # of another journal, or of a state that a restored copy does not have: made anew below
        await generation.work(generation.retire)
        stores.remove(left)
    return await make(stores.next(projection.store), projection, journal.id, work, limits.rows_max)
