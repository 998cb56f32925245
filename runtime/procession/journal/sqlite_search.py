"""The part of a SQLite journal that searches flows."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from procession.journal import sqlite_listing
from procession.journal.found import Counted, FlowNames, FoundFlows, StageCounts
from procession.journal.rows import FlowQuery, FlowRow

T = TypeVar("T")


class SqliteSearch(ABC):
    """See `JournalReader`."""

    @abstractmethod
    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Ask in a read transaction."""

    async def flows(self, query: FlowQuery, after_flow: int, limit: int) -> list[FlowRow]:
        return await self._read(partial(sqlite_listing.flows, query=query, after_flow=after_flow, limit=limit))

    async def search(
        self, query: FlowQuery, after_flow: int, limit: int, looked_max: int, *, newest_first: bool = False
    ) -> FoundFlows:
        asked = partial(sqlite_listing.search, query=query, after_flow=after_flow, limit=limit, looked_max=looked_max)
        return await self._read(partial(asked, newest_first=newest_first))

    async def count(self, query: FlowQuery, count_max: int, looked_max: int) -> Counted:
        return await self._read(partial(sqlite_listing.count, query=query, count_max=count_max, looked_max=looked_max))

    async def names(self, names_max: int) -> FlowNames:
        return await self._read(partial(sqlite_listing.names, names_max=names_max))

    async def stages(self, process: str, flows_max: int) -> StageCounts:
        return await self._read(partial(sqlite_listing.stages, process=process, flows_max=flows_max))
