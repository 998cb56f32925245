"""Running things alone, one commit each: how a guilty item is found among many innocent ones.

Needed twice: after a commit that was rejected for its data (rule 24), and after the process died more than once in a
row (rule 25). While it is on, each delivery is stored and marked before its turn runs; what the process dies of again
and again while it runs alone goes to quarantine.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import attrs
import trio

from procession.engine.flow import Delivery
from procession.engine.ledger import Ledger
from procession.journal.rows import DeliveryRow

MARKS_MAX = 5
"""Dying so often while the same thing runs alone is its fault; less often may be chance, a `kill -9` for example."""


@attrs.define(eq=False)
class Solo:
    """One per life. Off, it costs a look at a flag."""

    ledger: Ledger
    guilty: dict[tuple[str, str], str]
    """Flows (process, key) whose commit was rejected while they ran alone, with the reason; outlives a life."""
    active: bool = False
    why: str = ""
    culprit: object = None
    """What alone is in the batch now."""
    command: object = None
    """The command that runs; none other begins beside it."""
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
