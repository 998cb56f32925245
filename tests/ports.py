"""Ports for servers that tests start as processes of their own."""

from __future__ import annotations

import contextlib
import random
import socket
import sys

_PORTS = range(20_000, 30_000)
"""Below those that the system gives to clients: one that connects again and again would meet itself there."""
_held: list[socket.socket] = []


def free_port() -> int:
    """A port of loopback at which nobody listens, and which no other test is given while this process lives.

    On Linux it stays bound, without listening: whoever listens with SO_REUSEADDR, as every server does, may have it all
    the same. Elsewhere nobody could, and chance alone keeps others away.
    """
    for port in random.sample(_PORTS, len(_PORTS)):
        held = socket.socket()
        with contextlib.suppress(OSError):
            held.bind(("127.0.0.1", port))  # fails where it is held by another, for nobody has said that it may be
            if sys.platform != "linux":
                held.close()
                return port
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _held.append(held)
            return port
        held.close()
    raise AssertionError("no port is free")
