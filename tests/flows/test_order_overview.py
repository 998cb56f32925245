"""What the order overview shows of each course that an order can take."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows import order_fulfilment, order_overview
from flows.order_fulfilment import (
    CardRefunded,
    ChargeLost,
    OrderPlaced,
    ParcelShipped,
    ParcelTurnedDown,
    PaymentCaptured,
    PaymentDeclined,
    PaymentWindowClosed,
    StockRanOut,
    StockReleased,
    StockReserved,
)
from flows.order_overview import OrderOverview
from procession import Event, Settings
from procession.testing import project
from procession.wiring import combine, open_wired

SETTINGS = Settings()
PLACED = OrderPlaced("421", "kettle", 4200)
SHOWN = "select status, refunded, released from orders"


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        ([], ("placed", 0, 0)),
        ([StockReserved("421")], ("reserved", 0, 0)),
        ([StockRanOut("421")], ("out of stock", 0, 0)),
        ([StockReserved("421"), PaymentCaptured("421")], ("paid", 0, 0)),
        ([StockReserved("421"), PaymentDeclined("421"), StockReleased("421")], ("declined", 0, 1)),
        ([StockReserved("421"), ChargeLost("421", perhaps_taken=True), CardRefunded("421")], ("given up", 1, 0)),
        ([StockReserved("421"), PaymentCaptured("421"), ParcelShipped("421")], ("shipped", 0, 0)),
        (
            [StockReserved("421"), PaymentCaptured("421"), ParcelTurnedDown("421"), CardRefunded("421")],
            ("unshippable", 1, 0),
        ),
        (
            [StockReserved("421"), PaymentWindowClosed("421"), PaymentCaptured("421"), CardRefunded("421")],
            ("not paid in time", 1, 0),
        ),
    ],
)
def test_an_order_is_shown_as_far_as_it_came(events: list[Event], shown: tuple[str, int, int]) -> None:
    assert project(OrderOverview, PLACED, *events).query(SHOWN) == [shown]


def test_an_order_that_is_placed_twice_is_one() -> None:
    assert project(OrderOverview, PLACED, StockReserved("421"), PLACED).query(SHOWN) == [("reserved", 0, 0)]


def test_what_was_never_placed_is_not_shown() -> None:
    assert project(OrderOverview, ParcelShipped("421")).query(SHOWN) == []


async def test_orders_that_run_are_shown_when_they_end(tmp_path: Path) -> None:
    wired = combine([order_fulfilment.wire_testing(SETTINGS), order_overview.wire_testing(SETTINGS)])
    async with open_wired(wired, SETTINGS, journal=tmp_path / "orders.db") as runtime:
        await runtime.publish([OrderPlaced(str(number), "kettle", 4200) for number in range(20)])
        await runtime.drain()
        head = (await runtime.journal.heads()).position
        found = await runtime.query(OrderOverview, OrderOverview.by_status, at_least=head, timeout_s=30)
        assert found == {"shipped": 20}
