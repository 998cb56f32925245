"""Planted races are found, each with its shortest trace; the repaired flows are clean."""

from __future__ import annotations

import pytest

from procession import Gateway, Invariant, ProcessManager
from procession.testing.explore import explore
from procession.testing.exploring.steps import short
from tests.testing.planted import races_membership, races_order, races_trip

ORDER = (races_order.GATEWAYS, races_order.never_ships_what_it_cancels)
TRIP = (races_trip.GATEWAYS, races_trip.confirms_whole_trips_only)
MEMBERSHIP = (races_membership.GATEWAYS, races_membership.never_charges_who_has_left)
Flow = tuple[tuple[type[Gateway], ...], Invariant]


@pytest.mark.parametrize(
    ("process", "flow"),
    [(races_order.Order, ORDER), (races_trip.Trip, TRIP), (races_membership.Membership, MEMBERSHIP)],
)
def test_a_repaired_flow_is_explored_whole_and_clean(process: type[ProcessManager], flow: Flow) -> None:
    gateways, rule = flow
    explore(process, gateways=gateways, invariants=[rule]).assert_clean()


@pytest.mark.parametrize(
    ("process", "flow", "kind", "trace"),
    [
        (
            races_order.PaidAfterCancelled,
            ORDER,
            "invariant",
            "OrderPlaced ; PaymentWindowClosed ; PaymentCaptured → ShipParcel",
        ),
        (races_order.StuckAfterDecline, ORDER, "stuck", "OrderPlaced ; PaymentDeclined"),
        (
            races_order.TimerAfterEnd,
            ORDER,
            "after the end",
            "OrderPlaced ; PaymentWindowClosed ; PaymentDeclined ; OrderCancelled → ends 'cancelled'",
        ),
    ],
)
def test_a_planted_race_is_found_first_with_its_shortest_trace(
    process: type[ProcessManager], flow: Flow, kind: str, trace: str
) -> None:
    gateways, rule = flow
    first = explore(process, gateways=gateways, invariants=[rule]).findings[0]
    assert (first.kind, short(first.way)) == (kind, trace)
