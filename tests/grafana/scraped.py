"""A real daemon under load over HTTP, and a real Prometheus that scrapes it; both on loopback, ended by their ids."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import httpx

from procession.daemon.traffic import plans_of, traffic
from procession.primitives.outside import Outside
from procession.primitives.registry import Registry
from procession.primitives.stored import stored_of
from procession.settings import Settings
from procession.wiring import load_wiring, registry_of
from tests.daemon.command import ROOT
from tests.ports import free_port

FLOWS = """
from datetime import timedelta

from flows import batch_settlement, order_fulfilment, order_overview, stock
from flows.simulated.weather import Weather
from procession import Effects, Event, ProcessManager, Wiring, after, ends, on, starts


class NapBegan(Event, name="nap.began"):
    nap: str


class NapOver(Event, name="nap.over"):
    nap: str


class Nap(ProcessManager, name="nap", key="nap"):
    @starts
    def sleep(self, began: NapBegan) -> Effects:
        yield after(timedelta(milliseconds=50), NapOver(began.nap))

    @ends(outcome="woken")
    def wake(self, over: NapOver) -> None: ...


class CupFilled(Event, name="cup.filled"):
    cup: str
    tea: str = ""


class CupDropped(Event, name="cup.dropped"):
    cup: str


class Cup(ProcessManager, name="cup", key="cup"):
    @starts
    def filled(self, filled: CupFilled) -> None: ...

    @on
    def dropped(self, dropped: CupDropped) -> None:
        raise RuntimeError("it is broken")


def wire_production(settings: object) -> Wiring:
    weather = Weather(seed=7, latency_s=0.004, failing_share=0.1, declining_share=0.1)
    wired = [
        order_fulfilment.wire_simulated(weather),
        batch_settlement.wire_simulated(weather),
        stock.wire_production(settings),
        order_overview.wire_production(settings),
    ]
    return Wiring(
        processes=(Nap, Cup, *(one for wiring in wired for one in wiring.processes)),
        gateways=tuple(one for wiring in wired for one in wiring.gateways),
        invariants=tuple(one for wiring in wired for one in wiring.invariants),
        aggregates=tuple(one for wiring in wired for one in wiring.aggregates),
        projectors=tuple(one for wiring in wired for one in wiring.projectors),
    )


wire_testing = wire_production
"""
_CONFIGURATION = """
modules = ["shop"]
import_paths = ["..", "{root}"]

[http]
bind = "127.0.0.1:{port}"

[telemetry]
sample_s = 0.5

[intake]
payload_bytes_warn = 1_024

[gateways]
backoff_initial_s = 0.01
"""
_SCRAPES = """
global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: procession
    static_configs: [{{ targets: ["127.0.0.1:{port}"] }}]
"""
_BATCH = 50
_PATIENCE_S = 40.0
_LOADED_S_MAX = 60.0


def shop(folder: Path) -> tuple[int, Registry]:
    """A project whose daemon serves HTTP; its port, and its classes."""
    port = free_port()
    (folder / "config").mkdir()
    (folder / "shop.py").write_text(FLOWS)
    (folder / "config" / "procession.toml").write_text(_CONFIGURATION.format(root=ROOT, port=port))
    settings = Settings(modules=("shop",), import_paths=(str(folder), str(ROOT)))
    return port, registry_of(load_wiring(settings))


@attrs.define(eq=False)
class Load:
    """The traffic of a demo, over HTTP, until it is ended."""

    port: int
    registry: Registry
    keys: set[str] = attrs.field(factory=set)
    """Of the flows that it started."""
    _ended: threading.Event = attrs.field(factory=threading.Event)
    _thread: threading.Thread = attrs.field(init=False)

    def begin(self) -> None:
        """Publish batches, in a thread."""
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        events = iter(traffic(plans_of(self.registry), 100_000, seed=3))
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=30) as client:
            for number in itertools.count():
                if self._ended.is_set():
                    return
                batch = [self._as_json(event) for event in itertools.islice(events, _BATCH)]
                batch.append(_large(f"large-{number}"))
                media = {"Content-Type": "application/cloudevents-batch+json"}
                assert client.post("/v1/events", content=json.dumps(batch), headers=media).status_code < 500
                self._ended.wait(0.05)

    def end(self) -> None:
        """No batch follows, and the last one is answered."""
        self._ended.set()
        self._thread.join()

    def _as_json(self, outside: Outside) -> dict[str, Any]:
        stored = stored_of(type(outside.event))
        assert outside.id is not None
        self.keys.add(outside.id.split("/")[1])
        data = json.loads(self.registry.codec.encode(outside.event))
        return {"specversion": "1.0", "id": outside.id, "source": "demo", "type": stored.name, "data": data}


def _large(cup: str) -> dict[str, Any]:
    """More data than is taken without a word."""
    data = {"cup": cup, "tea": "more " * 400}
    return {"specversion": "1.0", "id": cup, "source": "demo", "type": "cup.filled", "data": data}


@contextlib.contextmanager
def loaded(port: int, registry: Registry) -> Iterator[Load]:
    """Load for as long as the block."""
    load = Load(port, registry)
    load.begin()
    try:
        yield load
    finally:
        load.end()


def in_the_end_nothing(found: Callable[[], Iterable[str]]) -> list[str]:
    """What is still found when patience is over."""
    give_up_at = time.monotonic() + _LOADED_S_MAX
    while left := list(found()):
        if time.monotonic() > give_up_at:
            return left
    return []


@attrs.frozen
class Prometheus:
    """One that runs."""

    client: httpx.Client

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression gives now."""
        found: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return found

    def ask(self, what: str, **parameters: str) -> Any:  # noqa: ANN401 - JSON
        """One question of its API."""
        response = self.client.get(f"/api/v1/{what}", params=parameters)
        answer = response.json()
        assert answer["status"] == "success", (parameters, answer)
        return answer["data"]


@contextlib.contextmanager
def scraping(folder: Path, port: int, rules: Path) -> Iterator[Prometheus]:
    """A Prometheus that scrapes this port, and evaluates these rules, for as long as the block."""
    program = shutil.which("prometheus")
    assert program is not None
    own = free_port()
    (folder / "prometheus.yml").write_text(_SCRAPES.format(rules=rules, port=port))
    arguments = [
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{own}",
        "--log.level=error",
    ]
    with (
        (folder / "prometheus.log").open("wb") as log,
        subprocess.Popen([program, *arguments], stdout=log, stderr=log) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{own}", trust_env=False, timeout=30) as client,
    ):
        try:
            give_up_at = time.monotonic() + _PATIENCE_S
            while not _is_ready(client):
                assert time.monotonic() < give_up_at, (folder / "prometheus.log").read_text()
                time.sleep(0.05)
            yield Prometheus(client)
        finally:
            process.terminate()


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False
