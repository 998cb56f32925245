"""Clients of a daemon, in a process of their own: they publish the story, and note what they hear was accepted.

    python -m tests.crash.senders FOLDER PORT SEED HTTP SOCKET PAUSE_MS

So many clients ask over HTTP and over the local socket, each with a pause between two bursts. A client that was cut
off, or told to come later, sends the same again until it hears that it was accepted: whatever becomes of the daemon. At
the end of standard input they send the rest of what they have begun, and a line says how it went.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

from procession.daemon.local_socket import address_of
from procession.primitives.outside import Outside
from procession.primitives.stored import stored_of
from tests.crash.lines import LineLog
from tests.crash.story import burst, bursts_of

AGAIN_S = 0.02
_FOREVER = 10**9
_LATER = (429, 503)
_LATER_KINDS = ("RuntimeClosed", "NotAccepted", "OutcomeUnknown", "Overloaded")
_GONE = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, EOFError)
BATCH = "application/cloudevents-batch+json"


def cloud_event(outside: Outside) -> dict[str, Any]:
    """An event as it goes over the wire."""
    data = attrs.asdict(outside.event)  # type: ignore[arg-type]  # mypy does not see that events are of attrs
    name = stored_of(type(outside.event)).name
    return {"specversion": "1.0", "id": outside.id, "source": outside.source, "type": name, "data": data}


@attrs.define(eq=False)
class Wire:
    """A connection that reads what it needs."""

    stream: trio.SocketStream
    rest: bytes = b""

    async def until(self, mark: bytes) -> bytes:
        """What comes up to a mark, without it."""
        while mark not in self.rest:
            await self._more()
        found, self.rest = self.rest.split(mark, 1)
        return found

    async def bytes(self, size: int) -> bytes:
        """So many bytes."""
        while len(self.rest) < size:
            await self._more()
        found, self.rest = self.rest[:size], self.rest[size:]
        return found

    async def _more(self) -> None:
        block = await self.stream.receive_some(65_536)
        if not block:
            raise EOFError
        self.rest += block


@attrs.frozen
class Answer:
    """What a daemon said over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes


async def post(wire: Wire, path: str, media: str, body: bytes) -> Answer:
    """Ask over a connection, which is kept."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n\r\n"
    await wire.stream.send_all(head.encode() + body)
    return await _answered(wire)


async def get(wire: Wire, path: str) -> Answer:
    """Read over a connection, which is kept."""
    await wire.stream.send_all(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return await _answered(wire)


async def _answered(wire: Wire) -> Answer:
    status, *lines = (await wire.until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(status.split()[1]), headers, await wire.bytes(int(headers.get("content-length", "0"))))


@attrs.define(eq=False)
class Script:
    """Bursts, handed out in order; at the end, what is left of the flows that were begun."""

    seed: int
    handed: int = 0
    cohort_last: int = _FOREVER
    told: Counter[str] = attrs.field(factory=Counter)
    """How often senders heard what."""

    def end(self) -> None:
        """Begin no more flows: a burst may hold events of the next cohort already."""
        self.cohort_last = self.handed

    def bursts(self) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """The next burst, for each client that asks."""
        while self.cohort_last == _FOREVER or self.handed < bursts_of(self.cohort_last):
            number = self.handed
            self.handed += 1
            if events := burst(self.seed, number, self.cohort_last):
                yield number, [cloud_event(one) for one in events]


async def over_http(script: Script, log: LineLog, port: int, pause_s: float) -> None:
    """One client that publishes batches."""
    wire: Wire | None = None
    for number, events in script.bursts():
        body = json.dumps(events).encode()
        while True:
            try:
                wire = wire or Wire(await trio.open_tcp_stream("127.0.0.1", port))
                answer = await post(wire, "/v1/events", BATCH, body)
            except _GONE:
                script.told["cut off"] += 1
                wire = None
                await trio.sleep(AGAIN_S)
                continue
            script.told[f"HTTP {answer.status}"] += 1
            if answer.status not in _LATER:
                break
            assert "retry-after" in answer.headers, f"{answer.status} does not say when to come again: {answer.body!r}"
            await trio.sleep(AGAIN_S)
        assert answer.status == 200, answer.body
        accepted = json.loads(answer.body)["events"]
        log.write(" ".join([str(number), *(f"{one['id']}={one['position']}" for one in accepted)]))
        await trio.sleep(pause_s)


async def over_socket(script: Script, log: LineLog, address: str, pause_s: float) -> None:
    """One client that asks the owner of the journal, as `procession publish` does."""
    wire: Wire | None = None
    for number, events in script.bursts():
        asked = {"protocol": 1, "do": "publish", "events": [json.dumps(event) for event in events]}
        while True:
            try:
                wire = wire or Wire(await trio.open_unix_socket(address))
                await wire.stream.send_all(json.dumps(asked).encode() + b"\n")
                answer = json.loads(await wire.until(b"\n"))
            except _GONE:
                script.told["cut off"] += 1
                wire = None
                await trio.sleep(AGAIN_S)
                continue
            script.told[f"socket {answer.get('kind', 'done')}"] += 1
            if answer.get("kind") not in _LATER_KINDS:
                break
            await trio.sleep(AGAIN_S)
        assert "done" in answer, answer
        log.write(" ".join([str(number), *(event["id"] for event in events)]))
        await trio.sleep(pause_s)


async def main(folder: Path, port: int, seed: int, http: int, socket: int, pause_s: float) -> None:
    script = Script(seed)
    by_http = LineLog(folder / "acknowledged.log")
    by_socket = LineLog(folder / "acknowledged_by_socket.log")
    async with trio.open_nursery() as nursery:
        for _ in range(http):
            nursery.start_soon(over_http, script, by_http, port, pause_s)
        for _ in range(socket):
            nursery.start_soon(over_socket, script, by_socket, address_of(str(folder / "journal.db")), pause_s)
        await trio.to_thread.run_sync(sys.stdin.read)
        script.end()
    print(json.dumps(script.told), flush=True)


if __name__ == "__main__":
    _folder, _port, _seed, _http, _socket, _pause_ms = sys.argv[1:]
    trio.run(partial(main, Path(_folder), int(_port), int(_seed), int(_http), int(_socket), float(_pause_ms) / 1000))
