"""Stock: what items decide and refuse, and baskets that hold all or nothing."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from flows.stock import (
    Basket,
    BasketFilled,
    LineFellShort,
    NoNumber,
    NothingReserved,
    ReceiveStock,
    ReleaseStock,
    ReserveStock,
    StockItem,
    StockReceived,
    StockReleased,
    StockReserved,
    TooFewInStock,
    holds_all_or_nothing,
    wire_production,
    wire_testing,
)
from procession import Command, CommandRefused, Event, Settings
from procession.laws.wiring_check import check_wiring
from procession.testing import World, explore, given, simulate

WIRING = wire_testing(Settings())


# The item.


def test_what_is_there_is_put_aside() -> None:
    given(StockItem, StockReceived("book", 3)).when(ReserveStock("book", "b1", 3)).then(StockReserved("book", "b1", 3))


def test_more_than_is_free_is_refused() -> None:
    item = given(StockItem, StockReceived("book", 3), StockReserved("book", "b1", 2))
    item.when(ReserveStock("book", "b2", 2)).then_refused(TooFewInStock(1))


def test_all_that_a_basket_holds_is_set_free() -> None:
    item = given(StockItem, StockReceived("book", 3), StockReserved("book", "b1", 1), StockReserved("book", "b1", 2))
    freed = item.when(ReleaseStock("book", "b1")).then(StockReleased("book", "b1", 3))
    freed.when(ReserveStock("book", "b2", 3)).then(StockReserved("book", "b2", 3))


def test_what_nobody_holds_is_not_set_free() -> None:
    given(StockItem).when(ReleaseStock("book", "b1")).then_refused(NothingReserved("b1"))


@pytest.mark.parametrize("command", [ReceiveStock("book", 0), ReserveStock("book", "b1", -1)])
def test_a_number_is_at_least_one(command: ReceiveStock | ReserveStock) -> None:
    given(StockItem, StockReceived("book", 3)).when(command).then_refused(NoNumber(command.number))


# The basket.

FILLED = BasketFilled("b1", (("book", 1), ("pen", 2)))
NO_PENS = CommandRefused(ReserveStock("pen", "b1", 2), "c1", "inventory", "pen", TooFewInStock(1))


def test_every_line_is_asked_for() -> None:
    given(Basket).when(FILLED).then(ReserveStock("book", "b1", 1), ReserveStock("pen", "b1", 2))


def test_a_basket_with_every_line_is_reserved() -> None:
    given(Basket, FILLED, StockReserved("book", "b1", 1)).when(StockReserved("pen", "b1", 2)).then_ends("reserved")


def test_a_refused_line_sets_the_others_free() -> None:
    basket = given(Basket, FILLED, StockReserved("book", "b1", 1)).when(NO_PENS)
    basket.then_recorded(LineFellShort("b1", "pen", 1)).then(ReleaseStock("book", "b1")).then_goes_on()
    basket.when(StockReleased("book", "b1", 1)).then_ends("unavailable")


def test_the_last_piece_goes_to_one_of_many() -> None:
    async def story(world: World) -> None:
        await world.send(ReceiveStock("book", 1))
        await world.publish(*[BasketFilled(f"b{number}", (("book", 1),)) for number in range(5)])
        await world.settle()
        outcomes = [await world.outcome(Basket, f"b{number}") for number in range(5)]
        assert sorted(outcomes) == ["reserved", *["unavailable"] * 4]
        assert len(world.events(StockReserved)) == 1

    World(WIRING).run(story)


async def test_what_one_basket_sets_free_another_takes(autojump_clock: MockClock) -> None:
    async with World(wire_production(Settings())) as world:
        await world.send(ReceiveStock("book", 1))
        await world.publish(BasketFilled("b1", (("book", 1), ("pen", 1))))
        assert await world.outcome(Basket, "b1") == "unavailable"
        await world.crash()
        await world.publish(BasketFilled("b2", (("book", 1),)))
        assert await world.outcome(Basket, "b2") == "reserved"
        await trio.lowlevel.checkpoint()


# All of it.


def test_whatever_items_answer_a_basket_holds_all_or_nothing() -> None:
    found = explore(Basket, wiring=WIRING, start=[FILLED], outside=[])
    assert found.clean, str(found)


def test_baskets_hold_all_or_nothing_whatever_goes_wrong() -> None:
    baskets = [BasketFilled(f"b{number}", (("book", 1), ("pen", 1))) for number in range(4)]
    load: list[Event | Command] = [
        ReceiveStock("book", 2),
        ReceiveStock("pen", 3),
        *baskets,
        ReserveStock("pen", "b9", 1),
    ]
    assert simulate(WIRING, load=load, seeds=range(6)).seeds == 6


def test_the_module_is_clean() -> None:
    assert check_wiring(WIRING) == []
    assert holds_all_or_nothing in WIRING.invariants
