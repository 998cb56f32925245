"""Serving on Hypercorn, for as long as a block; what was begun may end within the grace of the runtime."""

from __future__ import annotations

import contextlib
import functools
import logging
import socket
from collections.abc import AsyncIterator

import attrs
import trio
from hypercorn.config import Config

from procession.daemon.descriptors import connections_that_fit
from procession.daemon.http.access import Access
from procession.daemon.http.app import http_app
from procession.daemon.http.closing import Closing
from procession.daemon.http.connections import Connections
from procession.daemon.http.frame import hosts_of
from procession.daemon.http.sandbox_served import PREFIX, Sandbox, Sandboxes
from procession.daemon.http.source import Source
from procession.daemon.http.tls import Tls, tls_of
from procession.daemon.log_ring import LogRing
from procession.errors import SettingsError
from procession.http_settings import HttpSettings, bind_of
from procession.journal.scratch import sweep

logger = logging.getLogger("procession.http")
_BACKLOG = 100
_HANDSHAKE_S = 10.0
_HEADER_SPARE_BYTES = 65_536
"""What is a little too large is answered by us, with a sentence; what is far too large by Hypercorn."""


def listening_at(bind: str) -> socket.socket:
    """A socket that listens at an address; `http_served` refuses one that others reach and that is not guarded.

    Raises:
        SettingsError: nothing can listen there.
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


@attrs.define(eq=False)
class Guard:
    """What keeps others out: tokens, and TLS. Made before anything is opened, so that what is wrong is said first."""

    access: Access
    tls: Tls | None

    @classmethod
    def of(cls, settings: HttpSettings) -> Guard:
        """As the settings say.

        Raises:
            SettingsError: the file of the tokens, the certificate or its key can't be used.
        """
        return cls(Access(settings), tls_of(settings))

    def reload(self) -> list[str]:
        """Read tokens and certificate again; names what changed.

        Raises:
            SettingsError: one of them can't be used.
        """
        changed: list[str] = []
        faults: list[SettingsError] = []
        again = {"http.tokens": self.access.refresh}
        if self.tls is not None:
            again["http.tls_certificate"] = self.tls.reload
        for name, reload in again.items():
            try:
                if reload():
                    changed.append(name)
            except SettingsError as error:
                faults.append(error)
        if faults:
            if changed:
                logger.info("read again, and in force: %s", ", ".join(changed))
            for fault in faults[1:]:
                logger.error("%s", fault)
            raise faults[0]
        return changed


@contextlib.asynccontextmanager
async def http_served(
    runtime: Source, listening: socket.socket, guard: Guard | None = None, logs: LogRing | None = None
) -> AsyncIterator[str]:
    """Serve for as long as the block; yields the address.

    At its end no connection is taken, and what was asked is answered within `shutdown.grace_s`.

    Args:
        runtime: an open one.
        listening: a socket that listens.
        guard: default: as the settings of the runtime say.
        logs: the log to show, which is kept for as long as the block; default: a new one.

    Raises:
        SettingsError: others can reach the socket, and tokens or TLS are missing; or they can't be used.
    """
    settings = runtime.settings.http
    host, port = listening.getsockname()[:2]
    at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    settings.check_reach(at)
    guard = guard or Guard.of(settings)
    access, tls, closing = guard.access, guard.tls, Closing()
    hosts = hosts_of(settings) if bind_of(at).is_any else hosts_of(settings) | {host}
    address = f"{'https' if tls else 'http'}://{at}"
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
    app = http_app(runtime, settings, hosts=hosts, closing=closing, access=access, logs=logs)
    open_max = connections_that_fit(settings.connections_max)
    connections = Connections(app, _configuration(runtime), settings.send_s, open_max, access.counters, tls)
    async with listener, trio.open_nursery() as serving:
        serving.start_soon(app.serving.sampler.keep)
        if bind_of(at).is_loopback and tls is None and not isinstance(runtime, Sandbox):
            served = functools.partial(_sandbox_served, host=at.rpartition(":")[0], guard=guard, logs=app.serving.logs)
            app.serving.sandboxes = Sandboxes(serving, served)
            sweep(PREFIX)
        try:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(
                    functools.partial(trio.serve_listeners, connections.serve, [listener], handler_nursery=serving)
                )
                accepting.start_soon(access.keep_fresh)
                with app.serving.logs.kept():
                    logger.info("serving HTTP at %s", address)
                    yield address
                accepting.cancel_scope.cancel()
            closing.close()
            await listener.aclose()
            await connections.close(runtime.settings.shutdown.grace_s)
        finally:
            connections.cut()
            serving.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def _sandbox_served(sandbox: Sandbox, host: str, guard: Guard, logs: LogRing) -> AsyncIterator[str]:
    """Beside the server that it was forked from, for the same tokens and sessions."""
    with contextlib.closing(listening_at(f"{host}:0")) as listening:
        async with http_served(sandbox, listening, guard, logs) as address:
            yield address


def _configuration(runtime: Source) -> Config:
    found = Config()
    found.h11_max_incomplete_size = runtime.settings.http.header_bytes_max + _HEADER_SPARE_BYTES
    found.include_server_header = False
    found.ssl_handshake_timeout = _HANDSHAKE_S
    log = logging.getLogger("procession.http.hypercorn")
    log.setLevel(logging.WARNING)  # that it runs, we say ourselves, with an address that people can use
    found.errorlog = log
    return found
