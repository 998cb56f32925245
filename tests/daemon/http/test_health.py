"""What those who watch a service ask."""

from __future__ import annotations

import pytest

from procession.errors import ProcessionError
from tests.daemon.http.served import ParcelSent, served
from tests.engine.faulty_journal import FaultyJournal


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
