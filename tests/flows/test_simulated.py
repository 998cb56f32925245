"""Simulated systems: what the seed says happens, whatever runs beside it, and a repeated command is done once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from flows.batch_settlement import Bank, ItemRejected, ItemSettled, SettleItem
from flows.loan_application import AskAboutOffer, Letters, OfferFollowedUp
from flows.order_fulfilment import (
    CardRefunded,
    ChargeCard,
    Parcels,
    ParcelShipped,
    ParcelTurnedDown,
    PaymentCaptured,
    PaymentDeclined,
    Payments,
    RefundCard,
    ReleaseStock,
    ReserveStock,
    ShipParcel,
    StockRanOut,
    StockReleased,
    StockReserved,
    Warehouse,
)
from flows.simulated.accounts import SimulatedAccounts
from flows.simulated.letters import SimulatedLetters
from flows.simulated.parcels import SimulatedParcels
from flows.simulated.payments import SimulatedPayments
from flows.simulated.settlements import SimulatedBank
from flows.simulated.warehouse import SimulatedWarehouse
from flows.simulated.weather import CALM, Desk, OutsideError, Weather
from flows.user_provisioning import (
    AccountCreated,
    AccountRefused,
    AccountRemoved,
    Accounts,
    CreateAccount,
    RemoveAccount,
)
from procession import Attempt, Event

DECLINING = Weather(declining_share=1)


def attempt(command_id: str = "c1", number: int = 1) -> Attempt:
    return Attempt(command_id, number, "order", "421", 10)


def answers(weather: Weather) -> dict[str, Callable[[], Awaitable[Event]]]:
    """Every method of every gateway of the reference flows, in this weather."""
    warehouse, payments = Warehouse(SimulatedWarehouse(weather)), Payments(SimulatedPayments(weather))
    accounts, bank = Accounts(SimulatedAccounts(weather)), Bank(SimulatedBank(weather))
    return {
        "reserve": lambda: warehouse.reserve(ReserveStock("421", "kettle"), attempt()),
        "release": lambda: warehouse.release(ReleaseStock("421"), attempt()),
        "charge": lambda: payments.charge(ChargeCard("421", 4200), attempt()),
        "refund": lambda: payments.refund(RefundCard("421"), attempt()),
        "ship": lambda: Parcels(SimulatedParcels(weather)).ship(ShipParcel("421"), attempt()),
        "create": lambda: accounts.create(CreateAccount("abc", "mail"), attempt()),
        "remove": lambda: accounts.remove(RemoveAccount("abc", "mail"), attempt()),
        "settle": lambda: bank.settle(SettleItem("73", "a", 100), attempt()),
        "ask": lambda: Letters(SimulatedLetters(weather)).ask_about_offer(AskAboutOffer("173688"), attempt()),
    }


YES: dict[str, Event] = {
    "reserve": StockReserved("421"),
    "release": StockReleased("421"),
    "charge": PaymentCaptured("421"),
    "refund": CardRefunded("421"),
    "ship": ParcelShipped("421"),
    "create": AccountCreated("abc", "mail"),
    "remove": AccountRemoved("abc", "mail"),
    "settle": ItemSettled("73", "a"),
    "ask": OfferFollowedUp("173688"),
}
NO: dict[str, Event] = YES | {
    "reserve": StockRanOut("421"),
    "charge": PaymentDeclined("421"),
    "ship": ParcelTurnedDown("421"),
    "create": AccountRefused("abc", "mail"),
    "settle": ItemRejected("73", "a"),
}


@pytest.mark.parametrize("method", YES)
async def test_a_calm_system_says_yes(method: str) -> None:
    assert await answers(CALM)[method]() == YES[method]


@pytest.mark.parametrize("method", NO)
async def test_a_declining_system_says_no_where_it_can(method: str) -> None:
    assert await answers(DECLINING)[method]() == NO[method]


async def test_a_repeated_command_is_done_once() -> None:
    payments = SimulatedPayments()
    for number in (1, 2, 3):
        await payments.charge("421", 4200, attempt(number=number))
    assert payments.charges.done == 1


async def test_a_repeated_command_gets_the_answer_it_got() -> None:
    desk: Desk[int] = Desk(CALM)
    await desk.call(attempt(), lambda: 1)
    assert await desk.call(attempt(number=2), lambda: 2) == 1


async def test_what_a_desk_remembers_is_bounded() -> None:
    desk: Desk[int] = Desk(CALM, answers_max=2)
    for number in range(5):
        await desk.call(attempt(str(number)), lambda: 1)
    assert await desk.call(attempt("0"), lambda: 2) == 2


async def outcome(weather: Weather, command_id: str, number: int = 1) -> str:
    """What becomes of one call: its answer, its error, or the time that it was given up after."""
    desk: Desk[str] = Desk(weather)
    no = weather.declines(attempt(command_id, number))
    begun = trio.current_time()
    with trio.move_on_after(1000):
        try:
            answer = await desk.call(attempt(command_id, number), lambda: "no" if no else "yes")
        except OutsideError as error:
            answer = f"{error} after {desk.done} done"
        return f"{answer} in {trio.current_time() - begun:.6f}"
    return f"silent after {desk.done} done"


STORM = Weather(seed=7, latency_s=1, slow_share=0.2, slow_s=9, failing_share=0.4, silent_share=0.2, declining_share=0.3)


async def forecast(weather: Weather) -> list[str]:
    return [await outcome(weather, str(number)) for number in range(200)]


async def test_the_same_seed_makes_the_same_weather(autojump_clock: MockClock) -> None:
    assert await forecast(STORM) == await forecast(STORM)


async def test_another_seed_makes_other_weather(autojump_clock: MockClock) -> None:
    other = Weather(seed=8, latency_s=1, slow_share=0.2, failing_share=0.4, silent_share=0.2, declining_share=0.3)
    assert await forecast(STORM) != await forecast(other)


async def test_what_runs_beside_it_changes_nothing(autojump_clock: MockClock) -> None:
    alone = await outcome(STORM, "5")
    await forecast(STORM)
    assert await outcome(STORM, "5") == alone


@pytest.mark.parametrize(
    "found",
    ["yes", "no", "silent after 1 done", "is not reachable after 0 done", "did not answer after 1 done"],
)
async def test_a_storm_has_everything(autojump_clock: MockClock, found: str) -> None:
    assert any(found in told for told in await forecast(STORM))


async def test_a_failed_attempt_may_succeed_when_repeated(autojump_clock: MockClock) -> None:
    flaky = Weather(failing_share=0.5)
    told = {await outcome(flaky, "c1", number) for number in range(1, 20)}
    assert "yes in 0.000000" in told
    assert len(told) > 1


async def test_a_no_stays_a_no_in_every_attempt() -> None:
    fickle = Weather(declining_share=0.5)
    told = {fickle.declines(attempt("c1", number)) for number in range(1, 20)}
    assert len(told) == 1


async def test_a_slow_call_takes_its_time(autojump_clock: MockClock) -> None:
    assert await outcome(Weather(slow_share=1, slow_s=9), "c1") == "yes in 9.000000"


async def test_latency_is_from_half_to_one_and_a_half(autojump_clock: MockClock) -> None:
    took = [float((await outcome(Weather(latency_s=2), str(number))).rpartition(" ")[2]) for number in range(50)]
    assert (min(took) >= 1, max(took) <= 3, max(took) - min(took) > 1) == (True, True, True)
