"""`procession run` where the settings name an address for HTTP."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx

from tests.daemon.command import run
from tests.daemon.serving import asked, project, serving
from tests.ports import free_port


def test_it_serves_http_and_ends_in_order_under_load(tmp_path: Path) -> None:
    port = free_port()
    accepted: list[str] = []

    def load() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            for number in range(100_000):
                event = asked(f"e{number}")
                try:
                    media = {"Content-Type": "application/cloudevents+json"}
                    response = client.post("/v1/events", json=event, headers=media)
                except httpx.TransportError:
                    return
                accepted.extend([f"e{number}"] * (response.status_code == 200))

    with serving(project(tmp_path, f'[http]\nbind = "127.0.0.1:{port}"\n')) as daemon:
        loading = threading.Thread(target=load)
        loading.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            assert client.get("/readyz").status_code == 200
            while 'procession_flows_ended_total{outcome="completed"' not in client.get("/metrics").text:
                pass
        assert daemon.stop() == 0
        loading.join()
        assert daemon.logged[-1]["message"] == "closed in order"
        assert [record for record in daemon.logged if record["level"] != "INFO"] == []
    found = run("ls", "--limit", "100000", cwd=tmp_path).stdout.decode()
    assert accepted
    assert [errand for errand in accepted if f"errand/{errand}\t" not in found] == []


def test_an_address_that_others_can_reach_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    done = run("run", cwd=project(tmp_path, '[http]\nbind = "0.0.0.0:8080"\n'))
    assert done.returncode == 2
    assert b"setting http.bind: is '0.0.0.0:8080', which others can reach" in done.stderr
    assert b"Traceback" not in done.stderr
    assert not (tmp_path / "procession.db").exists()


def test_a_port_that_is_taken_is_refused_in_a_sentence(tmp_path: Path) -> None:
    port = free_port()
    folder, other = tmp_path / "one", tmp_path / "other"
    for made in (folder, other):
        made.mkdir()
        project(made, f'[http]\nbind = "127.0.0.1:{port}"\n')
    with serving(folder):
        done = run("run", cwd=other)
        assert done.returncode == 2
        assert b"where nothing can listen" in done.stderr
        assert not (other / "procession.db").exists()
