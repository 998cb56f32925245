"""The answers to a search: a page of flows, how many there are, and how a search may go on."""

from __future__ import annotations

from typing import Literal

import attrs

from procession.journal.rows import FlowRow

SuggestionKind = Literal["field", "process", "status", "outcome", "key", "stage", "length"]


@attrs.frozen
class SearchPage:
    """Some of the flows that match."""

    rows: tuple[FlowRow, ...]
    next: int | None
    """Where to go on; None where all that match were seen."""
    complete: bool
    """False: the bound on flows that are looked at came before the page was full; go on at `next`."""


@attrs.frozen
class SearchCount:
    """How many flows match."""

    number: int
    more: bool
    """There may be more: the count stopped at its bound."""


@attrs.frozen
class Suggestion:
    """One way in which a search may go on."""

    text: str
    """What takes the place of what is replaced; quoted where it must be."""
    kind: SuggestionKind
    about: str
    """In a few words; empty where the text says it all."""


@attrs.frozen
class Completions:
    """What may stand at a place of a search."""

    start: int
    """The part that a suggestion replaces begins here, counted in characters from 0."""
    end: int
    """And ends before this one."""
    suggestions: tuple[Suggestion, ...]
