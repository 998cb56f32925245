"""What is known around an event: ids, causes, times."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable
from typing import Any

import attrs

from procession.primitives.event import Event


@attrs.frozen
class Envelope:
    """Metadata of an event. A turn gets it by a parameter annotated `Envelope`; it holds no position.

    A turn sees the time of admission, so it needs no clock.
    """

    event_id: uuid.UUID
    source: str | None
    """CloudEvents source; None for answers, deadlines and operator acts of this runtime."""
    source_id: str | None
    type: str
    version: int
    keys: tuple[tuple[str, str], ...]
    """The flows concerned, as (process, key)."""
    causation_id: uuid.UUID | None
    """The command, timer or event that led to this one; None for what came from outside."""
    correlation_id: uuid.UUID
    """The first event of the chain."""
    recorded_at: datetime.datetime
    """When it was accepted, in UTC."""
    trace: str | None
    """W3C traceparent, where there is one."""


@attrs.frozen
class Recorded:
    """An event as the journal holds it."""

    position: int
    event: Event
    _row: Any = attrs.field(repr=False, eq=False)
    _describe: Callable[[Any], Envelope] = attrs.field(repr=False, eq=False)

    @property
    def envelope(self) -> Envelope:
        """Its metadata, made when it is asked for: who replays many events mostly does not."""
        return self._describe(self._row)
