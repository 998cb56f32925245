"""What the process of a what-if is asked and answers: plain data, a line of JSON each way."""

from __future__ import annotations

from typing import Any, TypedDict

from procession.engine.shadow import ClassName


class Happened(TypedDict):
    """One event of a history."""

    id: str
    """In hex."""
    event: ClassName
    held: list[ClassName]
    """Classes of the command and the refusal that the payload holds."""
    payload: str
    envelope: dict[str, Any]


class Job(TypedDict):
    """Two histories of one flow."""

    process: ClassName
    key: str
    journal_id: str
    histories: list[list[Happened]]
    facts: list[dict[str, Happened | None]]
    """For each history, facts that are others than the flow records, by id; None: it is dropped."""
    effects_max: int
    turns_max: int


class Took(TypedDict):
    """What became of one event."""

    id: str
    parent: str
    """Id of the event whose turn recorded it; empty for others."""
    type: str
    told: str
    """The handler; or what became of it where no turn handled it."""
    asked: list[dict[str, Any]]
    """Effects, as JSON; commands and deadlines with their ids."""
    shown: list[dict[str, Any]]
    """The same with what is secret masked, and without ids."""


class Played(TypedDict):
    """What came of one history."""

    took: list[Took]
    outcome: str | None
    state: Any
    hidden: dict[str, Any]
    """What of the state is secret."""
    failure: str


class Reply(TypedDict, total=False):
    """What came of both, or why nothing did."""

    played: list[Played]
    refused: str
