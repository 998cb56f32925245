"""Quarantine: one flow is set aside, no sibling notices; and a process pauses when most of its flows fail."""

from __future__ import annotations

import logging
from collections.abc import Callable

import attrs

from procession.engine.flow import Delivery, Flow
from procession.engine.ids import Ids
from procession.engine.ledger import Ledger
from procession.engine.router import Origin, Router
from procession.journal.rows import DeliveryRow, StepRow
from procession.primitives.codec import to_json
from procession.primitives.event import FlowSetAside, ProcessPaused
from procession.settings import ProcessesSettings
from procession.telemetry.measures import Measures
from procession.telemetry.names import Counters

logger = logging.getLogger("procession.quarantine")
_REASON_CHARS_MAX = 500
_NO_HANDLERS = frozenset({"given_up", "decode", "policy", "crash", "commit", "record"})
"""Reasons to set a flow aside that are not the fault of a handler."""


@attrs.define
class _Health:
    """How the turns of one handler fared since the process was opened or resumed."""

    handled: int = 0
    failed: int = 0


class Quarantine:
    """Sets flows aside. A flow's fault stays in that flow; a fault of the code pauses the process."""

    def __init__(
        self,
        ledger: Ledger,
        router: Router,
        ids: Ids,
        counters: Counters,
        measures: Measures,
        *,
        pause: Callable[[str], None],
        limits: ProcessesSettings,
    ) -> None:
        self._ledger = ledger
        self._router = router
        self._ids = ids
        self._counters = counters
        self._measures = measures
        self._pause = pause
        self._failures_min = limits.pause_failures_min
        self._share = limits.pause_share
        self._health: dict[tuple[str, str], _Health] = {}

    def handled(self, process: str, handler: str) -> None:
        """A turn went well."""
        health = self._health.get((process, handler))
        if health is None:
            health = self._health[process, handler] = _Health()
        health.handled += 1

    def forget(self, process: str) -> None:
        """Begin to count anew: the process was resumed."""
        for name in [name for name in self._health if name[0] == process]:
            del self._health[name]

    def set_aside(self, flow: Flow, head: Delivery | None, handler: str, reason: str) -> None:
        """Put a flow into quarantine with its unhandled events in order; `head` is the one that failed."""
        reason = reason[:_REASON_CHARS_MAX]
        self._mark(flow, reason)
        if head is not None:
            flow.mailbox.put_first([head])
        self.keep_back(flow)
        event = FlowSetAside(0 if head is None else head.event.position, reason)
        payload = to_json({"position": event.position, "reason": event.reason}).decode()
        cause = head.event if head is not None else None
        origin = Origin(
            self._ids.fresh(),
            caused_by=None if cause is None else cause.id,
            correlation=None if cause is None else cause.correlation or cause.id,
        )
        row, delivery = self._router.note(event, payload, origin, flow)
        flow.version += 1
        self._ledger.step(StepRow(flow.id, flow.version, row.position, "act", "quarantined", None), flow, delivery)
        logger.warning("flow %s is in quarantine: %s", flow.name, reason, extra={"flow": flow.name})
        self._count(flow, handler)

    def set_aside_unread(self, flow: Flow, reason: str) -> None:
        """A flow that can't be folded is set aside at its version; its past can't be skipped."""
        self._mark(flow, reason[:_REASON_CHARS_MAX])
        self.keep_back(flow)
        logger.warning("flow %s can't be loaded: %s", flow.name, reason, extra={"flow": flow.name})

    def keep_back(self, flow: Flow) -> None:
        """The deliveries in the mailbox of a flow in quarantine wait in the journal, with its others."""
        for delivery in flow.mailbox:
            if delivery.stored and not delivery.settled:
                position = delivery.event.position
                self._ledger.filling.commit.deliveries[flow.id, position] = DeliveryRow(
                    flow.id, position, "quarantined", delivery.timer, 0
                )
                flow.written_in = self._ledger.filling.number
                self._ledger.wake()
        flow.mailbox.refill((), more=flow.mailbox.more)
        flow.forget_waiting()
        flow.fired = 0

    def _mark(self, flow: Flow, reason: str) -> None:
        flow.status, flow.reason = "quarantined", reason
        self._ledger.touch(flow)
        self._ledger.filling.ended.append(flow)
        self._counters.flows_quarantined += 1
        self._measures.processes[flow.process].quarantined += 1

    def _count(self, flow: Flow, handler: str) -> None:
        if handler in _NO_HANDLERS:
            return  # no code of the process ran: an outage is not a bad deployment
        health = self._health.setdefault((flow.process, handler), _Health())
        health.failed += 1
        turns = health.failed + health.handled
        if health.failed < self._failures_min or health.failed < turns * self._share:
            return
        event = ProcessPaused(flow.process, handler, health.failed)
        payload = to_json({"process": event.process, "handler": event.handler, "failures": event.failures}).decode()
        self._router.log(event, payload, Origin(self._ids.fresh()))
        self._counters.processes_paused += 1
        logger.error(
            "process %s is paused: %d flows failed at %s; mend it, then resume the process",
            flow.process,
            health.failed,
            handler,
        )
        self._pause(flow.process)
