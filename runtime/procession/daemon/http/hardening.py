"""Headers that every answer has: they tell a browser what it must not do with it."""

from __future__ import annotations

import attrs
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from procession.daemon.http.routes import Serving

_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-embedder-policy", b"require-corp"),
    (
        b"permissions-policy",
        b"camera=(), display-capture=(), fullscreen=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
)
_UNLESS_SAID: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
    (b"cache-control", b"no-store"),
)
"""Data is no page, and is not kept."""


@attrs.define(eq=False)
class Hardened:
    """Stands around the application."""

    app: ASGIApp
    serving: Serving
    """For whoever serves it: what else must run for as long."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with these headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                there: list[tuple[bytes, bytes]] = list(message["headers"])
                names = {name.lower() for name, _ in there}
                more = (header for header in _UNLESS_SAID if header[0] not in names)
                message = {**message, "headers": [*there, *_HEADERS, *more]}
            await send(message)

        await self.app(scope, receive, sending)
