"""A what-if: edits of one flow's history, and what would have come of it. How it is found is in what_if.py."""

from __future__ import annotations

from typing import Any, Literal

import attrs

from procession.reading.flow_states import StateChange

EditKind = Literal["change", "insert", "drop"]
StepEdit = Literal["", "changed", "inserted", "dropped"]


@attrs.frozen(kw_only=True)
class Edit:
    """One edit of a history."""

    kind: EditKind
    at: int
    """The version of the step that is changed or dropped, or before which an event is inserted; one more than the
    last inserts behind it."""
    type: str | None = None
    """Stored name of the event that is inserted, or that takes the place of another; None: the same type."""
    data: Any = None
    """The data of an event that is inserted or changed, as JSON."""


@attrs.frozen
class WhatIfStep:
    """One event, as it was taken and as it would have been."""

    at: int
    """The version of its step; of one that was inserted, of the step that followed."""
    type: str
    edit: StepEdit
    before: str
    """The handler; or what became of the event where no turn handled it; empty where it was not there."""
    after: str
    asked_before: tuple[Any, ...]
    """What the turn asked for, as JSON: commands, deadlines, facts, the end."""
    asked_after: tuple[Any, ...]
    differs: bool
    orphan: bool
    """It answers a command, or is a deadline, that would not have been asked for."""


@attrs.frozen
class WhatIf:
    """What would have come of an edited history."""

    flow: str
    steps: tuple[WhatIfStep, ...]
    """Those that were edited or differ, in order."""
    steps_same: int
    commands_gone: tuple[Any, ...]
    """Commands that would not have been sent, as JSON."""
    commands_new: tuple[Any, ...]
    """Commands that would have been sent besides."""
    timers_gone: tuple[Any, ...]
    timers_new: tuple[Any, ...]
    outcome_before: str | None
    outcome_after: str | None
    state: tuple[StateChange, ...]
    """How the last state differs."""
    failure_before: str
    """Where the history broke off as it was, and why; empty where it did not."""
    failure_after: str
    """And as it was edited."""
    same: bool
    """No command, deadline, fact or outcome differs."""
