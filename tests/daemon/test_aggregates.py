"""Aggregates on the command line: listed apart, shown with their causes, and asked nothing that only a flow knows."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from flows.stock import Basket, BasketFilled, ReceiveStock, ReserveStock, StockItem
from procession import open_runtime
from tests.daemon.command import CONFIG
from tests.daemon.inside import json_inside, run_inside


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with two items in stock, a basket that was reserved, and one that was refused a line."""
    folder = tmp_path_factory.mktemp("inventory")

    async def fill() -> None:
        async with open_runtime(folder / "procession.db", processes=[Basket], aggregates=[StockItem]) as runtime:
            await runtime.send(ReceiveStock("book", 2), id="d-1", source="dock")
            await runtime.publish(BasketFilled("b1", (("book", 1),)))
            await runtime.flow(Basket, "b1").wait_ended(30)
            await runtime.publish(BasketFilled("b2", (("book", 1), ("pen", 1))))
            await runtime.flow(Basket, "b2").wait_ended(30)
            await runtime.send(ReserveStock("pen", "b3", 1))

    trio.run(fill)
    return folder


def test_flows_and_aggregates_are_listed_apart(here: Path) -> None:
    assert [flow["flow"] for flow in json_inside("ls", cwd=here)["flows"]] == ["basket/b1", "basket/b2"]
    assert [one["flow"] for one in json_inside("ls", "--aggregates", cwd=here)["flows"]] == ["inventory/book"]
    assert [one["flow"] for one in json_inside("ls", "--process", "inventory", cwd=here)["flows"]] == ["inventory/book"]


def test_a_stream_is_shown_with_who_asked(here: Path) -> None:
    lines = run_inside("show", "inventory/book", cwd=here).out.splitlines()
    events = [line.split(maxsplit=3)[2:] for line in lines if line.startswith("  ") and " inventory." in line]
    assert events == [
        ["inventory.received", "decided on inventory.receive, outside: dock d-1"],
        ["inventory.reserved", "asked for by basket/b1"],
        ["inventory.reserved", "asked for by basket/b2"],
        ["inventory.released", "asked for by basket/b2"],
    ]


def test_a_flow_shows_what_was_refused_and_why(here: Path) -> None:
    text = run_inside("show", "basket/b2", cwd=here).out
    assert "command inventory.reserve → inventory: refused" in text
    assert '"refusal_type":"inventory.too_few"' in text


def test_why_leads_to_the_command(here: Path) -> None:
    lines = run_inside("why", "inventory/book", "inventory.received", cwd=here).out.splitlines()
    assert "command inventory.receive from outside (dock d-1), decided by receive" in lines[1]
    lines = run_inside("why", "inventory/book", "inventory.released", cwd=here).out.splitlines()
    assert "basket.filled at" in lines[1]
    assert "→ command inventory.release to inventory: answered" in "\n".join(lines)


def test_why_not_says_that_an_aggregate_waits_for_nothing(here: Path) -> None:
    ran = run_inside("why-not", "inventory/book", cwd=here)
    assert (ran.code, "it is an aggregate, and waits for nothing" in ran.err) == (3, True), ran.err


def test_an_aggregate_without_events_is_not_known(here: Path) -> None:
    ran = run_inside("show", "inventory/pen", cwd=here)
    assert (ran.code, "there is no flow 'inventory/pen'" in ran.err) == (3, True), ran.err


def test_doctor_counts_them_apart(here: Path) -> None:
    found = {check["name"]: check["found"] for check in json_inside("doctor", cwd=here)["checks"]}
    assert found["journal"].endswith(", 2 flows, 1 aggregates")
    assert found["integrity"].startswith("every event, step and row checked")


def test_a_map_shows_who_decides() -> None:
    drawn = run_inside("map", "--config", CONFIG, "flows.stock", cwd=Path.cwd()).out
    assert '[("inventory")]' in drawn
    assert 'command_inventory_reserve -->|"takes: reserve"| aggregate_inventory' in drawn
    assert 'aggregate_inventory -->|"refuses: refused"| process_basket' in drawn


def test_the_check_counts_them() -> None:
    found = json_inside("check", "--config", CONFIG, "flows.stock", cwd=Path.cwd())
    assert (found["clean"], found["aggregates"], found["processes"]) == (True, 1, 1)
