"""Searching the flows of a journal: a page, how many there are. What is looked at has a bound."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from procession.journal.journal import JournalReader
from procession.reading.found_flows import SearchCount, SearchPage
from procession.reading.search_meaning import asks_for_stage, meaning_of
from procession.reading.search_query import Search

Order = Literal["newest", "oldest"]
COUNT_MAX = 10_000
_LOOKED_MAX = 50_000
"""Rows of flows, in twenty milliseconds or less."""
_LOOKED_INTO_MAX = 5_000
"""Flows whose last step is looked at, in about as long."""


async def search_flows(
    reader: JournalReader,
    search: Search,
    now_us: int,
    *,
    order: Order = "newest",
    after: int = 0,
    limit: int = 100,
    aggregates: Collection[str] = (),
) -> SearchPage:
    """A page of the flows that match.

    Args:
        now_us: what ages are counted back from.
        after: `next` of the page before, of the same search in the same order; 0: the first page.
        aggregates: found only where the search names a process.
    """
    query = meaning_of(search, now_us, aggregates)
    found = await reader.search(query, after, limit, _looked_max(search), newest_first=order == "newest")
    return SearchPage(tuple(found.rows), found.reached, found.reached is None or len(found.rows) == limit)


async def count_flows(
    reader: JournalReader, search: Search, now_us: int, *, aggregates: Collection[str] = ()
) -> SearchCount:
    """How many flows match, up to `COUNT_MAX`."""
    query = meaning_of(search, now_us, aggregates)
    found = await reader.count(query, COUNT_MAX, _looked_max(search))
    return SearchCount(found.number, found.more)


def _looked_max(search: Search) -> int:
    return _LOOKED_INTO_MAX if asks_for_stage(search) else _LOOKED_MAX
