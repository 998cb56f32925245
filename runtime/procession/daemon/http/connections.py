"""Connections on Hypercorn's trio worker, each with a bound on what is sent: one that is not read holds nobody up."""

from __future__ import annotations

import logging
from typing import Any

import attrs
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from procession.daemon.http.tls import Tls
from procession.telemetry.names import HttpCounters

logger = logging.getLogger("procession.http")
_PIECE_BYTES = 65_536
"""So much must be taken within `send_s`: one who reads slowly is no one who does not read."""
_LAST_SEND_S = 1.5


class BoundedStream(trio.abc.HalfCloseableStream):
    """A connection that breaks where its other side does not read.

    Hypercorn shields its sending from cancellation: a client that does not read would hold a shutdown up for ever.
    """

    def __init__(self, inner: trio.SocketStream, send_s: float) -> None:
        self._inner = inner
        self._send_s = send_s
        self._sending = trio.CancelScope()
        self.socket = inner.socket
        self.serving = trio.CancelScope()
        """In it the connection is served."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send it.

        Raises:
            BrokenResourceError: it was not taken in time, or the connection is gone.
        """
        left = memoryview(data)
        while True:
            with trio.move_on_after(self._send_s) as self._sending:
                await self._inner.send_all(left[:_PIECE_BYTES])
            if self._sending.cancelled_caught:
                self.socket.close()
                raise trio.BrokenResourceError(f"what was sent was not taken within {self._send_s:g} s")
            left = left[_PIECE_BYTES:]
            if not left:
                return

    def hurry(self) -> None:
        """The server ends: who takes nothing for a second and a half is not waited for."""
        self._send_s = min(self._send_s, _LAST_SEND_S)
        self._sending.deadline = min(self._sending.deadline, trio.current_time() + _LAST_SEND_S)

    async def wait_send_all_might_not_block(self) -> None:
        """As the connection does."""
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """As the connection does."""
        return await self._inner.receive_some(max_bytes)

    async def send_eof(self) -> None:
        """As the connection does."""
        await self._inner.send_eof()

    async def aclose(self) -> None:
        """As the connection does; and nobody serves it any more.

        Hypercorn would wait for ever where it closes a connection on which the next request has come already.
        """
        try:
            await self._inner.aclose()
        finally:
            self.serving.cancel()


class _Server(TCPServer):
    """Lets a connection go when its other side has: Hypercorn would keep it until its time for idle ones is over."""

    async def _read_data(self) -> None:
        await super()._read_data()
        await self.idle_task.stop()


@attrs.define(eq=False)
class Connections:
    """All connections of one server."""

    app: Any
    """Starlette and Hypercorn name the types of ASGI differently."""
    configuration: Config
    send_s: float
    open_max: int
    counters: HttpCounters
    tls: Tls | None = None
    _full: bool = False
    _open: set[BoundedStream] = attrs.field(factory=set)
    _context: WorkerContext = attrs.field(factory=lambda: WorkerContext(None))
    _none_open: trio.Event = attrs.field(factory=trio.Event)

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection to its end."""
        if len(self._open) >= self.open_max:
            self._turn_away()
            return  # it is closed by who called
        self._full = False
        bounded = BoundedStream(stream, self.send_s)
        self._open.add(bounded)
        try:
            # A server of Hypercorn's takes any stream that has a socket, whatever its annotation says.
            connection: Any = bounded
            if self.tls is not None:
                connection = trio.SSLStream(bounded, self.tls.context, server_side=True, https_compatible=True)
            app = ASGIWrapper(self.app)
            with bounded.serving:
                await _Server(app, self.configuration, self._context, ConnectionState({}), connection)
        except Exception as error:  # noqa: BLE001 - Hypercorn fails by many errors at what some clients send
            # One connection must end no other, nor the daemon: what it asked was answered by us, or not begun.
            leaf = _leaf_of(error)
            gone = isinstance(leaf, trio.BrokenResourceError | trio.ClosedResourceError | trio.BusyResourceError)
            logger.log(logging.DEBUG if gone else logging.WARNING, "a connection failed, and was closed: %s", leaf)
        finally:
            self._open.discard(bounded)
            if not self._open:
                self._none_open.set()

    def _turn_away(self) -> None:
        self.counters.connections += 1
        if not self._full:
            logger.warning("%d connections are open, which is all that may be: more are closed", self.open_max)
        self._full = True

    async def close(self, grace_s: float) -> None:
        """Close what is idle, let what was begun be answered within the grace, and cut what is left."""
        await self._context.terminated.set()
        for stream in self._open:
            stream.hurry()
        with trio.move_on_after(grace_s):
            while self._open:
                self._none_open = trio.Event()
                await self._none_open.wait()

    def cut(self) -> None:
        """Close every socket: who sends there, or waits, gets an error."""
        for stream in tuple(self._open):
            stream.socket.close()


def _leaf_of(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
