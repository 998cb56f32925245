"""Events from outside, with the identity that they have there; and the place they get in the journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import attrs

from procession.primitives.event import Event


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
