"""The reference flows on a real runtime: whatever the weather, each comes to its end."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import trio

from flows import batch_settlement, loan_application, order_fulfilment, user_provisioning
from flows.batch_settlement import Batch, BatchReceived
from flows.loan_application import LoanApplication
from flows.order_fulfilment import Order, OrderPlaced, Parcels, Payments, Warehouse
from flows.simulated.parcels import SimulatedParcels
from flows.simulated.payments import SimulatedPayments
from flows.simulated.warehouse import SimulatedWarehouse
from flows.simulated.weather import Weather
from flows.user_provisioning import Provisioning, ProvisioningRequested
from procession import History, Settings, Wiring, invariant
from procession.primitives.registration import build_registry
from procession.wiring import combine, open_wired
from tests.flows.loan_log import loan_log

SETTINGS = Settings()
FLOWS = (order_fulfilment, user_provisioning, batch_settlement, loan_application)
FLAKY = Weather(seed=3, latency_s=0.001, declining_share=0.3)


@pytest.mark.parametrize("module", FLOWS, ids=lambda module: module.__name__)
def test_both_wirings_have_the_same_processes_and_gateways(module: object) -> None:
    production, testing = module.wire_production(SETTINGS), module.wire_testing(SETTINGS)  # type: ignore[attr-defined]  # both have them
    assert names(production) == names(testing)


def names(wiring: Wiring) -> tuple[list[str], list[str]]:
    return [process.__name__ for process in wiring.processes], [type(gateway).__name__ for gateway in wiring.gateways]


async def test_calm_flows_end_well(tmp_path: Path) -> None:
    wiring = combine([module.wire_testing(SETTINGS) for module in FLOWS])
    async with open_wired(wiring, SETTINGS, journal=tmp_path / "calm.db") as runtime:
        await runtime.publish(OrderPlaced("421", "kettle", 4200), id="421", source="test")
        await runtime.publish(ProvisioningRequested("abc", ("mail", "chat")), id="abc", source="test")
        await runtime.publish(BatchReceived("73", (("a", 100), ("b", 250))), id="73", source="test")
        with trio.fail_after(40):
            outcomes = [
                await runtime.flow(Order, "421").wait_ended(),
                await runtime.flow(Provisioning, "abc").wait_ended(),
                await runtime.flow(Batch, "73").wait_ended(),
            ]
    assert outcomes == ["shipped", "provisioned", "settled"]


async def test_what_a_wiring_says_must_hold_is_watched(tmp_path: Path) -> None:
    @invariant(Order)
    def is_never_shipped(history: History) -> bool:
        return history.outcome != "shipped"

    wiring = order_fulfilment.wire_testing(SETTINGS)
    wired = combine([wiring, Wiring((), (), invariants=(is_never_shipped,))])
    async with open_wired(wired, SETTINGS, journal=tmp_path / "watched.db") as runtime:
        await runtime.publish(OrderPlaced("421", "kettle", 4200), id="421", source="test")
        await runtime.drain()
        (alert,) = await runtime.events(types=["procession.invariant_broken"])
        assert alert.envelope.keys == (("order", "421"),)


async def test_declining_flows_undo_what_was_done(tmp_path: Path) -> None:
    system = SimulatedWarehouse(FLAKY)
    gateways = (Warehouse(system), Payments(SimulatedPayments(FLAKY)), Parcels(SimulatedParcels(FLAKY)))
    async with open_wired(Wiring((Order,), gateways), SETTINGS, journal=tmp_path / "flaky.db") as runtime:
        for number in range(60):
            await runtime.publish(OrderPlaced(str(number), "kettle", 4200), id=str(number), source="test")
        with trio.fail_after(40):
            outcomes = Counter([await runtime.flow(Order, str(number)).wait_ended() for number in range(60)])
    assert set(outcomes) == {"shipped", "out_of_stock", "declined", "unshippable"}
    assert system.releases.done == outcomes["declined"] + outcomes["unshippable"]


async def test_a_published_log_gives_the_figures_that_it_promises(tmp_path: Path) -> None:
    log, wiring = loan_log(applications=60), loan_application.wire_testing(SETTINGS)
    async with open_wired(wiring, SETTINGS, journal=tmp_path / "loans.db") as runtime:
        codec = build_registry(wiring.processes, wiring.gateways)
        for event in log.events:
            message = codec.codec.structure(codec.event_class(str(event["type"])), event["data"])
            await runtime.publish(message, id=str(event["id"]), source=str(event["source"]))
        await runtime.drain()
        flows = await runtime.flows(LoanApplication, limit=log.flows + 1)
        counters = runtime.counters()
    outcomes = Counter(flow.outcome for flow in flows)
    assert (len(flows), outcomes.pop(None)) == (log.flows, log.still_open)
    assert outcomes == log.outcomes
    assert counters["procession_events_late"] == log.late
