"""What holds for every request, whatever it asks for: who may ask, from where, how much, how many at once."""

from __future__ import annotations

import logging
from collections.abc import Collection
from http import HTTPStatus
from urllib.parse import urlsplit

import attrs
import trio
from starlette.types import ASGIApp, Receive, Scope, Send

from procession.daemon.http.problems import HttpRefused, problem_of
from procession.daemon.http.routes import Serving

logger = logging.getLogger("procession.http")
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


@attrs.define(eq=False)
class Frame:
    """Stands before the application.

    The host is checked against a page that calls us by a name of its own (DNS rebinding), the origin against a page
    of another site that sends its visitor's browser here.
    """

    app: ASGIApp
    serving: Serving
    hosts: Collection[str]
    """Names by which it may be called, in lower case, without port."""
    _running: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            self._check(scope)
        except HttpRefused as refused:
            await problem_of(refused)(scope, receive, send)
            return
        self._running += 1
        try:
            await self.app(_undecoded(scope), receive, send)
        except trio.BusyResourceError:
            # Hypercorn closes the connection of a client that went away, while another of its tasks sends there.
            logger.debug("whoever asked for %s has gone", scope["path"])
        finally:
            self._running -= 1

    def _check(self, scope: Scope) -> None:
        """Refuse what must not come through.

        Raises:
            HttpRefused: says why.
        """
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        size = len(scope.get("raw_path") or b"") + len(scope["query_string"]) + sum(len(k) + len(v) for k, v in headers)
        if size > self.serving.settings.header_bytes_max:
            raise HttpRefused(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"headers and address have {size} bytes",
                f"send at most {self.serving.settings.header_bytes_max} (http.header_bytes_max)",
            )
        hosts = [value.decode("latin-1").lower() for name, value in headers if name == b"host"]
        if len(hosts) != 1 or _name_of(f"//{hosts[0]}") not in self.hosts:
            raise HttpRefused(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"the host {', '.join(hosts) or '(none)'} is not served here",
                f"call it by {' or '.join(sorted(self.hosts))}",
            )
        origins = [value.decode("latin-1").lower() for name, value in headers if name == b"origin"]
        if any(origin != f"{scope['scheme']}://{hosts[0]}" for origin in origins):
            raise HttpRefused(
                HTTPStatus.FORBIDDEN,
                f"a page of {', '.join(origins)} asks",
                "only pages of this host itself may ask",
            )
        running = self._running - self.serving.streams
        if running >= self.serving.settings.requests_max:
            raise HttpRefused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{running} requests are being answered, which is all at one time",
                "ask again later",
            )


def _name_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _undecoded(scope: Scope) -> Scope:
    """Routes are found by the address as it came; the parts are decoded after: a key may hold a slash."""
    raw: bytes | None = scope.get("raw_path")
    return scope if raw is None else {**scope, "path": raw.decode("latin-1")}
