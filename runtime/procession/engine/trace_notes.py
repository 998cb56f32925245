"""What is noted of traced flows beside what they leave in a batch. Spans are made of it when the batch is durable."""

from __future__ import annotations

from typing import NamedTuple

from procession.engine.outbox import Orders
from procession.journal.rows import EventRow
from procession.telemetry.trace_context import Context


class TurnNote(NamedTuple):
    """A turn that left a version of its flow."""

    process: str
    key: str
    version: int
    trace_id: int
    event: EventRow
    name: str
    orders: Orders
    began_us: int
    ended_us: int


class FailedTurnNote(NamedTuple):
    """A turn that raised, twice, and set its flow aside."""

    process: str
    key: str
    trace_id: int
    event: EventRow
    name: str
    error: str
    began_us: int
    ended_us: int


class AttemptNote(NamedTuple):
    """A call of a gateway that has ended."""

    flow: str
    gateway: str
    command: str
    command_id: bytes
    number: int
    context: Context
    error: str | None
    began_us: int
    ended_us: int


class DecisionNote(NamedTuple):
    """What an aggregate made of a command."""

    flow: str | None
    """Which asked; None where it was sent from outside."""
    aggregate: str
    command: str
    id: bytes
    """Of the command; of one from outside, of the event that says how it was decided."""
    trace_id: int
    name: str
    error: str | None
    began_us: int
    ended_us: int


Note = TurnNote | FailedTurnNote | AttemptNote | DecisionNote
