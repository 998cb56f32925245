"""A daemon under input that no sound client sends: over HTTP and its local socket, quickly, slowly and without end.

    python -m tests.crash.bad_input --requests 20000 --seed 1

Requests with wrong types, frames and bytes; then clients that send their headers or bodies by drops, or nothing at all,
beside sound ones whose answers are timed; then bodies that never end. Nothing may be answered with 5xx, nothing may be
a traceback in the log, memory must stay where it was, and the daemon must end in order with the slow ones connected.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import attrs
import trio

from procession.daemon.local_server import CONNECTIONS_MAX
from procession.daemon.local_socket import address_of
from procession.primitives.outside import Outside
from tests.crash.bad_bytes import AT_FIELD, frames, lines
from tests.crash.counts import Counts, add_arguments, hand_out
from tests.crash.lab import Lab, lab
from tests.crash.senders import Wire, cloud_event, post
from tests.crash.served import FAULTS
from tests.crash.slow_clients import BODY_BYTES, SLOW, pour, slow_one
from tests.crash.story import SOURCE, OrderPlaced
from tests.crash.streaming import rss_mb

SETTINGS = "http.connections_max = 400\nhttp.body_s = 5\nshutdown.grace_s = 2\n"
"""Room for the slow ones of every kind, and not for as many again."""
GROWN_MB_MAX = 8.0
"""From when a tenth of the requests was made to their end."""
BODY_GROWN_MB_MAX = 48.0
"""While a body that never ends is refused: the 8 MiB that one may have, joined, and what waits in buffers."""
LATENCY_S_MAX = 2.0
"""Slow clients are borne for five seconds and more: who waits for them waits so long."""
SLOW_S_MAX = 15.0
"""In which a slow client must be let go: those of HTTP have five seconds at most, those of the local socket ten."""
END_S_MAX = 6.0
_SLOW_EACH = 40
_IDLE = 100
_APART_S = 0.02
"""Between two slow ones of a kind: more connections at once than may wait to be taken come late by themselves."""
_PAUSE_S = 0.2
"""Between two sound requests beside slow ones."""
_PIECE = b"x" * 65_536
_AT_ONCE = 8
_ANSWER_S = 15.0
_UNKNOWN_CODING = 501
_STRUCTURED = "application/cloudevents+json"


@attrs.define
class Report:
    """What was seen."""

    requests: int = 0
    statuses: Counter[int] = attrs.field(factory=Counter)
    refusals: int = 0
    """Of the local socket."""
    rss_mb: list[float] = attrs.field(factory=list)
    body_grown_mb: float = 0
    slow: int = 0
    closed_s_max: float = 0
    """The longest that a slow client was borne."""
    latency_s_max: float = 0
    """Of sound requests beside the slow ones."""
    late_s_max: float = 0
    """How late this process itself was meanwhile: the machine may have other work."""
    descriptors_max: int = 0
    ended_s: float = 0
    breaches: list[str] = attrs.field(factory=list)

    @property
    def grown_mb(self) -> float:
        """Memory at the end of the bad requests, beyond that after the first of them."""
        return self.rss_mb[-1] - self.rss_mb[0] if self.rss_mb else 0.0

    def breach(self, said: str) -> None:
        """Note one of a kind."""
        if said not in self.breaches:
            self.breaches.append(said)

    @property
    def counts(self) -> Counts:
        """As figures."""
        figures = {
            "bad requests": self.requests,
            "refusals at the local socket": self.refusals,
            "MB more memory": self.grown_mb,
            f"MB at most under bodies of {BODY_BYTES // 1_000_000} MB": self.body_grown_mb,
            "slow clients": self.slow,
            "s at most until a sound one was answered": self.latency_s_max,
            "s to the end beside slow ones": self.ended_s,
        }
        return Counts(figures, self.breaches, ("bad requests", "refusals at the local socket", "slow clients"))

    def __str__(self) -> str:
        answers = ", ".join(f"{status or 'closed'}: {number:,}" for status, number in sorted(self.statuses.items()))
        return (
            f"{self.requests:,} bad requests ({answers}), {self.refusals:,} refusals at the local socket; memory"
            f" {self.rss_mb[0]:.0f} MB, {self.grown_mb:.1f} MB more after them, {self.body_grown_mb:.1f} MB at most"
            f" under bodies of {BODY_BYTES // 1_000_000} MB; {self.slow} slow clients, each let go after"
            f" {self.closed_s_max:.1f} s at most, sound ones answered in {self.latency_s_max:.2f} s at most,"
            f" {self.descriptors_max} descriptors at most; ended in order in {self.ended_s:.1f} s beside slow ones;"
            f" {len(self.breaches)} breaches"
        )


@attrs.define(eq=False)
class Sender:
    """Sends what is bad, and judges the answers."""

    lab: Lab
    report: Report
    chance: random.Random

    async def http(self, sent: bytes, field: str | None = None) -> None:
        """One exchange on a connection of its own; where a field is at fault its refusal must name it."""
        received = b""
        with trio.move_on_after(_ANSWER_S) as waiting:
            try:
                async with await trio.open_tcp_stream("127.0.0.1", self.lab.port) as stream:
                    await stream.send_all(sent)
                    await stream.send_eof()
                    received = b"".join([block async for block in stream])
            except (trio.BrokenResourceError, OSError):
                pass  # closed before all was sent
        self.report.requests += 1
        if waiting.cancelled_caught:
            self.report.breach(f"no end came within {_ANSWER_S:g} s to {sent[:200]!r}")
        answers = [part for part in received.split(b"HTTP/1.")[1:] if part[1:2] == b" "]
        for answer in answers or [b"1 0"]:
            status = int(answer[2:5])
            self.report.statuses[status] += 1
            if status >= 500 and status != _UNKNOWN_CODING:
                self.report.breach(f"{status} to {sent[:300]!r}: {answer[:600]!r}")
        if field is not None and field.encode() not in received:
            self.report.breach(f"{field} is not named to {sent[-200:]!r}: {received[-400:]!r}")

    async def local(self, line: bytes) -> None:
        """One line, or a part of one, on a connection of its own."""
        with trio.move_on_after(_ANSWER_S) as waiting:
            async with await trio.open_unix_socket(address_of(str(self.lab.journal))) as stream:
                try:
                    await stream.send_all(line)
                    if not line.endswith(b"\n") or self.chance.random() < 0.5:
                        await stream.send_eof()
                    answer = await stream.receive_some(65_536)
                except trio.BrokenResourceError:
                    answer = b""
        self.report.requests += 1
        if waiting.cancelled_caught:
            self.report.breach(f"the local socket gave no answer to {line[:200]!r}")
        elif answer:
            self.report.refusals += 1
            if b'"error"' not in answer:
                self.report.breach(f"the local socket did {line[:200]!r}: {answer[:200]!r}")


async def _bad_requests(loaded: Lab, pid: int, report: Report, requests: int, seed: int) -> None:
    async def send(number: int) -> None:
        sender = Sender(loaded, report, random.Random(f"{seed}/{number}"))
        made = frames(sender.chance)
        asked = lines(sender.chance)
        while report.requests < requests:
            if sender.chance.random() < 0.2:
                await sender.local(next(asked))
            else:
                await sender.http(next(made))

    sender = Sender(loaded, report, random.Random(seed))
    for sent, field in AT_FIELD:
        await sender.http(sent, field)
    async with trio.open_nursery() as nursery:
        for number in range(_AT_ONCE):
            nursery.start_soon(send, number)
        while report.requests < requests:
            if len(report.rss_mb) < 10 * report.requests / requests:
                report.rss_mb.append(rss_mb(pid))
            await trio.sleep(0.02)
    report.rss_mb = [*report.rss_mb[1:], rss_mb(pid)]


async def _bear(loaded: Lab, report: Report, first: bytes, then: bytes, *, local: bool = False) -> None:
    """One slow client; it must be let go in time."""
    began = trio.current_time()
    try:
        async with await _connected(loaded, local=local) as stream:
            await slow_one(stream, first, then)
    except* (trio.BrokenResourceError, OSError):
        pass
    report.slow += 1
    report.closed_s_max = max(report.closed_s_max, trio.current_time() - began)


async def _connected(loaded: Lab, *, local: bool) -> trio.SocketStream:
    if local:
        return await trio.open_unix_socket(address_of(str(loaded.journal)))
    return await trio.open_tcp_stream("127.0.0.1", loaded.port)


async def _sound(loaded: Lab, report: Report, number: int) -> None:
    """One event on a kept connection must be accepted, soon."""
    began = trio.current_time()
    wire = Wire(await trio.open_tcp_stream("127.0.0.1", loaded.port))
    async with wire.stream:
        event = cloud_event(Outside(OrderPlaced(f"sound-{number}"), f"sound-{number}", SOURCE))
        answer = await post(wire, "/v1/events", _STRUCTURED, json.dumps(event).encode())
    if answer.status != 200:
        report.breach(f"a sound event was answered with {answer.status}: {answer.body[:300]!r}")
    report.latency_s_max = max(report.latency_s_max, trio.current_time() - began)


async def _beside_slow_ones(loaded: Lab, pid: int, report: Report, patience: float) -> None:
    """Sound requests go on while slow clients of each kind hold connections: of HTTP, and all of the local socket."""

    async def borne(what: str, slow: Sequence[tuple[bytes, bytes]], *, local: bool = False) -> None:
        try:
            with trio.fail_after(len(slow) * _APART_S + SLOW_S_MAX * patience):
                async with trio.open_nursery() as clients:
                    for first, then in slow:
                        clients.start_soon(partial(_bear, loaded, report, first, then, local=local))
                        await trio.sleep(_APART_S)
        except trio.TooSlowError:
            report.breach(f"{what} were not let go in {SLOW_S_MAX * patience:g} s")

    async def sound() -> None:
        while True:
            await _sound(loaded, report, report.slow + report.requests)
            report.descriptors_max = max(report.descriptors_max, _descriptors(pid))
            report.requests += 1
            due = trio.current_time() + _PAUSE_S
            await trio.sleep_until(due)
            report.late_s_max = max(report.late_s_max, trio.current_time() - due)

    async with trio.open_nursery() as beside:
        beside.start_soon(sound)
        async with trio.open_nursery() as nursery:
            for what, one in SLOW.items():
                nursery.start_soon(borne, f"clients that send {what}", [one] * (_SLOW_EACH if one[0] else _IDLE))
            silent = [(b'{"pro' if number % 2 else b"", b"") for number in range(CONNECTIONS_MAX + 20)]
            nursery.start_soon(partial(borne, "the local socket: clients that send no line", silent, local=True))
        beside.cancel_scope.cancel()


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def _endless_bodies(loaded: Lab, pid: int, report: Report) -> None:
    """Bodies of 200 MB: announced, in chunks, and in a header; each is refused without being read into memory."""
    before_mb = rss_mb(pid)
    most = [before_mb]

    async def look() -> None:
        while True:
            most.append(rss_mb(pid))
            await trio.sleep(0.01)

    head = "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/cloudevents+json\r\n"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        chunk = b"10000\r\n" + _PIECE + b"\r\n"
        for frame, piece, wanted in (
            (f"{head}Content-Length: {BODY_BYTES}\r\n\r\n", _PIECE, b"413"),
            (f"{head}Transfer-Encoding: chunked\r\n\r\n", chunk, b"413"),
            (f"{head}X-Long: ", _PIECE, b"431"),
        ):
            answer = await _poured(loaded.port, frame.encode(), piece)
            if answer and wanted not in answer[:15]:
                report.breach(f"{wanted.decode()} was to come: {answer[:200]!r}")
            if wanted == b"413" and answer and b"8,388,608" not in answer:
                report.breach(f"the limit is not named: {answer!r}")
        line = b'{"protocol": 1, "do": "publish", "events": ["'
        async with await trio.open_unix_socket(address_of(str(loaded.journal))) as stream:
            await pour(stream, line, b"x" * 65_536)
        nursery.cancel_scope.cancel()
    report.body_grown_mb = max(most) - before_mb


async def _poured(port: int, frame: bytes, piece: bytes) -> bytes:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        return await pour(stream, frame, piece)


async def _ending(loaded: Lab, process: subprocess.Popen[bytes], report: Report) -> None:
    """Let it end while slow clients of each kind are connected."""
    async with trio.open_nursery() as nursery:
        for first, then in SLOW.values():
            for _ in range(5):
                nursery.start_soon(_bear, loaded, Report(), first, then)
        for _ in range(5):
            nursery.start_soon(partial(_bear, loaded, Report(), b'{"pro', b"", local=True))
        await trio.sleep(0.5)
        began = trio.current_time()
        process.send_signal(signal.SIGTERM)
        with trio.move_on_after(30):
            await trio.to_thread.run_sync(process.wait, abandon_on_cancel=True)
        report.ended_s = trio.current_time() - began
        nursery.cancel_scope.cancel()
    if process.poll() != 0:
        report.breach(f"it ended with {process.poll()}: {loaded.said}")


def run(
    folder: Path, *, requests: int, seed: int = 1, fault: str = "-", slow: bool = True, patience: float = 1
) -> Report:
    """All of it, against one daemon; whatever is timed may take so many times as long."""
    report = Report()
    with lab(folder, SETTINGS, fault=fault) as loaded, loaded.life() as process:
        assert loaded.wait_ready(process), loaded.said
        trio.run(_bad_requests, loaded, process.pid, report, requests, seed)
        if process.poll() is None:
            trio.run(_endless_bodies, loaded, process.pid, report)
        if slow and process.poll() is None:
            trio.run(_beside_slow_ones, loaded, process.pid, report, patience)
        if process.poll() is None:
            trio.run(_ending, loaded, process, report)
        else:
            report.breach(f"it died with {process.poll()}: {loaded.said}")
        for line in (folder / "stderr").read_text().splitlines():
            if "Traceback" in line or '"ERROR"' in line:
                report.breach(f"in the log: {line[:1500]}")
    _judge(report, patience)
    return report


def _judge(report: Report, patience: float) -> None:
    bounds = (
        ("MB more memory after bad requests", report.grown_mb, GROWN_MB_MAX),
        ("MB more memory under endless bodies", report.body_grown_mb, BODY_GROWN_MB_MAX),
        (
            "s until a sound request was answered",
            report.latency_s_max,
            LATENCY_S_MAX * patience + 2 * report.late_s_max,
        ),
        ("s until it had ended", report.ended_s, END_S_MAX * patience),
    )
    for what, found, most in bounds:
        if found > most:
            report.breach(f"{found:.1f} {what}, over {most:g}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Send a daemon what no sound client sends.")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    add_arguments(parser, minutes=False, faults=FAULTS)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        report = run(Path(folder) / "x", requests=given.requests, seed=given.seed, fault=given.fault)
    print(f"fault {given.fault}: {report} ({time.monotonic() - began:.0f} s)")
    return hand_out(given, report.counts)


if __name__ == "__main__":
    sys.exit(main())
