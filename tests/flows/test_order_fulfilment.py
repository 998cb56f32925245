"""Order fulfilment, by what it asks for."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import pytest

from flows.order_fulfilment import (
    CardRefunded,
    ChargeCard,
    ChargeLost,
    Order,
    OrderPlaced,
    ParcelShipped,
    ParcelTurnedDown,
    PaymentCaptured,
    PaymentDeclined,
    PaymentWindowClosed,
    RefundCard,
    ReleaseStock,
    ReservationLost,
    ReserveStock,
    ShipmentLost,
    ShipParcel,
    StockRanOut,
    StockReleased,
    StockReserved,
)
from procession import Command, CommandGivenUp
from procession.testing.scenario import given

HALF_AN_HOUR = timedelta(minutes=30)
placed = given(Order, OrderPlaced("421", "kettle", 4200))
charging = given(Order, OrderPlaced("421", "kettle", 4200), StockReserved("421"))
shipping = given(Order, OrderPlaced("421", "kettle", 4200), StockReserved("421"), PaymentCaptured("421"))


def given_up(command: Command, reason: Literal["refused", "unknown"] = "unknown") -> CommandGivenUp[Command]:
    return CommandGivenUp(command, "c1", reason, 5, "OutsideError: no answer")


def test_an_order_reserves_before_it_takes_money() -> None:
    given(Order).when(OrderPlaced("421", "kettle", 4200)).then(ReserveStock("421", "kettle"))


def test_a_reserved_order_is_charged_its_amount() -> None:
    placed.when(StockReserved("421")).then(ChargeCard("421", 4200))


def test_a_charge_has_half_an_hour() -> None:
    placed.when(StockReserved("421")).then_armed(PaymentWindowClosed("421"), after=HALF_AN_HOUR)


def test_an_order_without_stock_ends_without_a_charge() -> None:
    placed.when(StockRanOut("421")).then_ends("out_of_stock").then_unarmed()


def test_a_paid_order_is_shipped() -> None:
    charging.when(PaymentCaptured("421")).then(ShipParcel("421"))


def test_a_payment_in_time_disarms_the_deadline() -> None:
    charging.elapse(timedelta(minutes=29)).when(PaymentCaptured("421")).then_unarmed(PaymentWindowClosed)


def test_a_shipped_order_ends() -> None:
    shipping.when(ParcelShipped("421")).then_ends("shipped")


def test_a_declined_order_releases_its_stock() -> None:
    charging.when(PaymentDeclined("421")).then(ReleaseStock("421")).then_unarmed()


def test_a_declined_order_ends_when_its_stock_is_released() -> None:
    charging.when(PaymentDeclined("421")).when(StockReleased("421")).then_ends("declined")


def test_a_closed_payment_window_releases_the_stock() -> None:
    charging.elapse(HALF_AN_HOUR).then(ReleaseStock("421"))


def test_an_unpaid_order_does_not_end_while_its_charge_is_open() -> None:
    charging.elapse(HALF_AN_HOUR).when(StockReleased("421")).then_nothing().then_goes_on()


def test_a_payment_after_the_window_is_refunded() -> None:
    charging.elapse(HALF_AN_HOUR).when(PaymentCaptured("421")).then(RefundCard("421"))


def test_a_payment_after_window_and_release_is_refunded_too() -> None:
    charging.elapse(HALF_AN_HOUR).when(StockReleased("421"), PaymentCaptured("421")).then(RefundCard("421"))


@pytest.mark.parametrize("first", [StockReleased("421"), CardRefunded("421")], ids=["release", "refund"])
def test_a_late_payment_ends_only_when_all_is_undone(first: StockReleased | CardRefunded) -> None:
    charging.elapse(HALF_AN_HOUR).when(PaymentCaptured("421"), first).then_goes_on()


@pytest.mark.parametrize("released_first", [True, False])
def test_a_late_payment_ends_in_either_order_of_release_and_refund(released_first: bool) -> None:
    answers = (
        (StockReleased("421"), CardRefunded("421")) if released_first else (CardRefunded("421"), StockReleased("421"))
    )
    charging.elapse(HALF_AN_HOUR).when(PaymentCaptured("421"), *answers).then_ends("not_paid_in_time")


def test_a_decline_after_the_window_does_not_release_again() -> None:
    charging.elapse(HALF_AN_HOUR).when(PaymentDeclined("421")).then_nothing()


def test_a_decline_after_window_and_release_ends_the_order() -> None:
    charging.elapse(HALF_AN_HOUR).when(StockReleased("421"), PaymentDeclined("421")).then_ends("not_paid_in_time")


def test_a_parcel_that_is_turned_down_undoes_payment_and_reservation() -> None:
    shipping.when(ParcelTurnedDown("421")).then(RefundCard("421"), ReleaseStock("421"))


def test_an_unshippable_order_ends_when_both_are_undone() -> None:
    undone = (CardRefunded("421"), StockReleased("421"))
    shipping.when(ParcelTurnedDown("421"), *undone).then_ends("unshippable")


def test_a_reservation_given_up_is_recorded_and_released() -> None:
    outcome = placed.when(given_up(ReserveStock("421", "kettle")))
    outcome.then_recorded(ReservationLost("421")).then(ReleaseStock("421"))


def test_a_reservation_given_up_ends_out_of_stock() -> None:
    placed.when(given_up(ReserveStock("421", "kettle")), StockReleased("421")).then_ends("out_of_stock")


def test_a_charge_that_may_have_been_taken_is_refunded() -> None:
    outcome = charging.when(given_up(ChargeCard("421", 4200)))
    outcome.then_recorded(ChargeLost("421", perhaps_taken=True)).then(RefundCard("421"), ReleaseStock("421"))


def test_a_charge_that_was_refused_is_not_refunded() -> None:
    charging.when(given_up(ChargeCard("421", 4200), "refused")).then(ReleaseStock("421")).then_unarmed()


def test_a_charge_given_up_after_the_window_does_not_release_again() -> None:
    charging.elapse(HALF_AN_HOUR).when(given_up(ChargeCard("421", 4200))).then(RefundCard("421"))


def test_a_charge_refused_after_window_and_release_ends_the_order() -> None:
    closed = charging.elapse(HALF_AN_HOUR).when(StockReleased("421"))
    closed.when(given_up(ChargeCard("421", 4200), "refused")).then_ends("not_paid_in_time")


def test_a_shipment_given_up_undoes_payment_and_reservation() -> None:
    outcome = shipping.when(given_up(ShipParcel("421")))
    outcome.then_recorded(ShipmentLost("421")).then(RefundCard("421"), ReleaseStock("421"))


def test_a_refund_given_up_needs_a_person() -> None:
    refunding = charging.elapse(HALF_AN_HOUR).when(PaymentCaptured("421"))
    refunding.when(given_up(RefundCard("421"))).then_quarantined("RefundCard: was given up")


def test_an_order_placed_twice_is_one_order() -> None:
    placed.when(OrderPlaced("421", "kettle", 4200)).then_refused("already_started")


def test_a_payment_of_an_unknown_order_is_missing_its_flow() -> None:
    given(Order).when(PaymentCaptured("421")).then_refused("missing")


def test_nothing_happens_to_an_order_that_has_ended() -> None:
    shipping.when(ParcelShipped("421")).when(PaymentCaptured("421")).then_refused("late")
