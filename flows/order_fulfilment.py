"""Order fulfilment: reserve, charge, ship; and undo what was done when one of them fails.

    OrderPlaced → ReserveStock → ChargeCard → ShipParcel → shipped
                      │              │             └ turned down → RefundCard + ReleaseStock → unshippable
                      │              ├ declined → ReleaseStock → declined
                      │              └ 30 minutes without an answer → ReleaseStock → not_paid_in_time
                      └ nothing left → out_of_stock

A charge can't be called back. So an order whose payment window has closed releases its stock at once, but waits for
the charge to come to an end, and refunds a payment that came too late. Each order ends when nothing is open any more.

Given up, a charge, a reservation and a parcel fail the order. A refund or a release that was given up has no handler:
the order goes to quarantine, since only a person can mend that, and `procession retry` sends the command again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from flows.simulated.parcels import SimulatedParcels
from flows.simulated.payments import SimulatedPayments
from flows.simulated.warehouse import SimulatedWarehouse
from flows.simulated.weather import CALM, Weather
from procession import (
    Attempt,
    Command,
    CommandGivenUp,
    Effects,
    Event,
    Gateway,
    History,
    ProcessManager,
    Settings,
    Wiring,
    after,
    cancel,
    end,
    ends,
    folds,
    invariant,
    on,
    record,
    starts,
)

PAYMENT_WINDOW = timedelta(minutes=30)


# What can happen.


class OrderEvent(Event, abstract=True):
    """What all of them have in common."""

    order_id: str


class OrderPlaced(OrderEvent, name="order.placed"):
    """A customer ordered; here it begins."""

    article: str
    amount_cents: int


class StockReserved(OrderEvent, name="stock.reserved"):
    """The article is set aside for this order."""


class StockRanOut(OrderEvent, name="stock.ran_out"):
    """Nothing was left to set aside."""


class StockReleased(OrderEvent, name="stock.released"):
    """Nothing is set aside for this order any more."""


class PaymentCaptured(OrderEvent, name="payment.captured"):
    """The money is ours."""


class PaymentDeclined(OrderEvent, name="payment.declined"):
    """The card was not charged. An ordinary event: the flow goes another way."""


class PaymentWindowClosed(OrderEvent, name="payment.window_closed"):
    """The customer's time to pay is over: a deadline is one of the flow's own events."""


class CardRefunded(OrderEvent, name="payment.refunded"):
    """Whatever was taken for this order was given back."""


class ParcelShipped(OrderEvent, name="parcel.shipped"):
    """The parcel is on its way."""


class ParcelTurnedDown(OrderEvent, name="parcel.turned_down"):
    """No carrier takes this parcel."""


class ReservationLost(OrderEvent, name="order.reservation_lost"):
    """The warehouse was given up. It may have set the article aside."""


class ChargeLost(OrderEvent, name="order.charge_lost"):
    """The payment provider was given up."""

    perhaps_taken: bool


class ShipmentLost(OrderEvent, name="order.shipment_lost"):
    """The parcel service was given up."""


# What the flow may ask for.


class ReserveStock(Command, name="stock.reserve"):
    """Set the article aside."""

    order_id: str
    article: str


class ReleaseStock(Command, name="stock.release"):
    """Put back whatever is set aside."""

    order_id: str


class ChargeCard(Command, name="payment.charge"):
    """Take the money."""

    order_id: str
    amount_cents: int


class RefundCard(Command, name="payment.refund"):
    """Give back whatever was taken."""

    order_id: str


class ShipParcel(Command, name="parcel.ship"):
    """Send it."""

    order_id: str


# The flow.


class Order(ProcessManager, name="order", key="order_id"):
    """One order. `open` names what is asked for and not answered yet; `failed`, why the order can't succeed."""

    amount_cents: int = 0
    open: frozenset[str] = frozenset()
    failed: str = ""

    # How the state moves. Only this is replayed.

    @folds
    def was_placed(self, event: OrderPlaced) -> Order:
        return self.evolve(amount_cents=event.amount_cents, open=frozenset({"stock"}))

    @folds
    def was_reserved(self, event: StockReserved) -> Order:
        return self._answered("stock", "payment")

    @folds
    def was_not_reserved(self, event: ReservationLost) -> Order:
        return self._answered("stock", "release", failed="out_of_stock")

    @folds
    def was_captured(self, event: PaymentCaptured) -> Order:
        return self._answered("payment", "refund" if self.failed else "parcel")

    @folds
    def was_declined(self, event: PaymentDeclined) -> Order:
        return self._answered("payment", *self._release_once(), failed="declined")

    @folds
    def was_not_paid_in_time(self, event: PaymentWindowClosed) -> Order:
        return self._answered("", *self._release_once(), failed="not_paid_in_time")

    @folds
    def charge_was_lost(self, event: ChargeLost) -> Order:
        refund = ("refund",) if event.perhaps_taken else ()
        return self._answered("payment", *refund, *self._release_once(), failed="charge_lost")

    @folds
    def was_not_shipped(self, event: ParcelTurnedDown | ShipmentLost) -> Order:
        return self._answered("parcel", "refund", "release", failed="unshippable")

    @folds
    def was_released(self, event: StockReleased) -> Order:
        return self._answered("release")

    @folds
    def was_refunded(self, event: CardRefunded) -> Order:
        return self._answered("refund")

    def _answered(self, answered: str, *asked: str, failed: str = "") -> Order:
        return self.evolve(open=self.open - {answered} | set(asked), failed=self.failed or failed)

    def _release_once(self) -> tuple[str, ...]:
        return () if self.failed else ("release",)

    # What follows from it.

    @starts
    def reserve(self, placed: OrderPlaced) -> Effects:
        """First of all, make sure that there is something to sell."""
        yield ReserveStock(placed.order_id, placed.article)

    @ends(outcome="out_of_stock")
    def nothing_left(self, event: StockRanOut) -> None:
        """Nothing was reserved, nothing is to be undone."""

    @on
    def charge(self, reserved: StockReserved) -> Effects:
        """It is set aside: take the money, but do not keep it set aside for ever."""
        yield ChargeCard(reserved.order_id, self.amount_cents)
        yield after(PAYMENT_WINDOW, PaymentWindowClosed(reserved.order_id))

    @on
    def ship_or_refund(self, captured: PaymentCaptured) -> Effects:
        """Paid: send it. Paid after the window had closed: the article is gone, give the money back."""
        yield cancel(PaymentWindowClosed)
        yield RefundCard(captured.order_id) if self.failed else ShipParcel(captured.order_id)

    @on
    def release_unpaid(self, declined: PaymentDeclined) -> Effects:
        """Not paid: put it back, unless that was done when the window closed."""
        yield cancel(PaymentWindowClosed)
        if self.failed == "declined":
            yield ReleaseStock(declined.order_id)
        elif not self.open:
            yield end(self.failed)

    @on
    def release_in_time(self, closed: PaymentWindowClosed) -> Effects:
        """Not paid in time: others may have it. The charge is still open, so the order is too."""
        yield ReleaseStock(closed.order_id)

    @on
    def undo_shipment(self, event: ParcelTurnedDown | ShipmentLost) -> Effects:
        """It can't be sent: undo everything."""
        yield RefundCard(event.order_id)
        yield ReleaseStock(event.order_id)

    @on
    def undo_reservation(self, lost: ReservationLost) -> Effects:
        """Whether it was set aside is not known; releasing what is not reserved does no harm."""
        yield ReleaseStock(lost.order_id)

    @on
    def undo_charge(self, lost: ChargeLost) -> Effects:
        """Whether the money was taken may not be known; refunding what was not taken does no harm."""
        yield cancel(PaymentWindowClosed)
        if lost.perhaps_taken:
            yield RefundCard(lost.order_id)
        if self.failed == "charge_lost":
            yield ReleaseStock(lost.order_id)
        if not self.open:
            yield end(self.failed)

    @on
    def undone(self, event: StockReleased | CardRefunded) -> Effects:
        """The order has failed, and ends when the last thing is undone."""
        if not self.open:
            yield end(self.failed)

    @ends(outcome="shipped")
    def shipped(self, event: ParcelShipped) -> None:
        """It is on its way."""

    # A failure never changes state. What the flow must remember of it, it records as a fact.

    @on
    def reservation_given_up(self, given_up: CommandGivenUp[ReserveStock]) -> Effects:
        yield record(ReservationLost(given_up.command.order_id))

    @on
    def charge_given_up(self, given_up: CommandGivenUp[ChargeCard]) -> Effects:
        yield record(ChargeLost(given_up.command.order_id, perhaps_taken=given_up.reason == "unknown"))

    @on
    def shipment_given_up(self, given_up: CommandGivenUp[ShipParcel]) -> Effects:
        yield record(ShipmentLost(given_up.command.order_id))


# What must hold of every order, in whatever order things happen.


@invariant(Order)
def never_ships_what_it_refunds(history: History) -> bool:
    """A customer gets the parcel or the money back, never both."""
    return not history.handled(ParcelShipped) or not history.sent(RefundCard)


@invariant(Order)
def keeps_no_money_without_a_parcel(history: History) -> bool:
    """An order that was paid ends with its parcel on the way, or with the money given back."""
    if history.outcome is None or not history.handled(PaymentCaptured):
        return True
    return bool(history.handled(ParcelShipped, CardRefunded))


@invariant(Order)
def keeps_no_stock_without_a_parcel(history: History) -> bool:
    """An order whose article was set aside ends with it on the way, or with the stock released."""
    if history.outcome is None or not history.handled(StockReserved):
        return True
    return bool(history.handled(ParcelShipped, StockReleased))


# Where the work is done. A system of yours takes the place of a simulated one if it has these methods.


class WarehouseSystem(Protocol):
    """What the flow needs of a warehouse. `attempt.command_id` is the idempotency key."""

    async def reserve(self, order_id: str, article: str, attempt: Attempt) -> bool: ...
    async def release(self, order_id: str, attempt: Attempt) -> None: ...


class PaymentSystem(Protocol):
    """What the flow needs of a payment provider."""

    async def charge(self, order_id: str, amount_cents: int, attempt: Attempt) -> bool: ...
    async def refund(self, order_id: str, attempt: Attempt) -> None: ...


class ParcelSystem(Protocol):
    """What the flow needs of a parcel service."""

    async def ship(self, order_id: str, attempt: Attempt) -> bool: ...


class Warehouse(Gateway, name="warehouse", concurrency=16):
    """Asks the warehouse, and says in events what it answered."""

    system: WarehouseSystem

    async def reserve(self, command: ReserveStock, attempt: Attempt) -> StockReserved | StockRanOut:
        reserved = await self.system.reserve(command.order_id, command.article, attempt)
        return StockReserved(command.order_id) if reserved else StockRanOut(command.order_id)

    async def release(self, command: ReleaseStock, attempt: Attempt) -> StockReleased:
        await self.system.release(command.order_id, attempt)
        return StockReleased(command.order_id)


class Payments(Gateway, name="payments", concurrency=16):
    """Asks the payment provider."""

    system: PaymentSystem

    async def charge(self, command: ChargeCard, attempt: Attempt) -> PaymentCaptured | PaymentDeclined:
        charged = await self.system.charge(command.order_id, command.amount_cents, attempt)
        return PaymentCaptured(command.order_id) if charged else PaymentDeclined(command.order_id)

    async def refund(self, command: RefundCard, attempt: Attempt) -> CardRefunded:
        await self.system.refund(command.order_id, attempt)
        return CardRefunded(command.order_id)


class Parcels(Gateway, name="parcels", concurrency=16):
    """Asks the parcel service."""

    system: ParcelSystem

    async def ship(self, command: ShipParcel, attempt: Attempt) -> ParcelShipped | ParcelTurnedDown:
        shipped = await self.system.ship(command.order_id, attempt)
        return ParcelShipped(command.order_id) if shipped else ParcelTurnedDown(command.order_id)


def wire_production(settings: Settings) -> Wiring:
    """A reference flow has no real systems behind it: these are simulated, a little slow. Swap in your own."""
    return wire_simulated(Weather(latency_s=0.02, slow_share=0.01, slow_s=0.5))


def wire_testing(settings: Settings) -> Wiring:
    """The same gateways; the systems answer at once, and always with yes."""
    return wire_simulated(CALM)


def wire_simulated(weather: Weather) -> Wiring:
    """Simulated systems in this weather."""
    return Wiring(
        processes=(Order,),
        gateways=(
            Warehouse(SimulatedWarehouse(weather)),
            Payments(SimulatedPayments(weather)),
            Parcels(SimulatedParcels(weather)),
        ),
        invariants=(never_ships_what_it_refunds, keeps_no_money_without_a_parcel, keeps_no_stock_without_a_parcel),
    )
