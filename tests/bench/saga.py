"""The order saga: four events in, three commands to gateways that answer at once, one timer set and cancelled.

Every step is durable before the next begins: one flow alone costs four commits, one after another.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

import trio

from procession import (
    Command,
    Effects,
    Event,
    Gateway,
    History,
    Invariant,
    Outside,
    ProcessManager,
    Runtime,
    Settings,
    after,
    cancel,
    ends,
    folds,
    invariant,
    on,
    open_runtime,
    starts,
)

_SENDERS = 8
_BATCH = 64


class OrderPlaced(Event, name="order.placed"):
    order_id: str
    article: str
    amount_cents: int


class StockReserved(Event, name="stock.reserved"):
    order_id: str
    article: str


class PaymentCaptured(Event, name="payment.captured"):
    order_id: str
    amount_cents: int


class ParcelShipped(Event, name="parcel.shipped"):
    order_id: str


class PaymentWindowClosed(Event, name="payment.window_closed"):
    order_id: str


class ReserveStock(Command, name="stock.reserve"):
    order_id: str
    article: str


class ChargeCard(Command, name="card.charge"):
    order_id: str
    amount_cents: int


class ShipParcel(Command, name="parcel.ship"):
    order_id: str


class Order(ProcessManager, name="order", key="order_id"):
    amount_cents: int = 0
    paid: bool = False

    @folds
    def remember(self, placed: OrderPlaced) -> Order:
        return self.evolve(amount_cents=placed.amount_cents)

    @starts
    def reserve(self, placed: OrderPlaced) -> Effects:
        yield ReserveStock(placed.order_id, placed.article)
        yield after(timedelta(minutes=30), PaymentWindowClosed(placed.order_id))

    @on
    def charge(self, reserved: StockReserved) -> Effects:
        yield ChargeCard(reserved.order_id, self.amount_cents)

    @folds
    def captured(self, captured: PaymentCaptured) -> Order:
        return self.evolve(paid=True)

    @on
    def ship(self, captured: PaymentCaptured) -> Effects:
        yield cancel(PaymentWindowClosed)
        yield ShipParcel(captured.order_id)

    @ends(outcome="shipped")
    def shipped(self, shipped: ParcelShipped) -> None:
        """The parcel is on its way."""

    @ends(outcome="unpaid")
    def unpaid(self, closed: PaymentWindowClosed) -> None:
        """Nobody paid."""


class Warehouse(Gateway, name="warehouse", concurrency=64):
    async def reserve(self, command: ReserveStock) -> StockReserved:
        return StockReserved(command.order_id, command.article)


class Payments(Gateway, name="payments", concurrency=64):
    async def charge(self, command: ChargeCard) -> PaymentCaptured:
        return PaymentCaptured(command.order_id, command.amount_cents)


class Carrier(Gateway, name="carrier", concurrency=64):
    async def ship(self, command: ShipParcel) -> ParcelShipped:
        return ParcelShipped(command.order_id)


def placed(number: int) -> Outside:
    """The event that begins a saga."""
    key = f"{number:06}"
    return Outside(OrderPlaced(key, f"article-{number % 97}", 100 + number % 9900), f"{key}/placed", "shop")


@invariant(Order)
def never_ships_unpaid(history: History) -> bool:
    return not history.sent(ShipParcel) or bool(history.handled(PaymentCaptured))


@invariant(Order)
def never_charges_twice(history: History) -> bool:
    return len(history.sent(ChargeCard)) < 2


async def throughput(
    path: Path, flows: int, invariants: Sequence[Invariant] = (), settings: Settings | None = None
) -> float:
    """Flows a second, from the first publish to the last end, and to the last history judged."""
    gateways = [Warehouse(), Payments(), Carrier()]
    async with open_runtime(
        path, processes=[Order], gateways=gateways, invariants=invariants, settings=settings
    ) as runtime:
        took_s, _ = await all_at_once(runtime, range(flows))
    return flows / took_s


async def all_at_once(
    runtime: Runtime, numbers: range, placed: Callable[[int], Outside] = placed
) -> tuple[float, float]:
    """Run these flows, as many at a time as the runtime takes; the seconds, and those of this process's own time."""
    last = numbers.stop
    batches = [
        [placed(number) for number in range(at, min(at + _BATCH, last))] for at in range(numbers.start, last, _BATCH)
    ]
    before = runtime.counters()["procession_flows_ended"]
    began, began_cpu = time.perf_counter(), time.process_time()
    async with trio.open_nursery() as nursery:
        for sender in range(_SENDERS):
            nursery.start_soon(_send, runtime, batches[sender::_SENDERS])
    await runtime.drain()
    took_s, took_cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    ended = runtime.counters()["procession_flows_ended"] - before
    assert ended == len(numbers), f"{ended} of {len(numbers)} flows ended"
    return took_s, took_cpu_s


async def _send(runtime: Runtime, batches: list[list[Outside]]) -> None:
    for batch in batches:
        await runtime.publish(batch)


async def one_after_another(path: Path, flows: int, pause: Callable[[], Awaitable[None]]) -> list[float]:
    """Milliseconds from each flow's publish to its end, while nothing else happens; with a pause after each, not
    counted.
    """
    async with open_runtime(path, processes=[Order], gateways=[Warehouse(), Payments(), Carrier()]) as runtime:
        latencies_ms = []
        for number in range(flows):
            event = placed(number)
            began = time.perf_counter()
            await runtime.publish([event])
            await runtime.flow(Order, f"{number:06}").wait_ended(60)
            latencies_ms.append(1000 * (time.perf_counter() - began))
            await pause()
    return latencies_ms
