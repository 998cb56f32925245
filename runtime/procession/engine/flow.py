"""One flow in memory: its state, its mailbox, and what of it is not durable yet."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType

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


NONE_ARMED: frozenset[str] = frozenset()
_NONE_WAIT: Mapping[int, Delivery] = MappingProxyType({})


@attrs.define(eq=False, kw_only=True)
class Flow(Stream):
    """A stream with a mailbox: from the moment that something arrives for it, the one place where its truth is.

    It is resident while it has work, while a step of it is not durable, and after that as long as the cache has
    room; so whoever finds it here need not look into the journal, and whoever does not finds all of it there.
    What few flows have (events that wait, acts, timers) gets a collection of its own when it is there: thousands of
    flows rest in the cache, and the garbage collector walks over all that they hold.
    """

    definition: Definition
    mailbox: Mailbox[Delivery]
    absent: bool = False
    """The journal has no row of it."""
    state: ProcessManager | None = None
    running: bool = False
    """It is being drained, or will be in a moment."""
    resting: bool = False
    """It has no work, and may leave when the cache has no room."""
    queued: bool = False
    """It waits for a place among the awake."""
    waiting: Mapping[int, Delivery] = _NONE_WAIT
    """Events that came before the start, by position."""
    acts: tuple[Act, ...] = ()
    fired: int = 0
    """Fired deadlines that are not handled."""
    armed: AbstractSet[str] = NONE_ARMED
    """Names of timers that it set since it is in memory."""
    timers_stored: bool = False
    """It may have timers in the journal."""

    def take_row(self, row: FlowRow) -> None:
        """Take over what the journal has of it."""
        Stream.take_row(self, row)
        self.timers_stored = row.outcome is None

    def keep_waiting(self, delivery: Delivery) -> None:
        """An event came before the start: it waits for that."""
        if not isinstance(self.waiting, dict):
            self.waiting = {}
        self.waiting[delivery.event.position] = delivery

    def forget_waiting(self) -> None:
        """No event waits for the start any more."""
        self.waiting = _NONE_WAIT

    def note_armed(self, timer: str) -> None:
        """It set a timer."""
        if not isinstance(self.armed, set):
            self.armed = set()
        self.armed.add(timer)

    def note_disarmed(self, timer: str) -> None:
        """A timer of it is gone."""
        if isinstance(self.armed, set):
            self.armed.discard(timer)

    def has_work(self) -> bool:
        """Whether a task should drain it."""
        return bool(self.mailbox) or self.mailbox.more or bool(self.acts)
