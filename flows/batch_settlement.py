"""Batch settlement: N items settled in parallel, counted, with partial failure.

    BatchReceived → SettleItem for each item
                    ├ ItemSettled ───┐
                    ├ ItemRejected ──┼ the last one → settled, partly_settled or failed
                    └ given up → ItemAbandoned, recorded by the flow itself ┘

The counts are state, so whatever is counted is an ordinary event: a failure event can't move them. Items that the bank
rejects are the bank's answer; items of which the bank says nothing are recorded as abandoned, for someone to look at.
One turn may ask for `flows.effects_per_turn_max` things (1,000): larger batches are cut before they come here.
"""

from __future__ import annotations

from typing import Protocol

from flows.simulated.settlements import SimulatedBank
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
    end,
    folds,
    invariant,
    on,
    record,
    starts,
)

# What can happen.


class BatchReceived(Event, name="batch.received"):
    """A batch is to be settled: pairs of item and amount in cents. Here it begins."""

    batch_id: str
    items: tuple[tuple[str, int], ...]


class ItemSettled(Event, name="item.settled"):
    """The bank settled it."""

    batch_id: str
    item_id: str


class ItemRejected(Event, name="item.rejected"):
    """The bank did not want it."""

    batch_id: str
    item_id: str


class ItemAbandoned(Event, name="item.abandoned"):
    """The bank was given up. The item may be settled, or not."""

    batch_id: str
    item_id: str
    found: str


# What the flow may ask for.


class SettleItem(Command, name="item.settle"):
    """Settle one item."""

    batch_id: str
    item_id: str
    amount_cents: int


# The flow.


class Batch(ProcessManager, name="batch", key="batch_id"):
    """One batch. Numbers, not lists: the state of a large batch is as small as that of a small one."""

    expected: int = 0
    settled: int = 0
    failed: int = 0

    # How the state moves. Only this is replayed.

    @folds
    def was_received(self, event: BatchReceived) -> Batch:
        return self.evolve(expected=len(event.items))

    @folds
    def one_settled(self, event: ItemSettled) -> Batch:
        return self.evolve(settled=self.settled + 1)

    @folds
    def one_failed(self, event: ItemRejected | ItemAbandoned) -> Batch:
        return self.evolve(failed=self.failed + 1)

    # What follows from it.

    @starts
    def settle_all(self, received: BatchReceived) -> Effects:
        """All at once: how many run at a time is the gateway's business."""
        for item_id, amount_cents in received.items:
            yield SettleItem(received.batch_id, item_id, amount_cents)
        if not received.items:
            yield end("settled")

    @on
    def count(self, event: ItemSettled | ItemRejected | ItemAbandoned) -> Effects:
        """The state holds the event in hand, so this finds out whether it was the last one."""
        if self.settled + self.failed == self.expected:
            yield end(self._outcome())

    @on
    def given_up(self, given_up: CommandGivenUp[SettleItem]) -> Effects:
        """A failure never changes state: what is to be counted of it is recorded as a fact."""
        yield record(ItemAbandoned(given_up.command.batch_id, given_up.command.item_id, given_up.found))

    def _outcome(self) -> str:
        if not self.failed:
            return "settled"
        return "partly_settled" if self.settled else "failed"


# What must hold of every batch, in whatever order items come back.


@invariant(Batch)
def ends_when_every_item_is_settled_or_not(history: History) -> bool:
    """A batch ends with the last of its items, and says how many of them were settled."""
    settled, failed = len(history.handled(ItemSettled)), len(history.handled(ItemRejected, ItemAbandoned))
    if settled + failed < len(history.sent(SettleItem)):
        return history.outcome is None
    return history.outcome == ("settled" if not failed else "partly_settled" if settled else "failed")


# Where the work is done. A bank of yours takes the place of the simulated one if it has this method.


class BankSystem(Protocol):
    """What the flow needs of a bank. `attempt.command_id` is the idempotency key."""

    async def settle(self, item_id: str, amount_cents: int, attempt: Attempt) -> bool: ...


class Bank(Gateway, name="bank", concurrency=32):
    """Asks the bank, and says in events what it answered."""

    system: BankSystem

    async def settle(self, command: SettleItem, attempt: Attempt) -> ItemSettled | ItemRejected:
        settled = await self.system.settle(command.item_id, command.amount_cents, attempt)
        answer = ItemSettled if settled else ItemRejected
        return answer(command.batch_id, command.item_id)


def wire_production(settings: Settings) -> Wiring:
    """A reference flow has no real bank behind it: this one is simulated, a little slow. Swap in your own."""
    return wire_simulated(Weather(latency_s=0.02, slow_share=0.01, slow_s=0.5))


def wire_testing(settings: Settings) -> Wiring:
    """The same gateway; the bank answers at once, and always with yes."""
    return wire_simulated(CALM)


def wire_simulated(weather: Weather) -> Wiring:
    """A simulated bank in this weather."""
    return Wiring(
        processes=(Batch,),
        gateways=(Bank(SimulatedBank(weather)),),
        invariants=(ends_when_every_item_is_settled_or_not,),
    )
