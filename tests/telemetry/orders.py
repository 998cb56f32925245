"""An order flow for a real daemon, whose card gateway stands still at first, and what its trace must look like."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from procession.telemetry.trace_context import SpanIds
from tests.telemetry.receiver import Received

FLOWS = """
import logging
import pathlib

import trio

from procession import (
    Attempt, Command, Effects, Event, Gateway, ProcessManager, Wiring, after, cancel, ends, on, starts,
)
from datetime import timedelta

logger = logging.getLogger("procession.cards")


class OrderPlaced(Event, name="order.placed"):
    order: str


class StockReserved(Event, name="stock.reserved"):
    order: str


class CardCharged(Event, name="card.charged"):
    order: str


class ParcelShipped(Event, name="parcel.shipped"):
    order: str


class WindowClosed(Event, name="window.closed"):
    order: str


class Reserve(Command, name="stock.reserve"):
    order: str


class Charge(Command, name="card.charge"):
    order: str


class Ship(Command, name="parcel.ship"):
    order: str


class Order(ProcessManager, name="order", key="order"):
    @starts
    def reserve(self, placed: OrderPlaced) -> Effects:
        yield Reserve(placed.order)
        yield after(timedelta(hours=1), WindowClosed(placed.order))

    @on
    def charge(self, reserved: StockReserved) -> Effects:
        yield Charge(reserved.order)

    @on
    def ship(self, charged: CardCharged) -> Effects:
        yield cancel(WindowClosed)
        yield Ship(charged.order)

    @ends(outcome="shipped")
    def shipped(self, shipped: ParcelShipped) -> None: ...

    @ends(outcome="unpaid")
    def unpaid(self, closed: WindowClosed) -> None: ...


class Stock(Gateway, name="stock"):
    async def reserve(self, command: Reserve) -> StockReserved:
        return StockReserved(command.order)


class Cards(Gateway, name="cards", timeout_s=60):
    async def charge(self, command: Charge, attempt: Attempt) -> CardCharged:
        begun = pathlib.Path("begun")
        if not begun.exists():
            whole = pathlib.Path("begun.new")
            whole.write_text(attempt.trace or "")
            whole.rename(begun)
            await trio.sleep_forever()
        logger.warning("charged at last")
        return CardCharged(command.order)


class Parcels(Gateway, name="parcels"):
    async def ship(self, command: Ship) -> ParcelShipped:
        return ParcelShipped(command.order)


def wire_production(settings: object) -> Wiring:
    return Wiring((Order,), (Stock(), Cards(), Parcels()))


wire_testing = wire_production
"""

BELOW = {
    "handle order": {
        "publish order.placed",
        "publish stock.reserved",
        "publish card.charged",
        "publish parcel.shipped",
    },
    "commit journal": {"handle order"},
    "send stock": {"handle order"},
    "send cards": {"handle order"},
    "send parcels": {"handle order"},
    "arm window.closed": {"handle order"},
    "attempt stock": {"send stock"},
    "attempt cards": {"send cards"},
    "attempt parcels": {"send parcels"},
    "publish stock.reserved": {"attempt stock"},
    "publish card.charged": {"attempt cards"},
    "publish parcel.shipped": {"attempt parcels"},
}
"""What each span of an order hangs below. All but the event that began it hang somewhere."""
ROOT = "publish order.placed"
WHOLE = 19
"""Spans of one order that goes well: four events, turns and commits, three commands and attempts, one timer."""


def placed(order: str) -> dict[str, object]:
    data = {"order": order}
    return {"specversion": "1.0", "id": f"{order}/0", "source": "shop", "type": "order.placed", "data": data}


def is_settled(spans: Sequence[Received]) -> bool:
    """The last span of an order is here, with all that left together with it."""
    return any(span.attributes.get("procession.handler") == "shipped" for span in spans)


def faults(spans: Sequence[Received]) -> list[str]:
    """What is wrong with the trace of one order that was received whole."""
    found: list[str] = []
    of_id = {span.span_id: span for span in spans}
    if len(of_id) != len(spans):
        found.append("two spans have one id")
    if len({span.trace_id for span in spans}) != 1:
        found.append("there is more than one trace")
    roots = [span.name for span in spans if not span.parent]
    if roots != [ROOT]:
        found.append(f"the roots are {roots}")
    for span in spans:
        if span.parent and span.parent not in of_id:
            found.append(f"{span.name} hangs below nothing that is known")
        elif span.parent and of_id[span.parent].name not in BELOW.get(span.name, set()):
            found.append(f"{span.name} hangs below {of_id[span.parent].name}")
        if span.links:
            found.append(f"{span.name} has links, and nothing here has causes elsewhere")
        if not 0 < span.began_ns <= span.ended_ns:
            found.append(f"{span.name} ends before it begins")
        if span.name != "commit journal" and span.flow != "order/421":
            found.append(f"{span.name} is of {span.flow}")
    return found + [f"{span.name} hangs below itself" for span in spans if _is_cyclic(span, of_id)]


def derived(journal: Path) -> dict[str, str]:
    """Span ids that the journal tells of, each with the name of its span."""
    with closing(sqlite3.connect(journal)) as connection:
        (journal_id,) = connection.execute("select id from journal").fetchone()
        ids = SpanIds(journal_id)
        found = {ids.of(id): f"publish {kind}" for id, kind in connection.execute("select id, type from event")}
        for id, gateway in connection.execute("select id, gateway from command"):
            found[ids.of(id)] = f"send {gateway}"
            found[ids.attempt(id, 0, 1, 0)] = f"attempt {gateway}"
        for version, process, key in connection.execute(
            "select step.version, flow.process, flow.key from step join flow on flow.id = step.flow"
        ):
            found[ids.turn(process, key, version)] = f"handle {process}"
    return {f"{id:016x}": name for id, name in found.items()}


def _is_cyclic(span: Received, of_id: dict[str, Received]) -> bool:
    seen = {span.span_id}
    while span.parent in of_id:
        span = of_id[span.parent]
        if span.span_id in seen:
            return True
        seen.add(span.span_id)
    return False
