"""A disk that is full: nothing accepted is lost, reading goes on, and it recovers by itself once there is room."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest

from tests.daemon.http.served import free_port
from tests.daemon.inside import json_inside
from tests.daemon.serving import asked, project, serving
from tests.small_disk import mounted

_SIZE_BYTES = 6_000_000
_BALLAST_BYTES = 2_500_000
_RECOVERS_WITHIN_S = 5.0
_DASHBOARD = (
    "/", "/v1/overview", "/v1/flows?limit=10", "/v1/search?q=status:active", "/v1/positions",
    "/v1/runtime/tasks", "/v1/session", "/metrics",
)  # fmt: skip
"""What pages of the dashboard are made of, and what Prometheus asks."""
_MEDIA = {"Content-Type": "application/cloudevents+json"}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(60),
    pytest.mark.needs("mount", "install mount, on Debian: apt-get install mount"),
]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, most of which something else has taken."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, _SIZE_BYTES):
        (disk / "ballast").write_bytes(bytes(_BALLAST_BYTES))
        yield disk


def publish(client: httpx.Client, number: int) -> int:
    return client.post("/v1/events", json=asked(f"{number:06}-{'x' * 400}"), headers=_MEDIA).status_code


def publish_until_refused(client: httpx.Client) -> tuple[list[int], int]:
    """The numbers of the events that were accepted, and the status of the refusal."""
    accepted: list[int] = []
    while (status := publish(client, len(accepted))) == HTTPStatus.OK:
        accepted.append(len(accepted))
    return accepted, status


def recovered_after_s(client: httpx.Client, number: int) -> float:
    began = time.monotonic()
    while publish(client, number) != HTTPStatus.OK:
        assert time.monotonic() - began < _RECOVERS_WITHIN_S, "it does not recover"
        time.sleep(0.05)
    return time.monotonic() - began


def test_a_full_disk_refuses_and_reads_and_recovers_without_a_restart(tmp_path: Path, small_disk: Path) -> None:
    port, journal = free_port(), small_disk / "procession.db"
    project(
        tmp_path,
        f'[journal]\npath = "{journal}"\nwal_pages_max = 100\n'
        f'[commit]\noutcome_wait_s = 1\n[http]\nbind = "127.0.0.1:{port}"\n',
    )
    with (
        serving(tmp_path) as daemon,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client,
    ):
        accepted, refused_by = publish_until_refused(client)
        assert refused_by == HTTPStatus.SERVICE_UNAVAILABLE
        assert len(accepted) > 100
        assert client.get("/livez").status_code == HTTPStatus.OK
        for _ in range(30):
            ready, listed = client.get("/readyz"), client.get("/v1/flows?limit=10")
            assert ready.status_code == HTTPStatus.SERVICE_UNAVAILABLE
            assert "full" in ready.text or "no space" in ready.text, ready.text
            assert listed.status_code == HTTPStatus.OK, listed.text
            time.sleep(0.1)
        assert len(listed.json()["flows"]) == 10
        assert {path: client.get(path).status_code for path in _DASHBOARD} == dict.fromkeys(_DASHBOARD, HTTPStatus.OK)
        flow = listed.json()["flows"][0]
        assert client.get(f"/v1/flows/{flow['process']}/{flow['key']}/history").status_code == HTTPStatus.OK
        held = client.get("/v1/overview").json()["held"]
        assert "full" in held or "no space" in held, held
        assert publish(client, len(accepted)) == HTTPStatus.SERVICE_UNAVAILABLE
        (small_disk / "ballast").unlink()
        assert recovered_after_s(client, len(accepted)) < _RECOVERS_WITHIN_S
        assert client.get("/readyz").status_code == HTTPStatus.OK
        assert daemon.stop() == 0
    found = json_inside("ls", "--journal", journal, "--limit", "0", cwd=tmp_path)["flows"]
    kept = {int(flow["key"].partition("-")[0]) for flow in found}
    assert kept >= {*accepted, len(accepted)}
    checks = json_inside("doctor", "--journal", journal, cwd=tmp_path, code=1)["checks"]
    assert [check["name"] for check in checks if check["grade"] == "fail"] == ["disk"], "it is small, and that is all"
