"""Searching flows over HTTP: a page, how many there are, and how a search may go on."""

from __future__ import annotations

from typing import Literal

import attrs

from procession.daemon.flow_shown import ShownFlow
from procession.daemon.http.paging import LIMIT


@attrs.frozen(kw_only=True)
class SearchAsked:
    """Which flows."""

    q: str = ""
    """The search; empty finds every flow."""
    order: Literal["newest", "oldest"] = "newest"
    limit: int = LIMIT
    cursor: int = 0
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
    """How many flows match."""

    q: str = ""


@attrs.frozen(kw_only=True)
class CompletionAsked:
    """How may a search go on?"""

    q: str = ""
    at: int | None = None
    """The place of the cursor, counted in characters from 0; default: the end."""
