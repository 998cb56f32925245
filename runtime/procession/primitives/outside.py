"""Events from outside, with the identity that they have there; and the place they get in the journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Self

import attrs

from procession.primitives.event import Event


class CloudEvent(NamedTuple):
    """What of a CloudEvent goes into the journal."""

    id: str
    source: str
    type: str
    version: int | None
    """Of the type, where `dataschema` names it; None: the newest."""
    data: Mapping[str, object]
    trace: str | None
    """W3C traceparent, where one came as an extension attribute."""


@attrs.frozen
class Outside:
    """An event with its outside identity: CloudEvents `source` and `id`, which name it for ever."""

    event: Event
    id: str | None = None
    """Unique within its source. None: it gets a fresh one, and publishing it again is a new event."""
    source: str | None = None
    """Who says so; `local` where an id is given without it."""
    trace: str | None = None
    """W3C traceparent."""
    data: Mapping[str, object] | None = None
    """The data as it came, where its type ignores extra fields: stored as it came."""


class Position(int):
    """The place of an event in the journal, and whether it was there before."""

    duplicate: bool

    def __new__(cls, position: int, *, duplicate: bool) -> Self:
        """An int that knows whether its event was accepted before, under the same source and id."""
        made = super().__new__(cls, position)
        made.duplicate = duplicate
        return made
