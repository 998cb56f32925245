"""Running things alone, one commit each: how a guilty item is found among many innocent ones.

Needed twice: after a commit that was rejected for its data (rule 24), and after the process died more than once in a
row (rule 25). While it is on, each delivery is stored and marked before its turn runs; what the process dies of again
and again while it runs alone goes to quarantine.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sized

import attrs
import trio

from procession.engine.flow import Delivery
from procession.engine.ledger import Ledger
from procession.journal.rows import DeliveryRow

MARKS_MAX = 5
"""Dying so often while the same thing runs alone is its fault; less often may be chance, a `kill -9` for example."""
_SUSPECT_WAITS_S_MAX = 5.0
_LOOK_AGAIN_S = 0.02


@attrs.define(eq=False)
class Solo:
    """One per life. Off, it costs a look at a flag."""

    ledger: Ledger
    guilty: dict[tuple[str, str], str]
    """Flows (process, key) whose commit was rejected while they ran alone, with the reason; outlives a life."""
    kept: Sized = ()
    """Answers of commands that ran alone, not yet written."""
    active: bool = False
    why: str = ""
    culprit: object = None
    """What alone is in the batch now."""
    command: object = None
    """The command that runs; none other begins beside it."""
    suspects: int = 0
    """Deliveries of which the process may have died: no command begins while there are any."""
    _lock: trio.Lock = attrs.field(factory=trio.Lock)

    @contextlib.asynccontextmanager
    async def alone(self, culprit: object = None) -> AsyncIterator[None]:
        """Nothing else joins the batch until what the block puts into it is durable."""
        async with self._lock:
            await self.ledger.wait_durable(self.ledger.latest)
            self.culprit = culprit
            yield
            await self.ledger.wait_durable(self.ledger.latest)
            self.culprit = None

    @contextlib.asynccontextmanager
    async def apart(self, marks: int) -> AsyncIterator[None]:
        """What the process may have died of runs when no command does: one that ran beside it would be blamed too.

        A command that takes long is waited for so long, and no longer.
        """
        if not marks:
            yield
            return
        self.suspects += 1
        try:
            with trio.move_on_after(_SUSPECT_WAITS_S_MAX):
                while self.command is not None or self.kept:  # noqa: ASYNC110 - rare, and both end elsewhere
                    await trio.sleep(_LOOK_AGAIN_S)
            yield
        finally:
            self.suspects -= 1

    async def mark(self, delivery: Delivery) -> bool:
        """Mark a stored delivery before its turn; False where the process died of it too often."""
        if delivery.marks >= MARKS_MAX:
            return False
        if delivery.stored and not delivery.settled:
            flow, position = delivery.flow, delivery.event.position
            delivery.marks += 1
            self.ledger.filling.commit.deliveries[flow.id, position] = DeliveryRow(
                flow.id, position, "pending", delivery.timer, delivery.marks
            )
            flow.written_in = self.ledger.filling.number
            self.ledger.wake()
            await self.ledger.wait_durable(self.ledger.latest)
        return True
