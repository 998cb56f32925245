"""One flow in memory: its state, its mailbox, and what of it is not durable yet."""

from __future__ import annotations

from collections import deque

import attrs

from procession.actors.mailbox import Mailbox
from procession.engine.acts import Act
from procession.engine.stream import Stream
from procession.journal.rows import EventRow, FlowRow
from procession.primitives.definition import Definition
from procession.primitives.event import Event
from procession.primitives.process import ProcessManager


@attrs.define(eq=False)
class Delivery:
    """An event on its way to one flow."""

    flow: Flow
    event: EventRow
    message: Event | None
    """The decoded event; None where it was read from the journal and is decoded when its turn comes."""
    timer: str | None = None
    """Name of the timer whose deadline this is."""
    stored: bool = False
    """A delivery row exists: the event is older than the batch that is being filled."""
    marks: int = 0
    """How often it was marked to run alone, after the process had died."""
    settled: bool = False
    """A step or an unhandled row answers it."""


@attrs.define(eq=False, kw_only=True)
class Flow(Stream):
    """A stream with a mailbox: from the moment that something arrives for it, the one place where its truth is.

    It is resident while it has work, while a step of it is not durable, and after that as long as the cache has
    room; so whoever finds it here need not look into the journal, and whoever does not finds all of it there.
    """

    definition: Definition
    mailbox: Mailbox[Delivery]
    absent: bool = False
    """The journal has no row of it."""
    state: ProcessManager | None = None
    running: bool = False
    """It is being drained, or will be in a moment."""
    queued: bool = False
    """It waits for a place among the awake."""
    waiting: dict[int, Delivery] = attrs.field(factory=dict)
    """Events that came before the start, by position."""
    acts: deque[Act] = attrs.field(factory=deque)
    fired: int = 0
    """Fired deadlines that are not handled."""
    armed: set[str] = attrs.field(factory=set)
    """Names of timers that it set since it is in memory."""
    timers_stored: bool = False
    """It may have timers in the journal."""

    def take_row(self, row: FlowRow) -> None:
        """Take over what the journal has of it."""
        Stream.take_row(self, row)
        self.timers_stored = row.outcome is None

    def has_work(self) -> bool:
        """Whether a task should drain it."""
        return bool(self.mailbox) or self.mailbox.more or bool(self.acts)
