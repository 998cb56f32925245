"""What those who watch a service ask."""

from __future__ import annotations

import re

import pytest
import trio
import trio.testing

from procession.daemon.snapshot import Snapshots
from procession.errors import ProcessionError
from procession.http_settings import HttpSettings
from procession.testing.faults import FaultyJournal
from tests.daemon.http.served import ParcelSent, served

RUNNING = re.compile(r"a commit has been running for [1-9]\d* s")


async def test_it_lives_and_is_ready() -> None:
    async with served() as http:
        assert (await http.client.get("/livez")).json() == {"status": "live"}
        assert (await http.client.get("/readyz")).json() == {"status": "ready"}
        assert (await http.client.head("/readyz")).status_code == 200


async def test_it_is_not_ready_while_it_is_held_and_says_why() -> None:
    journal = FaultyJournal()
    async with served(journal) as http:
        journal.count_anew({1: "fail"})
        journal.reopens_failing = 1_000_000
        with pytest.raises(ProcessionError):
            await http.runtime.publish(ParcelSent("p1"))
        response = await http.client.get("/readyz")
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert "on fire" in response.json()["detail"]
        assert (await http.client.get("/livez")).status_code == 200
        assert "\nprocession_held 1.0\n" in (await http.client.get("/metrics")).text
        journal.reopens_failing = 0


async def test_it_is_not_ready_while_one_commit_does_not_end_and_goes_on_when_it_does(
    mock_clock: trio.testing.MockClock,
) -> None:
    journal = FaultyJournal()
    async with served(journal, HttpSettings(ready_commit_s=0.1)) as http, trio.open_nursery() as nursery:
        assert (await http.client.get("/readyz")).status_code == 200
        journal.commit_s = 60
        nursery.start_soon(http.runtime.publish, ParcelSent("p1"))
        while http.runtime.committing_s < 1.1:  # it is measured by another clock than it waits by
            await trio.lowlevel.checkpoint()
        response = await http.client.get("/readyz")
        assert response.status_code == 503
        assert RUNNING.search(response.json()["detail"])
        assert (await http.client.get("/livez")).status_code == 200
        assert (await http.client.get("/v1/overview")).json()["committing_s"] > 1
        assert RUNNING.search(Snapshots(http.runtime, "here.db").status())
        journal.commit_s = 0
        mock_clock.jump(60)
        await http.runtime.drain()
        assert (await http.client.get("/readyz")).status_code == 200
        assert "\nprocession_commit_running_seconds 0.0\n" in (await http.client.get("/metrics")).text
