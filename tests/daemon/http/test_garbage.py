"""Bytes that no client sends: the server answers or closes, and serves everybody else on. On the real server."""

from __future__ import annotations

import contextlib
import logging
import random
from collections.abc import Iterator

import pytest
import trio

from tests.daemon.http.served import served

WEBSOCKET = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAA\r\n"
H2C = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
BEGINNINGS = [
    f"{method} {path} HTTP/1.{minor}\r\nHost: localhost\r\n{upgrade}{body}".encode()
    for method in ("GET", "POST", "HEAD")
    for path in ("/livez", "/v1/events")
    for minor in (0, 1)
    for upgrade in ("", WEBSOCKET, H2C)
    for body in (
        "\r\n",
        "Content-Length: 5\r\n\r\nab",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        "Expect: 100-continue\r\n",
    )
] + [PREFACE, PREFACE + SETTINGS]


def garbage(chance: random.Random, count: int) -> Iterator[bytes]:
    """Requests of which a few bytes are others, with more bytes after them."""
    for _ in range(count):
        found = bytearray(chance.choice(BEGINNINGS))
        for _ in range(chance.choice((0, 0, 1, 3))):
            found[chance.randrange(len(found))] = chance.randrange(256)
        yield bytes(found) + chance.randbytes(chance.choice((0, 9, 100, 20_000)))


async def answered(host: str, port: int, sent: bytes) -> bytes:
    """What comes back until the server closes, or for a while."""
    received = bytearray()
    async with await trio.open_tcp_stream(host, port) as stream:
        with contextlib.suppress(trio.BrokenResourceError), trio.move_on_after(0.5):
            await stream.send_all(sent)
            await stream.send_eof()
            async for data in stream:
                received += data
    return bytes(received)


async def tried(seed: int, count: int, caplog: pytest.LogCaptureFixture) -> None:
    async with served(grace_s=0) as http:
        host, port = http.address.removeprefix("http://").rsplit(":", 1)
        failed: list[bytes] = []

        async def try_in_turn(number: int) -> None:
            for sent in garbage(random.Random(f"{seed}/{number}"), count):
                answer = await answered(host, int(port), sent)
                failed.extend([sent] * answer.startswith((b"HTTP/1.1 500", b"HTTP/1.0 500")))

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(try_in_turn, number)
        assert failed == [], "501, for an encoding that nobody knows, is right"
        assert (await http.client.get("/livez")).status_code == 200
        assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_garbage_fails_its_own_connections_alone(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    await tried(seed, 50, caplog)
