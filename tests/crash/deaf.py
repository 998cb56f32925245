"""A daemon whose telemetry and log nobody takes: flows go on, what is lost is counted, the end comes in time.

    python -m tests.crash.deaf --flows 300

Its receiver of traces and metrics is dead, takes connections and never answers, answers without end or by drops, or
resets; its log is a closed pipe, a pipe that is not read, or a file that may not grow; a scraper asks and never reads.
Each is one life of a daemon, beside one in which all is well.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import attrs
import trio

from tests.crash.counts import Counts, add_arguments, hand_out
from tests.crash.lab import Lab, lab
from tests.crash.senders import Wire, post
from tests.crash.served import FAULTS
from tests.ports import free_port

FLOWS_S_MAX = 40.0
LATENCY_MORE_S_MAX = 0.6
"""The slowest answer but one, beyond that of the life in which all is well: a receiver that is waited for costs a
second again and again, a busy machine something once."""
END_MORE_S_MAX = 2.5
"""Two for telemetry, and a half since a machine that is busy ends later."""
_LOG_BYTES = 64_000_000
_PIPE_BYTES = 4_096
"""Soon full where it is not read."""
_STRUCTURED = "application/cloudevents+json"
_SCRAPERS = 20
END_S_MAX = 15.0
_DROPPED = re.compile(r'^procession_telemetry_dropped_total\{signal="(\w+)"\} (\S+)', re.MULTILINE)
_ENDED = re.compile(r'^procession_flows_ended_total\{[^}]*process="noisy_errand"[^}]*\} (\S+)', re.MULTILINE)
Answer = Callable[[socket.socket], None]


def _never(connection: socket.socket) -> None:
    time.sleep(60)


def _resets(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _without_end(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n\r\n")
    while True:
        connection.sendall(bytes(65_536))


def _by_drops(connection: socket.socket) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(1_000):
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


RECEIVERS: dict[str, Answer | None] = {
    "dead": None,
    "never answers": _never,
    "resets": _resets,
    "answers without end": _without_end,
    "answers by drops": _by_drops,
}
LOGS = ("closed", "not read", "full")
KINDS = ("well", *RECEIVERS, *(f"log {kind}" for kind in LOGS), "scrapers")


@attrs.define
class Life:
    """What one life of the daemon showed."""

    kind: str
    flows: int = 0
    answers_s: list[float] = attrs.field(factory=list, repr=False)
    """How long each answer took."""
    took_s: float = 0
    dropped: dict[str, float] = attrs.field(factory=dict)
    end_s: float = 0
    code: int | None = None
    said: str = ""

    @property
    def latency_s_max(self) -> float:
        """Of the slowest answer."""
        return max(self.answers_s, default=0)

    def is_slower(self, well: Life) -> bool:
        """Whether answers waited for what nobody takes."""
        slow_s, well_s = (sorted(life.answers_s)[-2:][0] if life.answers_s else 0 for life in (self, well))
        return slow_s > well_s + LATENCY_MORE_S_MAX

    def __str__(self) -> str:
        return (
            f"{self.kind}: {self.flows} flows in {self.took_s:.1f} s, the slowest answer"
            f" {self.latency_s_max * 1000:.0f} ms, dropped {self.dropped}, ended with {self.code} after"
            f" {self.end_s:.1f} s"
        )


def figures_of(lives: list[Life]) -> dict[str, float]:
    """As counts."""
    return {
        "lives of a daemon": len(lives),
        "flows that ended": sum(life.flows for life in lives),
        "ms until the slowest answer": round(1000 * max(life.latency_s_max for life in lives)),
        "spans, metrics and lines dropped": round(sum(sum(life.dropped.values()) for life in lives)),
        "s to the slowest end": max(life.end_s for life in lives),
    }


def breaches(lives: list[Life], flows: int) -> list[str]:
    """What must not be, each life beside that in which all was well."""
    well = lives[0]
    found: list[str] = []
    for life in lives:
        faults = []
        if life.flows < flows:
            faults.append(f"{life.flows} of {flows} flows ended in time")
        if life.is_slower(well):
            faults.append(f"an answer took {life.latency_s_max:.1f} s, {well.latency_s_max:.1f} s where all is well")
        if life.code != 0:
            faults.append(f"exit code {life.code}: {life.said}")
        if life.end_s > well.end_s + END_MORE_S_MAX:
            faults.append(f"the end took {life.end_s:.1f} s, {well.end_s:.1f} s where all is well")
        signals = _lost_by(life.kind)
        faults += [f"nothing is counted as dropped of {signal}" for signal in signals if not life.dropped.get(signal)]
        found += [f"{life.kind}: {fault}" for fault in faults]
    return found


def _lost_by(kind: str) -> tuple[str, ...]:
    if kind in ("log closed", "log full"):
        return ("log",)
    return ("spans", "metrics") if kind in ("dead", "never answers", "resets") else ()


@contextlib.contextmanager
def receiver(answer: Answer | None) -> Iterator[str]:
    """An address where connections are answered so; dead without an answer."""
    if answer is None:
        yield f"http://127.0.0.1:{free_port()}"
        return
    listening = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=answer_one, args=(connection,), daemon=True).start()

    def answer_one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65_536)
            answer(connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield address
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


@contextlib.contextmanager
def log_of(folder: Path, kind: str) -> Iterator[tuple[int | None, Callable[[], None] | None]]:
    """The descriptor of a log that is no good, and what its process does first."""
    if kind == "full":
        descriptor = os.open(folder / "full", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.ftruncate(descriptor, _LOG_BYTES - 3_000)  # of holes: it takes no room
        limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (_LOG_BYTES, resource.RLIM_INFINITY))
        try:
            yield descriptor, limit
        finally:
            os.close(descriptor)
        return
    if kind not in ("closed", "not read"):
        yield None, None
        return
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    if kind == "closed":
        os.close(reading)
    try:
        yield writing, None
    finally:
        os.close(writing)
        if kind != "closed":
            os.close(reading)


async def _flows(served: Lab, flows: int, life: Life, flows_s_max: float) -> None:
    wire = Wire(await trio.open_tcp_stream("127.0.0.1", served.port))
    began = trio.current_time()
    async with wire.stream:
        with trio.move_on_after(flows_s_max):
            for number in range(flows):
                event = {
                    "specversion": "1.0",
                    "id": f"{number}",
                    "source": "lab",
                    "type": "noisy.asked",
                    "data": {"errand": f"{number}"},
                }
                asked = trio.current_time()
                answer = await post(wire, "/v1/events", _STRUCTURED, json.dumps(event).encode())
                assert answer.status == 200, answer.body
                life.answers_s.append(trio.current_time() - asked)
            signals = _lost_by(life.kind)
            while life.flows < flows or not all(life.dropped.get(signal) for signal in signals):
                text = await _metrics(served.port)
                life.flows = round(sum(float(number) for number in _ENDED.findall(text)))
                life.dropped = {signal: float(number) for signal, number in _DROPPED.findall(text) if float(number)}
                await trio.sleep(0.05)
                if trio.current_time() - began > flows_s_max / 2 and life.flows == flows:
                    break
    life.took_s = trio.current_time() - began


async def _metrics(port: int) -> str:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return b"".join([block async for block in stream]).decode()


@contextlib.contextmanager
def scraping(port: int, scrapers: int) -> Iterator[None]:
    """So many ask for metrics again and again on one connection, and never read."""
    with contextlib.ExitStack() as stack:
        for _ in range(scrapers):
            one = stack.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
            one.connect(("127.0.0.1", port))
            one.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)
        yield


def live(
    work: Path,
    kind: str,
    flows: int,
    fault: str = "-",
    flows_s_max: float = FLOWS_S_MAX,
    end_s_max: float = END_S_MAX,
    otlp_timeout_s: float = 1,
) -> Life:
    """One daemon, whose flows and whose end are waited for so long, and which waits so long for its receiver."""
    life = Life(kind)
    with (
        lab(work / kind.replace(" ", "-"), fault=fault) as served,
        receiver(RECEIVERS.get(kind)) as address,
        log_of(served.folder, kind.removeprefix("log ")) as (stderr, before),
    ):
        told = {"PROCESSION_MODULES": "tests.crash.noisy_flows"}
        if kind in RECEIVERS:
            told |= {
                "PROCESSION_TELEMETRY__OTLP_ENDPOINT": address,
                "PROCESSION_TELEMETRY__METRICS_ENDPOINT": address,
                "PROCESSION_TELEMETRY__METRICS_INTERVAL_S": "0.1",
                "PROCESSION_TELEMETRY__OTLP_INTERVAL_S": "0.1",
                "PROCESSION_TELEMETRY__OTLP_TIMEOUT_S": str(otlp_timeout_s),
                "PROCESSION_TELEMETRY__TRACE_RATIO": "1",
            }
        with served.life(environ=told, before=before, stderr=stderr) as process:
            assert served.wait_ready(process), served.said
            with scraping(served.port, _SCRAPERS if kind == "scrapers" else 0):
                trio.run(_flows, served, flows, life, flows_s_max)
                _end(process, life, end_s_max)
        life.said = served.said
    return life


def _end(process: subprocess.Popen[bytes], life: Life, end_s_max: float) -> None:
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        life.code = process.wait(end_s_max)
    life.end_s = time.monotonic() - began


def run(
    work: Path,
    kinds: tuple[str, ...],
    flows: int,
    fault: str = "-",
    *,
    flows_s_max: float = FLOWS_S_MAX,
    otlp_timeout_s: float = 1,
) -> list[Life]:
    """A life of each kind; the first in which all is well. One that was late has another: a machine may be busy."""
    lived = partial(live, flows=flows, flows_s_max=flows_s_max, otlp_timeout_s=otlp_timeout_s)
    well = lived(work / "0", "well")
    lives = [well]
    for kind in kinds:
        life = lived(work / "0", kind, fault=fault)
        if life.code == 0 and (life.is_slower(well) or life.end_s > well.end_s + END_MORE_S_MAX):
            life = lived(work / "1", kind, fault=fault)
        lives.append(life)
    return lives


def main() -> int:
    parser = argparse.ArgumentParser(description="Run a daemon whose telemetry and log nobody takes.")
    parser.add_argument("--flows", type=int, default=300)
    add_arguments(parser, minutes=False, faults=FAULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        lives = run(Path(folder), KINDS[1:], given.flows, given.fault)
    found = breaches(lives, given.flows)
    print("\n".join([*map(str, lives), f"{len(found)} breaches"]))
    tried = ("flows that ended", "spans, metrics and lines dropped")
    return hand_out(given, Counts(figures_of(lives), found, tried))


if __name__ == "__main__":
    sys.exit(main())
