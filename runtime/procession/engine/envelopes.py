"""Rows to envelopes: what turns and callers see around an event."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterable

from procession.journal.rows import EventRow
from procession.primitives.codec import from_json
from procession.primitives.envelope import Envelope, Recorded
from procession.primitives.event import Event
from procession.primitives.registry import Registry

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def envelope_of(row: EventRow) -> Envelope:
    """The metadata of a stored event; without its position."""
    return Envelope(
        uuid.UUID(bytes=row.id),
        row.source,
        row.source_id,
        row.type,
        row.version,
        tuple((process, key) for process, keys in from_json(row.keys).items() for key in keys),
        None if row.caused_by is None else uuid.UUID(bytes=row.caused_by),
        uuid.UUID(bytes=row.correlation or row.id),
        time_of(row.recorded_us),
        row.trace,
    )


def message_of(registry: Registry, row: EventRow) -> Event:
    """The event itself, as handlers see it: lifted to the newest type.

    Raises:
        UnknownType: its class is not registered.
        InvalidPayload: it does not fit its class any more, or can't be lifted.
    """
    return registry.read(row.type, row.version, row.payload)


def recorded_of(registry: Registry, row: EventRow) -> Recorded:
    """A stored event as callers see it; the envelope has the type it came with. Raises as `message_of` does."""
    return Recorded(row.position, message_of(registry, row), row, envelope_of)


def all_recorded(registry: Registry, rows: Iterable[EventRow]) -> list[Recorded]:
    """Many stored events as callers see them; raises as `message_of` does."""
    read = registry.read
    return [Recorded(row.position, read(row.type, row.version, row.payload), row, envelope_of) for row in rows]


def time_of(microseconds: int) -> datetime.datetime:
    """A stored time, in UTC."""
    return _EPOCH + datetime.timedelta(microseconds=microseconds)
