"""Many clients on the stream of events while a daemon works, one of which never reads.

    python -m tests.crash.streaming --clients 500 --seconds 20

The lag of the others, from an event's commit to its arrival, is compared in one run: with and without the one that
never reads, in turns. The daemon's memory is measured; at SIGTERM each stream must end in order, not be cut off.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import attrs
import trio

from procession.primitives.outside import Outside
from tests.bench.figures import percentiles
from tests.crash.counts import Counts, add_arguments, hand_out
from tests.crash.lab import Lab, lab, stop
from tests.crash.senders import Wire, cloud_event, post
from tests.crash.served import FAULTS
from tests.crash.story import SOURCE, OrderPlaced

_PATH = "/v1/events/stream"
_END = b"0\r\n\r\n"
_TURNS_MIN, _TURNS_MAX = 4, 16
"""Other work on the machine may slow down all turns of one kind: there are more then."""
_SETTLE_S = 1.0
_ANSWER_S_MAX = 5.0
_PUBLISHES_PER_S = 5
_BUFFER_BYTES = 4_096
_PAYLOAD = "x" * 200
LAG_TIMES_MAX = 2
"""The lag beside one that never reads, of that without."""
GROWN_MB_MAX = 32
SETTINGS = "http.send_s = 600\n"
"""One that does not read is not closed for as long as the run lasts."""


@attrs.define
class Report:
    """What was seen."""

    clients: int
    quiet_ms: list[list[float]] = attrs.field(factory=list)
    """By turn: lags while everybody reads."""
    beside_ms: list[list[float]] = attrs.field(factory=list)
    """By turn: lags while one does not."""
    rss_mb: list[float] = attrs.field(factory=list)
    """Of the daemon: with all clients, after each turn."""
    ended: int = 0
    """Streams that ended in order."""
    code: int = -1
    took_s: float = 0.0

    @property
    def lag_ratio(self) -> float:
        """The median lag of the best turn beside one that does not read, of that without; infinite where none came.

        Of the best turns, because other work on the machine makes any turn slower, and none quicker.
        """
        if not all(self.beside_ms) or not any(self.quiet_ms):
            return float("inf")
        return min(map(statistics.median, self.beside_ms)) / min(map(statistics.median, filter(None, self.quiet_ms)))

    @property
    def grown_mb(self) -> float:
        """Memory at the end, beyond that with all clients connected and nothing sent yet."""
        return max(self.rss_mb) - self.rss_mb[0]

    @property
    def turns(self) -> tuple[list[list[float]], list[list[float]]]:
        """Both kinds."""
        return self.quiet_ms, self.beside_ms

    @property
    def counts(self) -> Counts:
        """As figures."""
        quiet, beside = (percentiles([lag for turn in turns for lag in turn] or [0]) for turns in self.turns)
        figures = {
            "clients": self.clients,
            "ms lag (median) while all read": quiet[0],
            "ms beside one that never does": beside[0],
            "MB more": self.grown_mb,
            "streams that ended in order": self.ended,
        }
        breaches = [] if self.code == 0 else [f"the daemon ended with {self.code}"]
        if self.ended != self.clients - 1:
            breaches.append(f"{self.ended} of {self.clients - 1} streams ended in order")
        if not all(self.beside_ms):
            breaches.append("readers heard nothing beside one that does not read")
        elif self.lag_ratio >= LAG_TIMES_MAX:
            breaches.append(f"the lag beside one that does not read is {self.lag_ratio:.1f} times that without")
        if self.grown_mb >= GROWN_MB_MAX:
            breaches.append(f"memory grew by {self.grown_mb:.0f} MB, over {GROWN_MB_MAX}")
        return Counts(figures, breaches, ("streams that ended in order", "ms lag (median) while all read"))

    def __str__(self) -> str:
        quiet, beside = (percentiles([lag for turn in turns for lag in turn] or [0]) for turns in self.turns)
        return (
            f"{self.clients} clients; lag p50 and p99: {quiet[0]:.0f} and {quiet[2]:.0f} ms while all read,"
            f" {beside[0]:.0f} and {beside[2]:.0f} ms beside one that never does, ratio of the best medians"
            f" {self.lag_ratio:.2f}; memory {self.rss_mb[0]:.0f} MB, {self.grown_mb:.0f} MB more at most; at SIGTERM"
            f" {self.ended} streams ended in order, exit code {self.code} after {self.took_s:.1f} s"
        )


def rss_mb(pid: int) -> float:
    """Memory of a process, on Linux."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1_000_000


@attrs.define(eq=False)
class Reader:
    """One client of the stream."""

    wire: Wire
    lags_ms: list[float] = attrs.field(factory=list)
    ended: bool = False

    async def read(self) -> None:
        """Note the lag of each event until the stream ends."""
        try:
            while True:
                line = await self.wire.until(b"\n")
                if line == b"0\r":
                    self.ended = True
                elif line.startswith(b"data: "):
                    self.lags_ms.append(time.time() * 1000 - _published_ms(line))
        except (EOFError, trio.BrokenResourceError):
            return


def _published_ms(line: bytes) -> float:
    key: str = json.loads(line[6:])["data"]["order_id"]
    return float(key.partition("/")[0])


@contextlib.asynccontextmanager
async def connected(port: int, query: str, buffer_bytes: int | None = None) -> AsyncIterator[Wire]:
    """A client that has asked for the stream, with so much room for what it has not read."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        if buffer_bytes is not None:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        await stream.send_all(f"GET {_PATH}{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        wire = Wire(stream)
        await wire.until(b": from here on")
        yield wire


async def _publish(port: int, seconds: float) -> None:
    wire = Wire(await trio.open_tcp_stream("127.0.0.1", port))
    until = trio.current_time() + seconds
    number = 0
    # Where connections wait for each other it gets no answer, and nobody an event: that is what the lags tell.
    with trio.move_on_after(seconds + _ANSWER_S_MAX):
        while trio.current_time() < until:
            number += 1
            key = f"{time.time() * 1000:.3f}/{number}/{_PAYLOAD}"
            event = cloud_event(Outside(OrderPlaced(key), key, SOURCE))
            answer = await post(wire, "/v1/events", "application/cloudevents+json", json.dumps(event).encode())
            assert answer.status == 200, answer.body
            await trio.sleep(1 / _PUBLISHES_PER_S)
    await trio.aclose_forcefully(wire.stream)


async def _loaded(loaded: Lab, process: subprocess.Popen[bytes], report: Report, seconds: float) -> None:
    async with contextlib.AsyncExitStack() as stack, trio.open_nursery() as nursery:

        async def asked(query: str) -> Wire:
            return await stack.enter_async_context(connected(loaded.port, query))

        readers = [Reader(await asked("?type=order.placed")) for _ in range(report.clients - 1)]
        report.rss_mb.append(rss_mb(process.pid))
        for reader in readers:
            nursery.start_soon(reader.read)
        for turn in range(_TURNS_MAX):
            async with contextlib.AsyncExitStack() as one:
                beside = turn % 2 == 1
                if beside:
                    # It asks for all that there ever was, so that its buffers, which are small, are full at once.
                    await one.enter_async_context(connected(loaded.port, "?after=0", _BUFFER_BYTES))
                await _publish(loaded.port, _SETTLE_S)
                for reader in readers:
                    reader.lags_ms.clear()
                await _publish(loaded.port, seconds / _TURNS_MIN)
                lags = [lag for reader in readers for lag in reader.lags_ms]
                (report.beside_ms if beside else report.quiet_ms).append(lags)
                report.rss_mb.append(rss_mb(process.pid))
            if beside and not all(report.beside_ms):
                break  # nothing was heard: no further turn makes that good
            if beside and turn >= _TURNS_MIN - 1 and report.lag_ratio < LAG_TIMES_MAX:
                break
        await asked("?after=0")  # one that does not read is there when the daemon ends
        await _publish(loaded.port, _SETTLE_S)
        report.code, report.took_s = await trio.to_thread.run_sync(stop, process)
    report.ended = sum(reader.ended for reader in readers)


async def _fill(port: int, events: int) -> None:
    wire = Wire(await trio.open_tcp_stream("127.0.0.1", port))
    async with wire.stream:
        for first in range(0, events, 500):
            keys = [f"0/{number}/{_PAYLOAD}" for number in range(first, min(first + 500, events))]
            batch = [cloud_event(Outside(OrderPlaced(key), key, SOURCE)) for key in keys]
            answer = await post(wire, "/v1/events", "application/cloudevents-batch+json", json.dumps(batch).encode())
            assert answer.status == 200, answer.body


def run(folder: Path, *, clients: int, seconds: float, history: int = 20_000, fault: str = "-") -> Report:
    """Connect them, publish for so long, and end the daemon."""
    report = Report(clients)
    with lab(folder, SETTINGS, fault=fault) as loaded, loaded.life() as process:
        assert loaded.wait_ready(process), loaded.said
        trio.run(_fill, loaded.port, history)
        trio.run(partial(_loaded, loaded, process, report, seconds))
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description="Follow a daemon by many clients, one of which never reads.")
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=20)
    add_arguments(parser, minutes=False, faults=FAULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        report = run(Path(folder) / "loaded", clients=given.clients, seconds=given.seconds, fault=given.fault)
    print(f"fault {given.fault}: {report}")
    return hand_out(given, report.counts)


if __name__ == "__main__":
    sys.exit(main())
