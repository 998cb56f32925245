"""An order that a slow payment may overtake: repaired, and with three races planted."""

from __future__ import annotations

from datetime import timedelta

from procession import (
    Command,
    Effects,
    Event,
    Gateway,
    History,
    ProcessManager,
    after,
    cancel,
    end,
    folds,
    invariant,
    on,
    starts,
)


class OrderPlaced(Event, name="race.order_placed"):
    order_id: str


class PaymentWindowClosed(Event, name="race.payment_window_closed"):
    order_id: str


class UndoOverdue(Event, name="race.undo_overdue"):
    order_id: str


class PaymentCaptured(Event, name="race.payment_captured"):
    order_id: str


class PaymentDeclined(Event, name="race.payment_declined"):
    order_id: str


class CardRefunded(Event, name="race.card_refunded"):
    order_id: str


class ParcelShipped(Event, name="race.parcel_shipped"):
    order_id: str


class OrderCancelled(Event, name="race.order_cancelled"):
    order_id: str


class ChargeCard(Command, name="race.charge_card"):
    order_id: str


class RefundCard(Command, name="race.refund_card"):
    order_id: str


class ShipParcel(Command, name="race.ship_parcel"):
    order_id: str


class CancelOrder(Command, name="race.cancel_order"):
    order_id: str


class Order(ProcessManager, name="race.order", key="order_id"):
    open: frozenset[str] = frozenset()
    cancelled: bool = False

    @folds
    def was_placed(self, placed: OrderPlaced) -> Order:
        return self.evolve(open=frozenset({"charge"}))

    @folds
    def was_not_paid_in_time(self, closed: PaymentWindowClosed) -> Order:
        return self.evolve(open=self.open | {"cancel"}, cancelled=True)

    @folds
    def was_declined(self, declined: PaymentDeclined) -> Order:
        return self.evolve(open=self.open - {"charge"})

    @folds
    def was_paid(self, captured: PaymentCaptured) -> Order:
        return self.evolve(open=self.open - {"charge"} | {"refund" if self.cancelled else "ship"})

    @folds
    def one_done(self, done: ParcelShipped | CardRefunded | OrderCancelled) -> Order:
        kind = {ParcelShipped: "ship", CardRefunded: "refund", OrderCancelled: "cancel"}[type(done)]
        return self.evolve(open=self.open - {kind})

    @starts
    def take_payment(self, placed: OrderPlaced) -> Effects:
        yield ChargeCard(placed.order_id)
        yield after(timedelta(minutes=30), PaymentWindowClosed(placed.order_id))

    @on
    def give_up_waiting(self, closed: PaymentWindowClosed) -> Effects:
        yield CancelOrder(closed.order_id)

    @on
    def paid(self, captured: PaymentCaptured) -> Effects:
        yield cancel(PaymentWindowClosed)
        yield RefundCard(captured.order_id) if self.cancelled else ShipParcel(captured.order_id)

    @on
    def declined(self, declined: PaymentDeclined) -> Effects:
        yield cancel(PaymentWindowClosed)
        if not self.open:
            yield end("cancelled" if self.cancelled else "declined")

    @on
    def last_one(self, done: ParcelShipped | CardRefunded | OrderCancelled) -> Effects:
        if not self.open:
            yield end("cancelled" if self.cancelled else "shipped")


class PaidAfterCancelled(Order, name="race.order.paid_after_cancelled", key="order_id"):
    """Nobody thought of a payment that comes after the window has closed."""

    @on
    def paid(self, captured: PaymentCaptured) -> Effects:
        yield cancel(PaymentWindowClosed)
        yield ShipParcel(captured.order_id)


class StuckAfterDecline(Order, name="race.order.stuck_after_decline", key="order_id"):
    """The deadline goes, and with it the last thing that would have ended the order."""

    @on
    def declined(self, declined: PaymentDeclined) -> Effects:
        yield cancel(PaymentWindowClosed)


class TimerAfterEnd(Order, name="race.order.timer_after_end", key="order_id"):
    """A reminder for what is still open: in one order of answers there is nothing open any more."""

    @on
    def last_one(self, done: ParcelShipped | CardRefunded | OrderCancelled) -> Effects:
        if isinstance(done, OrderCancelled):
            yield after(timedelta(days=1), UndoOverdue(done.order_id))
        if not self.open:
            yield end("cancelled" if self.cancelled else "shipped")

    @on
    def remind(self, overdue: UndoOverdue) -> None:
        """Someone should look at it."""


class Payments(Gateway, name="race.payments"):
    async def charge(self, command: ChargeCard) -> PaymentCaptured | PaymentDeclined:
        raise NotImplementedError

    async def refund(self, command: RefundCard) -> CardRefunded:
        raise NotImplementedError


class Office(Gateway, name="race.office"):
    async def ship(self, command: ShipParcel) -> ParcelShipped:
        raise NotImplementedError

    async def cancel(self, command: CancelOrder) -> OrderCancelled:
        raise NotImplementedError


GATEWAYS = (Payments, Office)


@invariant(Order)
def never_ships_what_it_cancels(history: History) -> bool:
    return not history.sent(ShipParcel) or not history.sent(CancelOrder)
