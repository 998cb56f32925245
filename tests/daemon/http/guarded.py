"""An HTTP facade with tokens for tests: their file, the application in memory, requests as ASGI has them."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import trio
from starlette.types import ASGIApp, Message

from procession import Runtime, Settings, open_runtime
from procession.daemon.http.access import Access
from procession.daemon.http.app import http_app
from procession.daemon.tokens import ROLES, Role, Token, change_tokens, new_token
from procession.http_settings import HttpSettings
from procession.journal.memory import MemoryJournal
from procession.settings import ShutdownSettings
from tests.daemon.http.served import Carriers, Parcel, Shelf

THEN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
PAST = THEN + datetime.timedelta(days=1)
PLENTY: dict[str, Any] = {"failures_per_min": 60_000, "rate_per_s": 1_000_000, "rate_burst": 1_000_000}
"""Limits that no test but those of the limits meets."""


def add(path: Path, name: str, role: Role, expires_at: datetime.datetime | None = None) -> str:
    """Add a token to a file; returns its text."""
    token, text = new_token(name, role, THEN, expires_at)
    change_tokens(str(path), lambda known: (*known, token))
    return text


def revoke(path: Path, name: str) -> None:
    change_tokens(str(path), lambda known: [one for one in known if one.name != name])


def tokens_in(folder: Path) -> tuple[Path, dict[str, str]]:
    """A file with a token of each role, named like it, and one that has expired."""
    path = folder / "tokens.toml"
    made: dict[str, tuple[Token, str]] = {role: new_token(role, role, THEN) for role in ROLES}
    made["expired"] = new_token("expired", "admin", THEN, PAST)
    change_tokens(str(path), lambda _: [token for token, _ in made.values()])
    return path, {name: text for name, (_, text) in made.items()}


@attrs.frozen
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    ended: bool
    """It came whole."""


@attrs.frozen
class Guarded:
    """A runtime behind tokens, as an application in memory."""

    app: ASGIApp
    runtime: Runtime
    access: Access
    path: Path
    texts: Mapping[str, str]
    """Of the tokens, by name."""

    async def ask(
        self,
        method: str,
        path: str,
        token: str | None = None,
        body: bytes = b"",
        peer: str = "127.0.0.1",
        headers: Mapping[str, str] | None = None,
        scheme: str = "http",
        begun: trio.Event | None = None,
    ) -> Answer:
        """Ask as a server would; a stream is left when it has begun, or followed to its end where `begun` is given."""
        shown = {"host": "localhost", "content-type": "application/json", **(headers or {})}
        if token is not None:
            shown["authorization"] = f"Bearer {token}"
        sent: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        came: list[Message] = []
        raw, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "scheme": scheme,
            "path": raw,
            "raw_path": raw.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in shown.items()],
            "client": (peer, 4711),
        }

        async def receive() -> Message:
            await trio.lowlevel.checkpoint()
            if begun is not None and not sent:
                await trio.sleep_forever()
            return sent.pop() if sent else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            await trio.lowlevel.checkpoint()
            came.append(message)
            if begun is not None:
                begun.set()

        await self.app(scope, receive, send)
        found = {name.decode(): value.decode() for name, value in came[0]["headers"]}
        body = b"".join(message.get("body", b"") for message in came[1:])
        return Answer(came[0]["status"], found, body, not came[-1].get("more_body", False))


@contextlib.asynccontextmanager
async def guarded(folder: Path, **limits: Any) -> AsyncIterator[Guarded]:  # noqa: ANN401 - knobs of `[http]`
    """Serve a runtime in memory behind tokens for as long as the block."""
    path, texts = tokens_in(folder)
    http = HttpSettings(tokens=str(path), **{**PLENTY, **limits})
    settings = Settings(http=http, shutdown=ShutdownSettings(grace_s=0))
    async with open_runtime(
        MemoryJournal(), processes=[Parcel], gateways=[Carriers()], aggregates=[Shelf], settings=settings
    ) as runtime:
        access = Access(http)
        yield Guarded(http_app(runtime, access=access), runtime, access, path, texts)
