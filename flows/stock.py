"""Stock: each item is an aggregate that gives away no more than it has, and a basket asks several of them.

    BasketFilled → ReserveStock for each line
                   ├ StockReserved ─────────────┐
                   └ refused → LineFellShort ─┴ the last one → reserved, or
                                                  ReleaseStock for what is held → StockReleased → unavailable

Two baskets that want the last book ask the same aggregate, one after another: one of them is refused. No lock is held
in between, and no basket ever sees what an item has.
"""

from __future__ import annotations

from procession import (
    Aggregate,
    Command,
    CommandRefused,
    Effects,
    Event,
    History,
    ProcessManager,
    Refusal,
    Settings,
    Wiring,
    applies,
    decides,
    end,
    folds,
    invariant,
    on,
    record,
    starts,
)

# What can happen.


class StockReceived(Event, name="inventory.received"):
    """So many came in."""

    item_id: str
    number: int


class StockReserved(Event, name="inventory.reserved"):
    """So many are put aside for a basket."""

    item_id: str
    basket_id: str
    number: int


class StockReleased(Event, name="inventory.released"):
    """What was put aside for a basket is free again."""

    item_id: str
    basket_id: str
    number: int


class BasketFilled(Event, name="basket.filled"):
    """A basket is to be reserved as a whole: pairs of item and number. Here it begins."""

    basket_id: str
    lines: tuple[tuple[str, int], ...]


class LineFellShort(Event, name="basket.line_fell_short"):
    """There was too little of an item. A refusal moves no state, so the basket records what it must remember."""

    basket_id: str
    item_id: str
    found: int


# What may be asked for, and why it may be refused.


class ReceiveStock(Command, name="inventory.receive"):
    """So many came in: from outside, by `runtime.send`."""

    item_id: str
    number: int


class ReserveStock(Command, name="inventory.reserve"):
    """Put so many aside for a basket."""

    item_id: str
    basket_id: str
    number: int


class ReleaseStock(Command, name="inventory.release"):
    """Set all free that is put aside for a basket."""

    item_id: str
    basket_id: str


class TooFewInStock(Refusal, name="inventory.too_few"):
    """There are not so many; this many are free."""

    free: int


class NothingReserved(Refusal, name="inventory.nothing_reserved"):
    """Nothing is put aside for this basket."""

    basket_id: str


class NoNumber(Refusal, name="inventory.no_number"):
    """A number of pieces is at least one."""

    number: int


# The aggregate: one for each item.


class StockItem(Aggregate, name="inventory", key="item_id"):
    """What is free, and what is put aside for whom; never less than nothing."""

    free: int = 0
    reserved: tuple[tuple[str, int], ...] = ()

    @applies
    def was_received(self, received: StockReceived) -> StockItem:
        return self.evolve(free=self.free + received.number)

    @applies
    def was_reserved(self, reserved: StockReserved) -> StockItem:
        held = self._held_for(reserved.basket_id) + reserved.number
        return self.evolve(
            free=self.free - reserved.number, reserved=(*self._others(reserved.basket_id), (reserved.basket_id, held))
        )

    @applies
    def was_released(self, released: StockReleased) -> StockItem:
        return self.evolve(free=self.free + released.number, reserved=self._others(released.basket_id))

    @decides
    def receive(self, command: ReceiveStock) -> StockReceived | NoNumber:
        if command.number < 1:
            return NoNumber(command.number)
        return StockReceived(command.item_id, command.number)

    @decides
    def reserve(self, command: ReserveStock) -> StockReserved | TooFewInStock | NoNumber:
        if command.number < 1:
            return NoNumber(command.number)
        if command.number > self.free:
            return TooFewInStock(self.free)
        return StockReserved(command.item_id, command.basket_id, command.number)

    @decides
    def release(self, command: ReleaseStock) -> StockReleased | NothingReserved:
        held = self._held_for(command.basket_id)
        if not held:
            return NothingReserved(command.basket_id)
        return StockReleased(command.item_id, command.basket_id, held)

    def _held_for(self, basket_id: str) -> int:
        return sum(number for basket, number in self.reserved if basket == basket_id)

    def _others(self, basket_id: str) -> tuple[tuple[str, int], ...]:
        return tuple((basket, number) for basket, number in self.reserved if basket != basket_id)


# The flow: one for each basket.


class Basket(ProcessManager, name="basket", key="basket_id"):
    """All of it is reserved, or nothing."""

    lines: int = 0
    reserved: tuple[str, ...] = ()
    unavailable: int = 0
    released: tuple[str, ...] = ()

    @folds
    def was_filled(self, filled: BasketFilled) -> Basket:
        return self.evolve(lines=len(filled.lines))

    @folds
    def one_reserved(self, reserved: StockReserved) -> Basket:
        return self.evolve(reserved=(*self.reserved, reserved.item_id))

    @folds
    def one_fell_short(self, unavailable: LineFellShort) -> Basket:
        return self.evolve(unavailable=self.unavailable + 1)

    @folds
    def one_released(self, released: StockReleased) -> Basket:
        return self.evolve(released=(*self.released, released.item_id))

    @starts
    def reserve_all(self, filled: BasketFilled) -> Effects:
        for item_id, number in filled.lines:
            yield ReserveStock(item_id, filled.basket_id, number)
        if not filled.lines:
            yield end("reserved")

    @on
    def refused(self, refused: CommandRefused[ReserveStock]) -> Effects:
        """A failure never changes state: what is to be counted of it is recorded as a fact."""
        found = refused.refusal.free if isinstance(refused.refusal, TooFewInStock) else 0
        yield record(LineFellShort(refused.command.basket_id, refused.command.item_id, found))

    @on
    def settle(self, event: StockReserved | LineFellShort) -> Effects:
        """The state holds the event in hand, so this finds out whether it was the last one."""
        if len(self.reserved) + self.unavailable < self.lines:
            return
        if not self.unavailable:
            yield end("reserved")
        elif not self.reserved:
            yield end("unavailable")
        for item_id in dict.fromkeys(self.reserved if self.unavailable else ()):
            yield ReleaseStock(item_id, event.basket_id)

    @on
    def free_again(self, released: StockReleased) -> Effects:
        if set(self.released) == set(self.reserved):
            yield end("unavailable")


# What must hold of every basket, in whatever order items answer.


@invariant(Basket)
def holds_all_or_nothing(history: History) -> bool:
    """A basket ends as reserved with every line, or as unavailable with nothing put aside."""
    reserved, released = history.handled(StockReserved), history.handled(StockReleased)
    if history.outcome == "reserved":
        return len(reserved) == len(history.sent(ReserveStock)) and not released
    left = {event.item_id for event in reserved} - {event.item_id for event in released}
    return history.outcome is None or not left


def wire_production(settings: Settings) -> Wiring:
    """Nothing outside is needed: what is in stock is what this journal says."""
    return wire_testing(settings)


def wire_testing(settings: Settings) -> Wiring:
    """The same: there is no gateway to stand in for."""
    return Wiring(processes=(Basket,), gateways=(), invariants=(holds_all_or_nothing,), aggregates=(StockItem,))
