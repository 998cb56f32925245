"""One flow as a sequence diagram: who sent what to whom, in order. How it is made is in sequence_of.py."""

from __future__ import annotations

import datetime
from typing import Literal

import attrs

from procession.journal.rows import FlowStatus

LaneKind = Literal["outside", "flow", "gateway", "aggregate", "other", "timers"]
MessageKind = Literal[
    "event",
    "command",
    "answer",
    "failed",
    "given_up",
    "refused",
    "set",
    "fired",
    "cancelled",
    "recorded",
    "act",
    "ended",
]


@attrs.frozen
class Lane:
    """One of those that send and receive."""

    kind: LaneKind
    name: str
    """Of the gateway or aggregate; `order/421` of a flow; else the kind itself."""


@attrs.frozen
class Message:
    """Something that went from one lane to another; on one lane, where both are the same."""

    kind: MessageKind
    """`failed`: an attempt at a command; `recorded`: a fact that the flow
    recorded itself."""
    source: int
    """The lane it comes from, counted from 0."""
    target: int
    label: str
    """The stored name of what went."""
    note: str
    """What there is to say of it, in words; empty where nothing."""
    at: datetime.datetime
    position: int
    """Of the event; of what a turn asked for, that of the event which the turn handled."""
    version: int
    """Of the flow's step; 0 where no turn handled the event, and of a failed attempt."""
    compensates: bool
    """A command that answers a failure, a giving-up or a request to cancel."""
    open: bool
    """A command without an answer, a deadline that is armed."""


@attrs.frozen
class Sequence:
    """The diagram, or a page of it."""

    flow: str
    status: FlowStatus
    lanes: tuple[Lane, ...]
    messages: tuple[Message, ...]
    """In order."""
    next: int | None
    """`after` of the next page; None where this is the last one."""
