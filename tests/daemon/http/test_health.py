"""What those who watch a service ask."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from procession.errors import ProcessionError
from procession.telemetry.names import counter_help
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
        assert "\nprocession_held 1\n" in (await http.client.get("/metrics")).text
        journal.reopens_failing = 0


async def test_every_counter_is_there_with_its_help_and_type() -> None:
    async with served() as http:
        await http.runtime.publish(ParcelSent("p1"))
        await http.runtime.drain()
        response = await http.client.get("/metrics")
        assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        lines = response.text.splitlines()
        for name, about in counter_help().items():
            at = lines.index(f"# HELP {name}_total {about}")
            assert lines[at + 1] == f"# TYPE {name}_total counter"
            assert lines[at + 2].startswith(f"{name}_total ")
        assert "procession_flows_ended_total 1" in lines
        assert 'procession_gateway_attempts_running{gateway="carriers"} 0' in lines


async def test_no_label_carries_a_key() -> None:
    async with served() as http:
        await http.runtime.publish(ParcelSent("secret-parcel"))
        await http.runtime.drain()
        assert "secret-parcel" not in (await http.client.get("/metrics")).text


@pytest.mark.needs("promtool", "apt-get install prometheus")
async def test_prometheus_has_no_finding() -> None:
    async with served() as http:
        text = (await http.client.get("/metrics")).text
    promtool = shutil.which("promtool")
    assert promtool is not None
    done = subprocess.run([promtool, "check", "metrics"], input=text.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
