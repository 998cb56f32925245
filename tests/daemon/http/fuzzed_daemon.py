"""The daemon that the fuzzer asks: a shop, run by the real command, with something in every route's reach."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import requests
import requests.adapters
import urllib3

from tests.daemon.command import ROOT, environment
from tests.daemon.http.served import cloud_event
from tests.ports import free_port

PATIENCE_S = 30


def _session() -> requests.Session:
    """One that asks twice where its connection, which was idle, is closed at the moment in which it asks."""
    found = requests.Session()
    twice = urllib3.Retry(1, allowed_methods=None, respect_retry_after_header=False)
    found.mount("http://", requests.adapters.HTTPAdapter(max_retries=twice))
    return found


@attrs.define(eq=False)
class Fuzzed:
    """A daemon of the shop."""

    process: subprocess.Popen[bytes]
    address: str
    log: Path
    session: requests.Session = attrs.field(factory=_session)

    def ask(self, method: str, path: str, **sent: Any) -> requests.Response:  # noqa: ANN401 - as requests takes it
        return self.session.request(method, self.address + path, timeout=PATIENCE_S, **sent)

    def publish(self, kind: str, id: str, **data: object) -> None:
        response = self.ask(
            "POST",
            "/v1/events",
            json=cloud_event(kind, id, data),
            headers={"Content-Type": "application/cloudevents+json"},
        )
        assert response.status_code == 200, response.text

    def rss_mb(self) -> float:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024

    def tracebacks(self) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if "Traceback" in line or '"exception"' in line]


@contextlib.contextmanager
def daemon(fault: str = "-") -> Iterator[Fuzzed]:
    """The shop, run by `procession run`, with something in every route's reach; and a fault, where one is named."""
    with tempfile.TemporaryDirectory(prefix="procession-fuzz-") as folder:
        at, port = Path(folder), free_port()
        configuration = at / "procession.toml"
        configuration.write_text(
            f'modules = ["tests.daemon.http.shop"]\nimport_paths = ["{ROOT}"]\n[http]\nbind = "127.0.0.1:{port}"\n'
        )
        log = at / "log"
        with (
            log.open("wb") as stderr,
            subprocess.Popen(
                [sys.executable, "-m", "tests.crash.served", fault, "run", "--config", str(configuration)],
                cwd=at,
                env=environment({"PYTHONPATH": str(ROOT)}),
                stderr=stderr,
            ) as process,
        ):
            found = Fuzzed(process, f"http://127.0.0.1:{port}", log)
            found.session.trust_env = False
            try:
                _wait_ready(found)
                _fill(found)
                yield found
            finally:
                found.session.close()
                if process.poll() is None:
                    process.kill()


def _wait_ready(found: Fuzzed) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_at:
        with contextlib.suppress(requests.ConnectionError):
            if found.ask("GET", "/readyz").status_code == 200:
                return
        assert found.process.poll() is None, found.log.read_text()
        time.sleep(0.05)
    raise AssertionError(f"it is not ready: {found.log.read_text()}")


def _fill(found: Fuzzed) -> None:
    for key in ("b1", "b2", "broken"):
        found.publish("basket.sent", f"{key}/sent", basket=key, lines=[{"article": "pen", "pieces": 3}])
    found.publish("basket.dropped", "broken/dropped", basket="broken")
    for number in range(5, 10):
        found.publish("return.filed", f"{number}/filed", number=number, cents=100)
