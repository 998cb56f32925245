"""What a journal answers to a search of flows."""

from __future__ import annotations

from typing import NamedTuple

from procession.journal.rows import FlowRow, FlowStatus


class FoundFlows(NamedTuple):
    """A page of flows."""

    rows: list[FlowRow]
    reached: int | None
    """Go on after this id; None where nothing is left to look at."""


class Counted(NamedTuple):
    """A count that stops at its bound."""

    number: int
    more: bool
    """There may be more."""


class FlowNames(NamedTuple):
    """Names that flows have, each once and sorted, up to a bound."""

    processes: list[str]
    outcomes: list[str]


class StageCount(NamedTuple):
    """Flows that have not ended, by where they stand."""

    stage: str | None
    """The handler of the newest event that they have handled; None: they have handled none."""
    status: FlowStatus
    number: int


class StageCounts(NamedTuple):
    """Flows of one process, by where they stand."""

    found: list[StageCount]
    more: bool
    """There are flows that were not looked at; those that were are the newest."""
