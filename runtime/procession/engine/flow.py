"""One flow in memory: its state, its mailbox, and what of it is not durable yet."""

from __future__ import annotations

from collections import deque

import attrs

from procession.actors.mailbox import Mailbox
from procession.engine.acts import Act
from procession.engine.turn import Life
from procession.journal.rows import EventRow, FlowRow, FlowStatus
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


def _process_of(flow: Flow) -> str:
    return flow.definition.name


@attrs.define(eq=False)
class Flow:
    """The one place in memory where a flow's truth is, from the moment that something arrives for it.

    It is resident while it has work, while a step of it is not durable, and after that as long as the cache has
    room; so whoever finds it here need not look into the journal, and whoever does not finds all of it there.
    """

    definition: Definition
    key: str
    mailbox: Mailbox[Delivery]
    process: str = attrs.field(init=False, default=attrs.Factory(_process_of, takes_self=True))
    """The stored name of its process."""
    id: int = 0
    """Row id; 0 before the flow has a row."""
    version: int = 0
    status: FlowStatus = "unstarted"
    known: bool = False
    """What the journal has of it was read."""
    absent: bool = False
    """The journal has no row of it."""
    state: ProcessManager | None = None
    """None while it is not folded."""
    outcome: str | None = None
    reason: str | None = None
    started_us: int = 0
    running: bool = False
    """It is being drained, or will be in a moment."""
    queued: bool = False
    """It waits for a place among the awake."""
    pins: int = 0
    """Somebody reads about it: it must not leave."""
    written_in: int = 0
    """The last batch that holds something of it: a step, or an event on its way to it."""
    waiting: dict[int, Delivery] = attrs.field(factory=dict)
    """Events that came before the start, by position."""
    acts: deque[Act] = attrs.field(factory=deque)
    fired: int = 0
    """Fired deadlines that are not handled."""
    armed: set[str] = attrs.field(factory=set)
    """Names of timers that it set since it is in memory."""
    timers_stored: bool = False
    """It may have timers in the journal."""

    @property
    def name(self) -> str:
        """How people call it: `order/421`."""
        return f"{self.definition.name}/{self.key}"

    @property
    def life(self) -> Life:
        """Where it is in its life, apart from quarantine."""
        if self.outcome is not None:
            return "ended"
        return "unstarted" if self.started_us == 0 else "active"

    def is_set_aside(self) -> bool:
        """Whether it is in quarantine now."""
        return self.status == "quarantined"

    def row(self, now_us: int) -> FlowRow:
        """Its row as it stands."""
        return FlowRow(
            self.id,
            self.definition.name,
            self.key,
            self.version,
            self.status,
            self.outcome,
            self.reason,
            self.started_us,
            now_us,
        )

    def take_row(self, row: FlowRow) -> None:
        """Take over what the journal has of it."""
        self.id, self.version, self.status = row.id, row.version, row.status
        self.outcome, self.reason, self.started_us = row.outcome, row.reason, row.started_us
        self.timers_stored = row.outcome is None

    def has_work(self) -> bool:
        """Whether a task should drain it."""
        return bool(self.mailbox) or self.mailbox.more or bool(self.acts)
