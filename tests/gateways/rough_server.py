"""A real HTTP server on loopback that honours idempotency keys, and treats those who ask as they dread it.

It does its work, once for each key, before it misbehaves: slow, reset, silent and garbled answers leave an effect that
nobody was told of.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import attrs

SLOW_S = 10
"""Longer than who asks waits."""
ABRUPT = struct.pack("ii", 1, 0)


@attrs.define(eq=False)
class RoughServer:
    """What it is to do, by key of the flow: one manner for each attempt; at their end it answers as it should."""

    manners: dict[str, list[str]] = attrs.field(factory=dict)
    effects: list[str] = attrs.field(factory=list)
    """The idempotency keys under which something was done, in order."""
    attempts: dict[str, list[str]] = attrs.field(factory=dict)
    """The idempotency keys of each flow's attempts, in order."""
    headers: list[dict[str, str]] = attrs.field(factory=list)
    port: int = 0
    scheme: str = "http"
    asked: threading.Event = attrs.field(factory=threading.Event)
    closing: threading.Event = attrs.field(factory=threading.Event)
    _answers: dict[str, dict[str, object]] = attrs.field(factory=dict)
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    @property
    def address(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def work(self, order: str, key: str) -> dict[str, object]:
        """Once for each key."""
        with self._lock:
            if key not in self._answers:
                self.effects.append(key)
                self._answers[key] = {"order_id": order, "receipt": f"r{len(self.effects)}"}
            return self._answers[key]

    def manner(self, order: str, key: str, headers: dict[str, str]) -> str:
        with self._lock:
            self.attempts.setdefault(order, []).append(key)
            self.headers.append(headers)
            self.asked.set()
            left = self.manners.get(order, [])
            return left.pop(0) if left else "well"


@contextlib.contextmanager
def rough_server(manners: dict[str, list[str]] | None = None) -> Iterator[RoughServer]:
    server = RoughServer(manners or {})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            data = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            treat(self, server, data["order_id"], headers)

        def log_message(self, *_: object) -> None: ...

    listening = Listening(("127.0.0.1", 0), Handler)
    server.port = listening.server_address[1]
    with served(listening):
        try:
            yield server
        finally:
            server.closing.set()


class Listening(ThreadingHTTPServer):
    """Says nothing of connections that break."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_: object) -> None: ...


@contextlib.contextmanager
def served(listening: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


def treat(handler: BaseHTTPRequestHandler, server: RoughServer, order: str, headers: dict[str, str]) -> None:
    key = headers["idempotency-key"]
    manner = server.manner(order, key, headers)
    status, _, wait = manner.partition(" ")
    if status.isdecimal():  # told before anything is done, but for 500: it breaks down after its work
        if status == "500":
            server.work(order, key)
        answer(handler, int(status), b"go away", {"retry-after": wait} if wait else {})
        return
    body = json.dumps(server.work(order, key)).encode()
    if manner in ("slow", "silent"):
        server.closing.wait(SLOW_S if manner == "slow" else 20)
    if manner == "reset":
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABRUPT)
        handler.connection.close()
    elif manner in RAW:
        handler.wfile.write(RAW[manner])
    elif manner != "silent":
        answer(handler, 200, BODIES.get(manner, body), {})
    handler.close_connection = manner in RAW or manner in ("reset", "silent")


RAW = {"half": b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{", "garbage": b"\x00\xff\x16garbage" * 50}
BODIES = {"no json": b"<html>welcome</html>", "another shape": b'{"order_id": 7}', "flood": b" " * 200_000}


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
