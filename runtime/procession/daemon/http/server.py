"""Serving on Hypercorn, for as long as a block; what was begun may end within the grace of the runtime."""

from __future__ import annotations

import contextlib
import functools
import logging
import socket
from collections.abc import AsyncIterator

import trio
from hypercorn.config import Config

from procession.daemon.http.app import http_app
from procession.daemon.http.closing import Closing
from procession.daemon.http.connections import Connections
from procession.daemon.http.source import Source
from procession.errors import SettingsError
from procession.http_settings import bind_of

logger = logging.getLogger("procession.http")
_BACKLOG = 100
_HEADER_SPARE_BYTES = 65_536
"""What is a little too large is answered by us, with a sentence; what is far too large by Hypercorn."""


def listening_at(bind: str) -> socket.socket:
    """A socket that listens at a loopback address.

    Raises:
        SettingsError: nothing can listen there, or others could reach it.
    """
    at = bind_of(bind)
    listening = socket.socket(socket.AF_INET6 if ":" in at.host else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((at.host, at.port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        found = f"is {bind!r}, where nothing can listen: {error.strerror}"
        raise SettingsError("http.bind", found, "end what listens there, or name another port") from error
    return listening


@contextlib.asynccontextmanager
async def http_served(runtime: Source, listening: socket.socket) -> AsyncIterator[str]:
    """Serve for as long as the block; yields the address.

    At its end no connection is taken, and what was asked is answered within `shutdown.grace_s`.
    """
    host, port = listening.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
    closing = Closing()
    app = http_app(runtime, closing=closing)
    connections = Connections(app, _configuration(runtime), runtime.settings.http.send_s)
    async with listener, trio.open_nursery() as serving:
        serving.start_soon(app.serving.sampler.keep)
        try:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(
                    functools.partial(trio.serve_listeners, connections.serve, [listener], handler_nursery=serving)
                )
                logger.info("serving HTTP at %s", address)
                yield address
                accepting.cancel_scope.cancel()
            closing.close()
            await listener.aclose()
            await connections.close(runtime.settings.shutdown.grace_s)
        finally:
            connections.cut()
            serving.cancel_scope.cancel()


def _configuration(runtime: Source) -> Config:
    found = Config()
    found.h11_max_incomplete_size = runtime.settings.http.header_bytes_max + _HEADER_SPARE_BYTES
    found.include_server_header = False
    log = logging.getLogger("procession.http.hypercorn")
    log.setLevel(logging.WARNING)  # that it runs, we say ourselves, with an address that people can use
    found.errorlog = log
    return found
