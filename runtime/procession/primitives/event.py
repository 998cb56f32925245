"""Events: immutable facts in the past tense; and failure events, which never change state."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar, dataclass_transform

import attrs

from procession.primitives.command import Command
from procession.primitives.refusal import Refusal
from procession.primitives.site import class_site
from procession.primitives.stored import Stored, freeze, seal


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
class Event:
    """A fact. Subclass it with a stored name in the past tense; the annotations are its fields.

        class OrderPlaced(Event, name="order.placed"):
            order_id: str
            amount_cents: int

    Args:
        name: the name in the journal, for ever. A changed shape is a new version, and that a new class.
        version: 1, 2, …
        extra_fields: `refuse` (default) or `ignore` unknown fields of data that comes from outside; what is
            ignored is stored with the event all the same.
        abstract: a class that only hands fields down; it has no stored name and can't be published.

    Raises:
        DefinitionError: no name, or a field that can change.
    """

    def __init_subclass__(
        cls,
        *,
        name: str = "",
        version: int = 1,
        extra_fields: Literal["refuse", "ignore"] = "refuse",
        abstract: bool = False,
    ) -> None:
        super().__init_subclass__()
        if abstract:
            freeze(cls, class_site())
            return
        kind: Literal["event", "failure"] = "failure" if cls._is_failure() else "event"
        seal(cls, Stored(name, version, kind, class_site(), extra_fields))

    @classmethod
    def _is_failure(cls) -> bool:
        return any(base.__name__ == "FailureEvent" and base.__module__ == __name__ for base in cls.__mro__)


class FailureEvent(Event, abstract=True):
    """An event that says that something failed. A flow may answer it with commands; it never changes state."""


CommandT = TypeVar("CommandT", bound=Command)


class CommandGivenUp(FailureEvent, Generic[CommandT], name="procession.command_given_up"):
    """A gateway gave a command up. Handle it by the command's type: `def lost(self, event: CommandGivenUp[Ship])`.

    A flow without a handler for it goes to quarantine; the command can then be sent again under the same id.
    """

    command: CommandT
    command_id: str
    """The idempotency key that every attempt had."""
    reason: Literal["refused", "unknown"]
    """`refused`: the gateway said no for good. `unknown`: it may have been done (a time-out, an error)."""
    attempts: int
    found: str
    """The last error, in one line."""


class CommandRefused(FailureEvent, Generic[CommandT], name="procession.command_refused"):
    """An aggregate refused a command. Handle it by the command's type: `def no(self, event: CommandRefused[Reserve])`.

    It stands in the history of the flow that asked, and not in the aggregate's stream. A flow without a handler for it
    goes to quarantine.
    """

    command: CommandT
    command_id: str
    """As given for a command from outside, else the id of the flow's command."""
    aggregate: str
    key: str
    refusal: Refusal


class CommandDecided(Event, Generic[CommandT], name="procession.command_decided"):
    """An aggregate decided a command from outside; its events follow at the next positions, in the same commit."""

    command: CommandT
    aggregate: str
    key: str
    decision: str
    """Name of the method that decided."""
    events: int
    """How many events follow."""


class CancelRequested(Event, name="procession.cancel_requested"):
    """Someone asked that this flow be cancelled. Handle it to compensate and end; else it ends as cancelled."""

    by: str
    why: str
    force: bool = False


class FlowRetried(Event, name="procession.flow_retried"):
    """Someone had the head of a quarantined flow run again."""

    by: str
    why: str


class EventSkipped(Event, name="procession.event_skipped"):
    """Someone had a quarantined flow skip its head."""

    position: int
    by: str
    why: str


class FlowReleased(Event, name="procession.flow_released"):
    """Someone released a quarantined flow: its events run again, all in order."""

    by: str
    why: str


class CommandRetried(Event, name="procession.command_retried"):
    """Someone had a command sent again under the same id."""

    command_id: str
    by: str
    why: str


class FlowSetAside(FailureEvent, name="procession.flow_quarantined"):
    """A flow was set aside: this event can't be handled, what follows waits in order."""

    position: int
    reason: str


class GatewayPaused(Event, name="procession.gateway_paused"):
    """Someone paused a gateway: its commands wait and use no attempts."""

    gateway: str
    by: str
    why: str


class GatewayResumed(Event, name="procession.gateway_resumed"):
    """Someone resumed a gateway."""

    gateway: str
    by: str
    why: str


class GatewayLimited(Event, name="procession.gateway_limited"):
    """Someone gave a gateway other limits while it runs."""

    gateway: str
    changed: tuple[str, ...]
    """Each as `concurrency=4`."""
    by: str
    why: str


class ProjectionRebuildRequested(Event, name="procession.projection_rebuild_requested"):
    """Someone had a projection made anew."""

    projection: str
    by: str
    why: str


class ProcessPaused(FailureEvent, name="procession.process_paused"):
    """Too many flows of a process failed at one handler: its deliveries wait until it is mended and resumed."""

    process: str
    handler: str
    failures: int


class ProcessResumed(Event, name="procession.process_resumed"):
    """Someone resumed a paused process."""

    process: str
    by: str
    why: str


class JournalArchived(Event, name="procession.journal_archived"):
    """Someone had flows that ended long ago moved from the journal to an archive file."""

    archive: int
    """Number of the file."""
    flows: int
    events: int
    by: str
    why: str


class TokenAdded(Event, name="procession.token_added"):
    """Someone let somebody call over HTTP."""

    token: str
    """Its name."""
    id: str
    role: str
    expires_at: str
    """ISO 8601 in UTC; empty: it lasts until it is revoked."""
    by: str


class TokenRevoked(Event, name="procession.token_revoked"):
    """Someone took a token away."""

    token: str
    id: str
    role: str
    by: str


class InvariantBroken(FailureEvent, name="procession.invariant_broken"):
    """An alert: what must hold of every flow of a process does not hold of this one. Recorded once."""

    process: str
    key: str
    invariant: str
    says: str
    version: int
    """The step after which it was found broken."""
    position: int
    """Of the event that this step handled."""
    error: str
    """What the invariant raised; empty where it judged and said no."""


ACTS: tuple[type[Event], ...] = (CancelRequested, FlowRetried, EventSkipped, FlowReleased, CommandRetried)
"""Operator acts that are addressed to a flow."""
OWN_EVENTS: tuple[type[Event], ...] = (
    *ACTS,
    CommandGivenUp,
    CommandRefused,
    CommandDecided,
    FlowSetAside,
    GatewayPaused,
    GatewayResumed,
    InvariantBroken,
    ProcessPaused,
    ProcessResumed,
    JournalArchived,
    GatewayLimited,
    ProjectionRebuildRequested,
    TokenAdded,
    TokenRevoked,
)
"""Every event type of the runtime's own."""
GENERIC: tuple[type[Event], ...] = (CommandGivenUp, CommandRefused, CommandDecided)
"""Those that hold a command of yours; the shape of that stands under its own name."""
