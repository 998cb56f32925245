"""What runs while the process is killed: an order saga and a fan-out, and the script that is published to them.

Every outcome depends on what happened only, not on the order in which answers came: so a run that was killed at will
must end as one that nobody disturbed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from hashlib import blake2b

import attrs
import trio

from procession import (
    Attempt,
    Command,
    Effects,
    Event,
    Gateway,
    Outside,
    ProcessManager,
    after,
    cancel,
    end,
    folds,
    on,
    record,
    starts,
)
from tests.crash.lines import LineLog

ITEMS = 3
"""Items that are added to each order, each by an event of its own."""
PARTS = 4
"""Parts of a batch, each settled by a command of its own."""
SAGAS = 5
BATCHES = 1
"""Flows that begin in one burst of the script."""
BURSTS_BACK = 3
"""A new life publishes so many bursts again that were acknowledged already."""
SOURCE = "shop"
PEEK = "order.looked_at"
"""An event that nothing depends on: whether it comes before or after the end of its order is chance."""


class OrderPlaced(Event, name="order.placed"):
    order_id: str


class ItemAdded(Event, name="order.item_added"):
    order_id: str
    item: int
    cents: int


class OrderLookedAt(Event, name=PEEK):
    order_id: str


class ItemReserved(Event, name="item.reserved"):
    order_id: str
    item: int
    cents: int


class ReservationCompleted(Event, name="order.reservation_completed"):
    order_id: str


class CoolingOffEnded(Event, name="order.cooling_off_ended"):
    order_id: str


class PaymentOverdue(Event, name="order.payment_overdue"):
    order_id: str


class CardCharged(Event, name="card.charged"):
    order_id: str
    cents: int


class ParcelShipped(Event, name="parcel.shipped"):
    order_id: str


class ReserveItem(Command, name="item.reserve"):
    order_id: str
    item: int
    cents: int


class ChargeCard(Command, name="card.charge"):
    order_id: str
    cents: int


class ShipParcel(Command, name="parcel.ship"):
    order_id: str


class Order(ProcessManager, name="order", key="order_id", missing="wait"):
    reserved: int = 0
    cents: int = 0

    @starts
    def placed(self, placed: OrderPlaced) -> Effects:
        yield after(timedelta(minutes=30), PaymentOverdue(placed.order_id))

    @on
    def added(self, added: ItemAdded) -> Effects:
        yield ReserveItem(added.order_id, added.item, added.cents)

    @on
    def looked_at(self, looked_at: OrderLookedAt) -> None:
        """Nothing follows."""

    @folds
    def one_more(self, reserved: ItemReserved) -> Order:
        return self.evolve(reserved=self.reserved + 1, cents=self.cents + reserved.cents)

    @on
    def counted(self, reserved: ItemReserved) -> Effects:
        if self.reserved == ITEMS:
            yield record(ReservationCompleted(reserved.order_id))

    @on
    def completed(self, completed: ReservationCompleted) -> Effects:
        yield after(timedelta(milliseconds=15), CoolingOffEnded(completed.order_id))

    @on
    def cooled_off(self, ended: CoolingOffEnded) -> Effects:
        yield ChargeCard(ended.order_id, self.cents)

    @on
    def charged(self, charged: CardCharged) -> Effects:
        yield cancel(PaymentOverdue)
        yield ShipParcel(charged.order_id)

    @on
    def overdue(self, overdue: PaymentOverdue) -> Effects:
        yield end("overdue")

    @on
    def shipped(self, shipped: ParcelShipped) -> Effects:
        yield end(f"shipped {self.reserved} items for {self.cents}")


class BatchOpened(Event, name="batch.opened"):
    batch_id: str


class PartSettled(Event, name="part.settled"):
    batch_id: str
    part: int


class PartRejected(Event, name="part.rejected"):
    batch_id: str
    part: int


class BatchReported(Event, name="batch.reported"):
    batch_id: str


class SettlePart(Command, name="part.settle"):
    batch_id: str
    part: int


class ReportBatch(Command, name="batch.report"):
    batch_id: str


class Batch(ProcessManager, name="batch", key="batch_id"):
    settled: int = 0
    rejected: int = 0

    @starts
    def opened(self, opened: BatchOpened) -> Effects:
        for part in range(PARTS):
            yield SettlePart(opened.batch_id, part)

    @folds
    def one_settled(self, settled: PartSettled) -> Batch:
        return self.evolve(settled=self.settled + 1)

    @folds
    def one_rejected(self, rejected: PartRejected) -> Batch:
        return self.evolve(rejected=self.rejected + 1)

    @on
    def counted(self, event: PartSettled | PartRejected) -> Effects:
        if self.settled + self.rejected == PARTS:
            yield ReportBatch(event.batch_id)

    @on
    def reported(self, reported: BatchReported) -> Effects:
        yield end(f"{self.settled} settled, {self.rejected} rejected")


@attrs.define
class World:
    """The world behind the gateways: slow by chance, failing once here and there, and all of it logged."""

    log: LineLog
    chance: random.Random
    latency_ms_max: float

    def __attrs_post_init__(self) -> None:
        self.log.write("life")

    async def do(self, attempt: Attempt, what: str) -> None:
        """One effect, from its begin to its end."""
        self.log.write(f"begin {attempt.command_id} {attempt.process}/{attempt.key} {what}")
        await trio.sleep(self.chance.uniform(0.2, 1) * self.latency_ms_max / 1000)
        if attempt.number == 1 and self.chance.random() < FAILING_SHARE:
            msg = "failed once"
            raise ConnectionError(msg)
        self.log.write(f"end {attempt.command_id}")


FAILING_SHARE = 0.05
_POLICY = {
    "timeout_s": 10,
    "attempts_max": 10,
    "backoff_initial_s": 0.01,
    "backoff_max_s": 0.05,
    "breaker_failures": 10_000,
}


class Shop(Gateway, name="shop", concurrency=12, **_POLICY):
    outside: World

    async def reserve(self, command: ReserveItem, attempt: Attempt) -> ItemReserved:
        await self.outside.do(attempt, f"reserve-{command.item}")
        return ItemReserved(command.order_id, command.item, command.cents)

    async def charge(self, command: ChargeCard, attempt: Attempt) -> CardCharged:
        await self.outside.do(attempt, "charge")
        return CardCharged(command.order_id, command.cents)

    async def ship(self, command: ShipParcel, attempt: Attempt) -> ParcelShipped:
        await self.outside.do(attempt, "ship")
        return ParcelShipped(command.order_id)


class Bank(Gateway, name="bank", concurrency=6, ordered=True, **_POLICY):
    outside: World

    async def settle(self, command: SettlePart, attempt: Attempt) -> PartSettled | PartRejected:
        await self.outside.do(attempt, f"settle-{command.part}")
        if number_of(command.batch_id, command.part) % 3 == 0:
            return PartRejected(command.batch_id, command.part)
        return PartSettled(command.batch_id, command.part)

    async def report(self, command: ReportBatch, attempt: Attempt) -> BatchReported:
        await self.outside.do(attempt, "report")
        return BatchReported(command.batch_id)


def number_of(*parts: object) -> int:
    """A number that only depends on these parts."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=4).digest())


def burst(seed: int, number: int, cohort_last: int) -> list[Outside]:
    """What is published together as the burst of this number; flows of later cohorts than `cohort_last` stay away.

    Each burst begins flows, and holds further events of flows that earlier bursts began, and of some that only the
    next one begins.
    """
    return [
        event
        for ahead in range(-1, ITEMS + 2)
        if 0 <= number - ahead <= cohort_last
        for event in _events(seed, number - ahead, ahead)
    ]


def bursts_of(cohort_last: int) -> int:
    """How many bursts hold all events of all cohorts up to this one."""
    return cohort_last + ITEMS + 2


def cohort_of(key: str) -> int:
    """The cohort of a flow, by its key."""
    return int(key.partition("-")[0])


def _events(seed: int, cohort: int, ahead: int) -> Iterator[Outside]:
    """Events of a cohort in the burst that comes so many after the cohort's own."""
    for saga in range(SAGAS):
        key = f"{cohort}-{seed}-{saga}"
        early = saga == 0 < cohort  # its first item comes before the order does
        if ahead == 0:
            yield Outside(OrderPlaced(key), f"{key}/placed", SOURCE)
        for item in range(ITEMS):
            if ahead == (item - 1 if early else item):
                yield Outside(ItemAdded(key, item, number_of(key, item) % 1000), f"{key}/item-{item}", SOURCE)
        if ahead in (1, ITEMS + 1):
            yield Outside(OrderLookedAt(key), f"{key}/look-{ahead}", SOURCE)
    if ahead == 0:
        for batch in range(BATCHES):
            key = f"{cohort}-{seed}-b{batch}"
            yield Outside(BatchOpened(key), f"{key}/opened", SOURCE)
