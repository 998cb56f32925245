"""`World`: a test tells gateways what to do, lets time pass, crashes, and sees what others can see."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
import trio
from trio.testing import MockClock

from flows.order_fulfilment import (
    CardRefunded,
    ChargeCard,
    Order,
    OrderPlaced,
    Parcels,
    ParcelShipped,
    PaymentCaptured,
    PaymentDeclined,
    Payments,
    PaymentWindowClosed,
    RefundCard,
    ReleaseStock,
    ReserveStock,
    ShipParcel,
    StockRanOut,
    Warehouse,
    wire_testing,
)
from procession import History, Outside, Refused, Settings, invariant
from procession.errors import FlowQuarantined, WiringError
from procession.primitives.event import InvariantBroken
from procession.settings import GatewaysSettings
from procession.testing import SILENCE, World, delay, raises
from tests.engine.tally import Closed, Counted, Desk, Opened, Tally

PLACED = OrderPlaced("421", "book", 4200)


PATIENT = Settings(gateways=GatewaysSettings(attempts_max=1000, breaker_failures=1000))
"""Nothing is given up for as long as a payment window is open."""


def order_world(settings: Settings | None = None) -> World:
    return World(processes=[Order], gateways=[Warehouse, Payments, Parcels], settings=settings)


async def test_what_no_script_says_is_answered_with_the_first_that_the_contract_allows(
    autojump_clock: MockClock,
) -> None:
    async with order_world() as world:
        await world.publish(PLACED)
        assert await world.outcome(Order, "421") == "shipped"
        assert world.commands() == (ReserveStock("421", "book"), ChargeCard("421", 4200), ShipParcel("421"))
        assert world.events(PaymentCaptured, ParcelShipped) == (PaymentCaptured("421"), ParcelShipped("421"))
        assert world.refusals() == ()


async def test_entries_of_a_script_are_used_one_for_each_attempt(autojump_clock: MockClock) -> None:
    async with order_world() as world:
        world.script(ChargeCard, [raises(ConnectionError("down")), PaymentDeclined("421")])
        await world.publish(PLACED)
        assert await world.outcome(Order, "421") == "declined"
        tried = world.attempts(ChargeCard)
        assert [called.attempt.number for called in tried] == [1, 2]
        assert tried[0].attempt.command_id == tried[1].attempt.command_id
        assert world.commands(ChargeCard) == (ChargeCard("421", 4200),)


async def test_time_passes_as_far_as_it_is_told_and_deadlines_fire_in_it(autojump_clock: MockClock) -> None:
    async with order_world(PATIENT) as world:
        began = world.now
        world.script(ChargeCard, itertools.repeat(delay(20, raises(ConnectionError()))))
        await world.publish(PLACED)
        await world.elapse(timedelta(minutes=29, seconds=59))
        assert world.commands(ReleaseStock) == ()
        await world.elapse(timedelta(seconds=1))
        assert world.events(PaymentWindowClosed) == (PaymentWindowClosed("421"),)
        assert world.commands(ReleaseStock) == (ReleaseStock("421"),)
        assert timedelta(minutes=30) <= world.now - began < timedelta(minutes=30, seconds=1)


async def test_a_slow_answer_comes_when_its_time_has_come(autojump_clock: MockClock) -> None:
    async with order_world() as world:
        world.script(ChargeCard, [delay(5, PaymentCaptured("421"))])
        await world.publish(PLACED)
        await world.elapse(timedelta(seconds=4))
        assert world.commands(ShipParcel) == ()
        await world.elapse(timedelta(seconds=1))
        assert world.commands(ShipParcel) == (ShipParcel("421"),)


async def test_silence_ends_with_the_time_out_of_the_gateway(autojump_clock: MockClock) -> None:
    async with order_world() as world:
        world.script(ChargeCard, [SILENCE])
        await world.publish(PLACED)
        await world.settle()
        first, second = world.attempts(ChargeCard)
        assert (first.attempt.timeout_s, second.attempt.number) == (30, 2)
        assert await world.outcome(Order, "421") == "shipped"


def sold_out(command: ReserveStock) -> StockRanOut:
    return StockRanOut(command.order_id)


async def test_a_script_may_be_for_one_flow_and_follow_the_command(autojump_clock: MockClock) -> None:
    async with order_world() as world:
        world.script(ReserveStock, itertools.repeat(sold_out), key="2")
        await world.publish(OrderPlaced("1", "book", 1), OrderPlaced("2", "book", 1))
        assert await world.outcome(Order, "1") == "shipped"
        assert await world.outcome(Order, "2") == "out_of_stock"


async def test_a_crash_repeats_no_decision_and_sends_again_under_the_same_id(autojump_clock: MockClock) -> None:
    async with order_world() as world:
        world.script(ChargeCard, [SILENCE, PaymentCaptured("421")])
        await world.publish(Outside(PLACED, "421/placed", "shop"))
        await world.elapse(timedelta(seconds=1))
        await world.crash()
        (position,) = await world.publish(Outside(PLACED, "421/placed", "shop"))
        assert position.duplicate
        assert await world.outcome(Order, "421") == "shipped"
        before, after = world.attempts(ChargeCard)
        assert before.attempt == after.attempt
        assert world.commands(ReserveStock, ChargeCard) == (ReserveStock("421", "book"), ChargeCard("421", 4200))


async def test_deadlines_outlive_a_restart_and_a_crash(autojump_clock: MockClock) -> None:
    async with order_world(PATIENT) as world:
        world.script(ChargeCard, itertools.repeat(SILENCE))
        await world.publish(PLACED)
        await world.elapse(timedelta(minutes=10))
        await world.restart()
        await world.elapse(timedelta(minutes=10))
        await world.crash()
        await world.elapse(timedelta(minutes=11))
        assert world.events(PaymentWindowClosed) == (PaymentWindowClosed("421"),)


async def test_refusals_name_the_event_the_flow_and_the_reason(autojump_clock: MockClock) -> None:
    async with World(processes=[Tally], gateways=[Desk]) as world:
        await world.publish(Opened("a"), Closed("a"), Counted("a", 1))
        await world.settle()
        (refusal,) = world.refusals()
        assert (refusal.event, refusal.flow, refusal.reason) == (Counted("a", 1), "tally/a", "late")


async def test_acts_are_done_through_the_runtime_that_lives(autojump_clock: MockClock) -> None:
    async with order_world() as world:
        world.script(ChargeCard, [PaymentDeclined("421")])
        world.script(ReleaseStock, [raises(Refused("closed"))])
        await world.publish(PLACED)
        with pytest.raises(FlowQuarantined):
            await world.outcome(Order, "421")
        (release,) = world.attempts(ReleaseStock)
        flow = world.runtime.flow(Order, "421")
        await flow.retry_command(release.attempt.command_id, by="Ada", why="it is open again")
        assert await world.outcome(Order, "421") == "declined"


async def test_real_gateways_are_called_but_for_what_is_scripted(autojump_clock: MockClock) -> None:
    async with World(wire_testing(Settings())) as world:
        world.script(ShipParcel, [raises(Refused("too heavy"))])
        await world.publish(PLACED)
        assert await world.outcome(Order, "421") == "unshippable"
        assert world.events(CardRefunded) == (CardRefunded("421"),)
        assert world.commands(RefundCard) == (RefundCard("421"),)


def test_a_world_runs_a_plain_test_and_is_the_same_again() -> None:
    async def ship(world: World) -> list[str]:
        world.script(ChargeCard, [raises(ConnectionError())])
        await world.publish(PLACED)
        assert await world.outcome(Order, "421") == "shipped"
        return [called.attempt.command_id for called in world.attempts()] + [str(world.now)]

    assert order_world().run(ship) == order_world().run(ship)


async def test_a_world_in_real_time_is_refused_with_the_cure() -> None:
    with pytest.raises(WiringError, match="autojump_clock"):
        async with order_world():
            pass


async def test_an_answer_that_breaks_the_contract_is_refused_where_it_is_scripted(autojump_clock: MockClock) -> None:
    async with order_world() as world:
        with pytest.raises(WiringError, match=r"PaymentCaptured \| PaymentDeclined"):
            world.script(ChargeCard, [StockRanOut("421")])


async def test_a_world_that_does_not_settle_says_what_is_open(autojump_clock: MockClock) -> None:
    paused = Settings(gateways=GatewaysSettings(by_name={"payments": {"paused": True}}))
    async with order_world(paused) as world:
        await world.publish(PLACED)
        with pytest.raises(AssertionError, match="ChargeCard"):
            await world.settle()


async def test_what_fails_in_a_block_comes_out_as_it_is(autojump_clock: MockClock) -> None:
    async def fail() -> None:
        async with order_world() as world:
            await world.publish(PLACED)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert trio.current_time() < 10


@invariant(Tally)
def never_counts_nine(history: History) -> bool:
    return all(counted.number != 9 for counted in history.handled(Counted))


async def test_invariants_are_watched_and_an_alert_outlives_a_crash(autojump_clock: MockClock) -> None:
    async with World(processes=[Tally], gateways=[Desk], invariants=[never_counts_nine]) as world:
        await world.publish(Opened("a"))
        await world.publish(Counted("a", 9))
        await world.crash()
        await world.publish(Counted("a", 1))
        await world.settle()
        (alert,) = world.events(InvariantBroken)
        assert (alert.key, alert.invariant, alert.version) == ("a", "never_counts_nine", 2)
        assert world.refusals() == ()
