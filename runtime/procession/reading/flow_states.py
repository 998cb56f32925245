"""A flow's state around one of its events: before, after, and what changed. How it is found is in past_states.py."""

from __future__ import annotations

import datetime
from typing import Any, Literal

import attrs

ChangeKind = Literal["changed", "added", "removed"]
StepFate = Literal["handled", "skipped", "act", "pending", "waiting", "quarantined"]


@attrs.frozen
class StateChange:
    """One place at which two states differ."""

    path: str
    """`$.lines[2].sku`; `$` is the whole state."""
    kind: ChangeKind
    before: Any
    """As JSON; None where it was added."""
    after: Any
    """As JSON; None where it was removed."""


@attrs.frozen
class StateAt:
    """A flow around its n-th event."""

    flow: str
    at: int
    """The version of the step, from 1; one more than `last` is the event that the flow has not handled."""
    last: int
    """The version of the flow's last step."""
    waiting: bool
    """An event stands behind the last step that the flow has not handled; it is at `last` + 1."""
    position: int
    type: str
    """Stored name of the event."""
    version: int
    """Of the event's type."""
    recorded_at: datetime.datetime
    data: Any
    """The event's payload, as JSON."""
    fate: StepFate
    handler: str
    """Empty where no turn handled it."""
    before: Any
    """The state before the event, as JSON; None where `failure` says why it can't be told."""
    after: Any
    """The state after it; as before where the event changes nothing."""
    changes: tuple[StateChange, ...]
    changes_left_out: int
    failure: str
    """Why a state can't be folded; empty where it can."""
