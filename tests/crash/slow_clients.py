"""Clients that send by drops, or without end, until the other side has had enough."""

from __future__ import annotations

import contextlib

import trio

BODY_BYTES = 200_000_000
_POST = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/cloudevents+json\r\n"

SLOW: dict[str, tuple[bytes, bytes]] = {
    "headers by drops": (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", b"x"),
    "headers that stop": (b"GET /livez HTTP/1.1\r\nHost: loc", b""),
    "a body by drops": (
        _POST + b"Content-Length: 90000\r\n\r\n",
        b" ",
    ),
    "a body that never comes": (
        _POST + b"Transfer-Encoding: chunked\r\n\r\n",
        b"",
    ),
    "nothing": (b"", b""),
    "a request, and then nothing": (b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", b""),
}
"""What each sends at once, and what it sends then, a byte in a while."""


async def slow_one(stream: trio.SocketStream, first: bytes, then: bytes) -> None:
    """Send so until the other side closes."""
    async with trio.open_nursery() as nursery:

        async def drip() -> None:
            while then:
                await trio.sleep(0.3)
                await stream.send_all(then)

        async def read() -> None:
            async for _ in stream:
                pass
            nursery.cancel_scope.cancel()

        try:
            await stream.send_all(first)
            nursery.start_soon(read)
            await drip()
        except trio.BrokenResourceError:
            nursery.cancel_scope.cancel()


async def pour(stream: trio.SocketStream, frame: bytes, piece: bytes) -> bytes:
    """Send it all, or until the other side has had enough; what it answered, where that was read before it closed."""
    received: list[bytes] = []
    async with trio.open_nursery() as nursery:

        async def read() -> None:
            with contextlib.suppress(trio.BrokenResourceError):
                while block := await stream.receive_some(65_536):
                    received.append(bytes(block))
            nursery.cancel_scope.cancel()

        nursery.start_soon(read)
        try:
            await stream.send_all(frame)
            for _ in range(BODY_BYTES // len(piece)):
                await stream.send_all(piece)
        except trio.BrokenResourceError:
            await trio.sleep(0.2)
        else:
            await trio.sleep(1)
        nursery.cancel_scope.cancel()
    return b"".join(received)
