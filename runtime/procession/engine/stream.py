"""What is folded from steps, in memory: of one flow, or of one aggregate; and what of it is not durable yet."""

from __future__ import annotations

import attrs

from procession.engine.turn import Life
from procession.journal.rows import FlowRow, FlowStatus
from procession.primitives.definition import Folding
from procession.primitives.state import State


@attrs.define(eq=False, kw_only=True)
class Stream:
    """The one place in memory where the truth about it is. Its row, and its steps, are those of `flow` and `step`."""

    definition: Folding
    key: str
    process: str = attrs.field(init=False)
    """The stored name of its process or aggregate."""
    named: tuple[str, str] = attrs.field(init=False)
    """Process and key: what tables find it by."""
    id: int = 0
    """Row id; 0 before it has a row."""
    version: int = 0
    status: FlowStatus = "unstarted"
    known: bool = False
    """What the journal has of it was read."""
    state: State | None = None
    """None while it is not folded."""
    outcome: str | None = None
    reason: str | None = None
    started_us: int = 0
    trace: str | None = None
    """Of the event that it handled first: the trace that all of it lies in."""
    pins: int = 0
    """Somebody reads about it: it must not leave."""
    written_in: int = 0
    """The last batch that holds something of it: a step, or an event on its way to it."""
    snapshot_version: int = 0
    """Of its last snapshot."""
    unsaved_bytes: int = 0
    """Of the data of the events that it handled since, or tried to."""

    def __attrs_post_init__(self) -> None:
        self.process = self.definition.name
        self.named = self.process, self.key

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
