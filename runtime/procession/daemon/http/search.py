"""Searching flows over HTTP: a page, how many there are, and how a search may go on."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Literal

import attrs

from procession.daemon.durations import now_us
from procession.daemon.flow_shown import ShownFlow, shown_flow
from procession.daemon.http.bounds import AtPosition, Within
from procession.daemon.http.paging import LIMIT, Limit
from procession.daemon.http.problems import FieldFault, HttpRefused
from procession.daemon.http.routes import Call, Route
from procession.reading.found_flows import Completions, SearchCount
from procession.reading.search import count_flows, search_flows
from procession.reading.search_completion import complete_search, vocabulary_of
from procession.reading.search_parser import TEXT_CHARS_MAX, parse_search
from procession.reading.search_query import Search
from procession.search_errors import SearchRefused


@attrs.frozen(kw_only=True)
class SearchAsked:
    """Which flows."""

    q: str = ""
    """The search; empty finds every flow."""
    order: Literal["newest", "oldest"] = "newest"
    limit: Limit = LIMIT
    cursor: AtPosition = 0
    """`next` of the page before."""


@attrs.frozen
class FoundPage:
    """Some of the flows that match."""

    flows: tuple[ShownFlow, ...]
    next: int | None
    """The cursor of the next page; None where all that match were seen."""
    complete: bool
    """False: so many flows were looked at that the answer came before the page was full; go on at `next`."""
    query: str
    """The search as it was understood, in its shortest writing."""


@attrs.frozen(kw_only=True)
class CountAsked:
    """How many flows match?"""

    q: str = ""


@attrs.frozen(kw_only=True)
class CompletionAsked:
    """How may a search go on?"""

    q: str = ""
    at: Annotated[int, Within(0, TEXT_CHARS_MAX)] = TEXT_CHARS_MAX
    """The place of the cursor, counted in characters from 0; default: the end."""


async def search(call: Call) -> FoundPage:
    """A page of the flows that match.

    Raises:
        HttpRefused: the search can't be read; says where.
    """
    asked = call.queried(SearchAsked)
    wanted, asked_us = _parsed(asked.q), now_us()
    page = await search_flows(
        call.source.journal,
        wanted,
        asked_us,
        order=asked.order,
        after=asked.cursor,
        limit=asked.limit,
        aggregates=tuple(call.source.registry.aggregates),
    )
    rows = tuple(shown_flow(row, asked_us) for row in page.rows)
    return FoundPage(rows, page.next, page.complete, str(wanted))


async def count(call: Call) -> SearchCount:
    """How many flows match, up to a bound.

    Raises:
        HttpRefused: the search can't be read; says where.
    """
    aggregates = tuple(call.source.registry.aggregates)
    return await count_flows(call.source.journal, _parsed(call.queried(CountAsked).q), now_us(), aggregates=aggregates)


async def complete(call: Call) -> Completions:
    """What may stand at the place of the cursor."""
    asked = call.queried(CompletionAsked)
    return await complete_search(
        call.source.journal, vocabulary_of(call.source.registry), asked.q[:TEXT_CHARS_MAX], asked.at
    )


def _parsed(text: str) -> Search:
    try:
        return parse_search(text)
    except SearchRefused as error:
        faults = (FieldFault("?q", f"at {error.position}: {error.found}"),)
        where = {"position": error.position, "expected": error.expected}
        cure = f"expected {error.expected}"
        found = f"at {error.position} of the search: {error.found}"
        raise HttpRefused(HTTPStatus.BAD_REQUEST, found, cure, faults, extra=where) from None


ROUTES = (
    Route("GET", "/v1/search", "reader", "Flows that a search finds.", FoundPage, search, query=SearchAsked),
    Route("GET", "/v1/search/count", "reader", "How many flows match.", SearchCount, count, query=CountAsked),
    Route(
        "GET",
        "/v1/search/complete",
        "reader",
        "How a search may go on.",
        Completions,
        complete,
        query=CompletionAsked,
    ),
)
