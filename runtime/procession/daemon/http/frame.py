"""What holds for every request, whatever it asks for: who may ask, from where, how much, how many at once."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection
from http import HTTPStatus
from urllib.parse import urlsplit

import attrs
import h11
import trio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from procession.daemon.http.callers import Caller
from procession.daemon.http.problems import HttpRefused, problem_of
from procession.daemon.http.routes import Serving
from procession.daemon.tokens import without_tokens
from procession.http_settings import HttpSettings

logger = logging.getLogger("procession.http")
CALLER = "procession.caller"
"""Where the scope of a request holds its `Caller`."""
_STREAM = b"text/event-stream"
_NO_TEXT = {"type": "http.response.body", "body": b"", "more_body": False}
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
        try:
            if scope["type"] == "http":
                await self._served(scope, receive, send)
            elif scope["type"] == "websocket":  # nothing is asked in this way: nothing of it reaches the application
                await send({"type": "websocket.close", "code": 1008})
            else:
                await self.app(scope, receive, send)
        except (trio.BusyResourceError, h11.LocalProtocolError):
            # Hypercorn closes the connection of a client that went away, or that sent what is no HTTP behind its
            # request, while another of its tasks answers there.
            logger.debug("whoever asked for %s can't be answered", without_tokens(scope.get("path", "")))

    async def _served(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check(scope)
            caller = self._caller(scope)
        except HttpRefused as refused:
            await problem_of(refused)(scope, receive, send)
            return
        self._running += 1
        try:
            await self._answer({**_undecoded(scope), CALLER: caller}, receive, send, caller)
        finally:
            self._running -= 1

    def _caller(self, scope: Scope) -> Caller:
        """Who asks, where it may ask at all now; what it may ask is looked at where the route is known."""
        access = self.serving.access
        caller = access.identified(scope)
        access.check_rate(caller, scope)
        access.check_origin(caller, scope)
        return caller

    async def _answer(self, scope: Scope, receive: Receive, send: Send, caller: Caller) -> None:
        """Answer; a stream ends when its caller's token or session does."""
        if caller.token is None:
            await self.app(scope, receive, send)
            return
        welcome, ended = trio.CancelScope(), trio.Event()
        with contextlib.ExitStack() as open_, welcome:

            async def sent(message: Message) -> None:
                if message["type"] == "http.response.start" and _is_stream(message):
                    open_.enter_context(self.serving.access.as_long_as_welcome(caller, welcome))
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    ended.set()
                await send(message)

            await self.app(scope, receive, sent)
        if welcome.cancelled_caught and not ended.is_set():
            await send(_NO_TEXT)

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


def hosts_of(settings: HttpSettings) -> frozenset[str]:
    """The names by which it may be called."""
    return LOOPBACK_HOSTS | {name.lower() for name in settings.hosts}


def _name_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_stream(message: Message) -> bool:
    kinds = (value for name, value in message["headers"] if name.lower() == b"content-type")
    return any(kind.startswith(_STREAM) for kind in kinds)


def _undecoded(scope: Scope) -> Scope:
    """Routes are found by the address as it came; the parts are decoded after: a key may hold a slash."""
    raw: bytes | None = scope.get("raw_path")
    return scope if raw is None else {**scope, "path": raw.decode("latin-1")}
