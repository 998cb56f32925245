"""Planted races are found, each with its shortest trace; the repaired flows are clean."""

from __future__ import annotations

import pytest

from procession import History, Invariant, ProcessManager, invariant
from procession.testing.exploring.explorer import explore
from procession.testing.exploring.report import Exploration
from procession.testing.exploring.steps import short
from tests.testing.planted import races_membership as membership
from tests.testing.planted import races_order as order
from tests.testing.planted import races_trip as trip

ORDER = (order.GATEWAYS, order.never_ships_what_it_cancels)
TRIP = (trip.GATEWAYS, trip.confirms_whole_trips_only)
MEMBERSHIP = (membership.GATEWAYS, membership.never_charges_who_has_left)
SURROUNDINGS = {order: ORDER, trip: TRIP, membership: MEMBERSHIP}


def explored(process: type[ProcessManager], *more: Invariant) -> Exploration:
    gateways, rule = next(found for module, found in SURROUNDINGS.items() if module.__name__ == process.__module__)
    return explore(process, gateways=gateways, invariants=[rule, *more])


@pytest.mark.parametrize("process", [order.Order, trip.Trip, membership.Membership])
def test_a_repaired_flow_is_explored_whole_and_clean(process: type[ProcessManager]) -> None:
    explored(process).assert_clean()


@pytest.mark.parametrize(
    ("process", "kind", "trace"),
    [
        (
            order.PaidAfterCancelled,
            "invariant",
            "OrderPlaced ; PaymentWindowClosed ; PaymentCaptured → ShipParcel",
        ),
        (
            trip.ConfirmedAfterFailed,
            "invariant",
            "TripWanted ; TurnedDown ; Booked → Confirm",
        ),
        (
            membership.ChargedAfterLeaving,
            "invariant",
            "Joined ; MonthPassed ; Left ; FeeCharged ; MonthPassed → ChargeFee",
        ),
        (order.StuckAfterDecline, "stuck", "OrderPlaced ; PaymentDeclined"),
        (trip.StuckAfterDecline, "stuck", "TripWanted ; TurnedDown ; TurnedDown"),
        (membership.StuckAfterDecline, "stuck", "Joined ; MonthPassed ; Left ; FeeDeclined"),
        (
            order.TimerAfterEnd,
            "after the end",
            "OrderPlaced ; PaymentWindowClosed ; PaymentDeclined ; OrderCancelled → ends 'cancelled'",
        ),
        (
            trip.TimerAfterEnd,
            "after the end",
            "TripWanted ; Booked ; TurnedDown ; Returned → ends 'failed'",
        ),
        (
            membership.TimerAfterEnd,
            "after the end",
            "Joined ; MonthPassed ; Left ; FeeCharged → ends 'left'",
        ),
    ],
)
def test_a_planted_race_is_found_first_with_its_shortest_trace(
    process: type[ProcessManager], kind: str, trace: str
) -> None:
    first = explored(process).findings[0]
    assert (first.kind, short(first.way)) == (kind, trace)


@pytest.mark.parametrize(
    "process",
    [
        order.Order,
        order.PaidAfterCancelled,
        order.StuckAfterDecline,
        order.TimerAfterEnd,
        trip.Trip,
        trip.ConfirmedAfterFailed,
        trip.StuckAfterDecline,
        trip.TimerAfterEnd,
    ],
)
def test_taking_two_ways_to_one_standing_as_one_hides_nothing(process: type[ProcessManager]) -> None:
    @invariant(process)
    def tells_all_ways_apart(history: History) -> bool:
        return bool(history.turns)

    merged = explored(process)
    apart = explored(process, tells_all_ways_apart)
    assert apart.states > merged.states
    assert shortest(apart) == shortest(merged)


def shortest(report: Exploration) -> dict[str, int]:
    """The length of the shortest way to each kind of finding."""
    return {fault.kind: len(fault.way) for fault in reversed(report.findings)}


def test_a_race_fails_a_test_with_its_steps() -> None:
    with pytest.raises(AssertionError) as failed:
        explored(order.PaidAfterCancelled).assert_clean()
    said = str(failed.value)
    assert "1. invariant: never ships what it cancels" in said
    assert "OrderPlaced ; PaymentWindowClosed ; PaymentCaptured → ShipParcel" in said
    assert "  2. PaymentWindowClosed(order_id='1') fires → CancelOrder(order_id='1')" in said
