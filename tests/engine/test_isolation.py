"""Poisonous flows among many others: the others end, and the poisonous ones wait for repaired code, in order."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from procession import Event, Outside, Runtime, open_runtime
from procession.journal.rows import FlowQuery
from tests.bench.poison import HARMLESS, Opened, Post, Stamped, Weighed, contents, parcels

_PAGE = 1000


def batches(flows: list[str]) -> list[list[Outside]]:
    """All events of all flows: first all that begin them, then all second ones, and so on."""
    events: list[Event] = [Opened(str(key)) for key in range(len(flows))]
    events += [Weighed(str(key), content) for key, content in enumerate(flows)]
    events += [Stamped(str(key)) for _ in range(2) for key in range(len(flows))]
    outside = [Outside(event, str(number), "test") for number, event in enumerate(events)]
    return [outside[at : at + _PAGE] for at in range(0, len(outside), _PAGE)]


async def set_aside(runtime: Runtime) -> dict[str, list[str]]:
    """By key of a flow in quarantine: the types of its events that are not handled, in order."""
    found = {}
    for row in await runtime.journal.flows(FlowQuery(status=("quarantined",)), 0, _PAGE):
        deliveries = await runtime.journal.deliveries(row.id, 0, _PAGE, ("pending", "waiting", "quarantined"))
        assert deliveries[0].row.state == "quarantined"
        found[row.key] = [one.event.type for one in deliveries]
    return found


async def isolated(path: Path, count: int, poisonous: int) -> None:
    flows = contents(count, poisonous)
    poisoned = {str(key) for key, content in enumerate(flows) if content != HARMLESS}

    async with open_runtime(path, processes=[parcels()], gateways=[Post()]) as runtime:
        for batch in batches(flows):
            await runtime.publish(batch)
        await runtime.drain()
        counts = await runtime.journal.counts()
        assert counts.flows["parcel"] == {"ended": count - poisonous, "quarantined": poisonous}
        assert counts.outcomes["parcel"] == {"sent": count - poisonous}
        unhandled = ["parcel.weighed", "parcel.stamped", "parcel.stamped"]
        assert await set_aside(runtime) == dict.fromkeys(poisoned, unhandled)
        assert await runtime.journal.verify() == []

    async with open_runtime(path, processes=[parcels(repaired=True)], gateways=[Post()]) as runtime:
        for key in poisoned:
            await runtime.flow("parcel", key).release(by="operator", why="the code is repaired")
        for key in poisoned:
            assert await runtime.flow("parcel", key).wait_ended(40) == "sent"
        await runtime.drain()
        counts = await runtime.journal.counts()
        assert counts.flows["parcel"] == {"ended": count}
        assert counts.deliveries == {}
        assert await runtime.journal.verify() == []


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A line for each flow that is set aside would hide what matters."""
    logger = logging.getLogger("procession.quarantine")
    before = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(before)


async def test_a_few_poisonous_flows_harm_no_other(tmp_path: Path) -> None:
    await isolated(tmp_path / "journal.db", 300, 10)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_hundred_poisonous_flows_harm_none_of_ten_thousand(tmp_path: Path) -> None:
    await isolated(tmp_path / "journal.db", 10_000, 100)
