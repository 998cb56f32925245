"""Order overview: one row for each order, with what became of it and when. What a shop's back office asks for.

await runtime.query(OrderOverview, "select order_id from orders where status = 'paid'", at_least=position)
await runtime.query(OrderOverview, OrderOverview.by_status)
"""

from __future__ import annotations

from flows.order_fulfilment import (
    CardRefunded,
    ChargeLost,
    OrderPlaced,
    ParcelShipped,
    ParcelTurnedDown,
    PaymentCaptured,
    PaymentDeclined,
    PaymentWindowClosed,
    ReservationLost,
    ShipmentLost,
    StockRanOut,
    StockReleased,
    StockReserved,
)
from procession import Envelope, Projector, Reading, Settings, Store, Wiring, projects

Moved = StockReserved | StockRanOut | PaymentCaptured | PaymentDeclined | PaymentWindowClosed | ParcelShipped
Failed = ParcelTurnedDown | ReservationLost | ChargeLost | ShipmentLost


class OrderOverview(Projector, name="order_overview", version=1):
    """All orders. An event of an order that was never placed changes nothing."""

    tables = (
        """create table orders (
            order_id text primary key,
            article text not null,
            amount_cents integer not null,
            status text not null,
            refunded integer not null default 0,
            released integer not null default 0,
            placed_at text not null,
            changed_at text not null
        ) strict""",
        "create index orders_by_status on orders (status, placed_at)",
    )

    @projects
    def placed(self, placed: OrderPlaced, envelope: Envelope, store: Store) -> None:
        """It begins. Placed twice, it is one order all the same."""
        at = envelope.recorded_at.isoformat()
        store.execute(
            "insert into orders (order_id, article, amount_cents, status, placed_at, changed_at)"
            " values (?, ?, ?, 'placed', ?, ?) on conflict do nothing",
            (placed.order_id, placed.article, placed.amount_cents, at, at),
        )

    @projects
    def moved_on(self, event: Moved | Failed, envelope: Envelope, store: Store) -> None:
        """It has come further, or failed. What has come to its end keeps it: a late payment is refunded, not paid."""
        store.execute(
            "update orders set status = ?, changed_at = ?"
            " where order_id = ? and status in ('placed', 'reserved', 'paid')",
            (_status(event), envelope.recorded_at.isoformat(), event.order_id),
        )

    @projects
    def refunded(self, event: CardRefunded, envelope: Envelope, store: Store) -> None:
        """Whatever was taken was given back."""
        at = envelope.recorded_at.isoformat()
        store.execute("update orders set refunded = 1, changed_at = ? where order_id = ?", (at, event.order_id))

    @projects
    def released(self, event: StockReleased, envelope: Envelope, store: Store) -> None:
        """Nothing is set aside for it any more."""
        at = envelope.recorded_at.isoformat()
        store.execute("update orders set released = 1, changed_at = ? where order_id = ?", (at, event.order_id))

    def by_status(self, reading: Reading) -> dict[str, int]:
        """How many orders stand where."""
        return dict(reading.execute("select status, count(*) from orders group by status order by status"))


def _status(event: Moved | Failed) -> str:  # noqa: PLR0911 - a table, read downwards
    match event:
        case StockReserved():
            return "reserved"
        case StockRanOut():
            return "out of stock"
        case PaymentCaptured():
            return "paid"
        case PaymentDeclined():
            return "declined"
        case PaymentWindowClosed():
            return "not paid in time"
        case ParcelShipped():
            return "shipped"
        case ParcelTurnedDown():
            return "unshippable"
    return "given up"


def wire_production(settings: Settings) -> Wiring:
    """The projection alone: the orders themselves are wired by `flows.order_fulfilment`."""
    return Wiring(processes=(), gateways=(), projectors=(OrderOverview,))


def wire_testing(settings: Settings) -> Wiring:
    """The same: a projection has nothing outside."""
    return wire_production(settings)
