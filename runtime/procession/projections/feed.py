"""What a projection is folded from: pages of durable events, read from the journal and folded into a store."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial

import attrs

from procession.journal.journal import JournalReader
from procession.primitives.projection import Projection
from procession.primitives.projector import Row
from procession.projection_errors import ProjectionFailed, StoreUnusable
from procession.projections.fold import POSITION, RECORDED, Folder
from procession.projections.generation import Generation
from procession.settings import ProjectorsSettings


class Feed:
    """Feeds one store, page by page."""

    def __init__(
        self,
        generation: Generation,
        projection: Projection,
        folder: Folder,
        journal: JournalReader,
        limits: ProjectorsSettings,
    ) -> None:
        self.generation = generation
        self._projection = projection
        self._folder = folder
        self._journal = journal
        self._limits = limits
        self._page: Sequence[Row] = ()
        self._until = 0
        self.oldest_us: int | None = None
        """When the first event was recorded that is not folded yet, as far as it was read."""

    async def step(self, until: int) -> bool:
        """Fold what comes next, in about `batch_ms`; False where it stands at `until` already.

        Raises:
            ProjectionFailed: a handler raised; the store stands before its event.
            StoreUnusable: its disk is full, or fails; the store stands where it stood.
            JournalError, RuntimeClosed: the journal can't be read now.
        """
        generation = self.generation
        place = generation.place
        if place.position >= until:
            return False
        if not self._page:
            rows_max = self._limits.batch_rows_max
            self._page = await self._journal.columns(
                self._folder.columns, place.position, rows_max, self._projection.types, until
            )
            self._until = until if len(self._page) < rows_max else int(self._page[-1][POSITION])
        self.oldest_us = int(self._page[0][RECORDED]) if self._page else None
        if not self._page:
            generation.place = attrs.evolve(place, position=self._until)
            return True
        page, self._page = self._page, ()
        try:
            generation.place = await generation.work(
                partial(self._folder.fold, generation.store, place, page, self._until, self._limits.batch_ms / 1000)
            )
        except ProjectionFailed:
            await self._look_where_it_stands()
            raise
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        generation.committed = generation.place.position
        if generation.place.position < self._until:
            self._page = [row for row in page if row[POSITION] > generation.place.position]
        return True

    async def _look_where_it_stands(self) -> None:
        generation = self.generation
        try:
            generation.place = await generation.work(generation.store.place)
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        generation.committed = generation.place.position

    def _unusable(self, error: sqlite3.Error) -> StoreUnusable:
        path = self.generation.file.path or "memory"
        return StoreUnusable(path, str(error), "mend the disk, or make room; it is tried again")
