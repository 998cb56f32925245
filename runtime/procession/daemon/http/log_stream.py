"""The log over HTTP: the newest records that this package logged, and those to come, as server-sent events."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Annotated, ClassVar, Literal

import attrs
import trio
from starlette.responses import Response

from procession.daemon.http.bounds import Text
from procession.daemon.http.problems import FieldFault, HttpRefused
from procession.daemon.http.routes import Call, Route, Serving
from procession.daemon.http.stream import MEDIA, streamed
from procession.daemon.log_ring import Level, LogFilter
from procession.primitives.codec import to_json

_FLOW_CHARS_MAX = 1_000
_LOOK_EVERY_S = 0.25
"""Whoever logs does not wake who looks: it may be another thread, and there may be many records at once."""
_PING_LOOKS = 60
_ID = re.compile(r"([0-9a-f]{8})-([0-9]{1,18})")


@attrs.frozen
class LogStream:
    """Records, as server-sent events, each with the id to go on from; `event: missed` says how many were gone."""

    MEDIA: ClassVar[str] = MEDIA


@attrs.frozen(kw_only=True)
class LogAsked:
    """Which records."""

    level: Level = "DEBUG"
    """At this level and above; what is not logged at all is set by `[log] level`."""
    flow: Annotated[str, Text(_FLOW_CHARS_MAX)] | None = None
    """Of this flow alone: `order/421`."""
    follow: Literal["yes", "no"] = "yes"
    """`no`: those that are there, and the end."""


async def log_stream(call: Call) -> Response:
    """The newest records, and those to come, until the client or the server ends it.

    Raises:
        HttpRefused: nobody keeps the log, too many streams are open, or the id to go on from is none.
    """
    asked, logs = call.queried(LogAsked), call.serving.logs
    if not logs.is_kept:
        raise HttpRefused(
            HTTPStatus.CONFLICT,
            "the log is not kept here",
            "serve by `http_served`, which keeps it, or within `app.serving.logs.kept()`",
        )
    after = _after(call.request.headers.get("last-event-id"), logs.id)
    wanted = LogFilter(asked.level, asked.flow)
    return streamed(call, lambda serving: _texts(serving, wanted, after, follow=asked.follow == "yes"))


async def _texts(serving: Serving, wanted: LogFilter, after: int, *, follow: bool) -> AsyncGenerator[bytes, None]:
    yield b": from here on\n\n"
    logs, quiet = serving.logs, 0
    while not serving.closing.begun:
        records, missed = logs.after(after)
        if missed and after:
            yield b'event: missed\ndata: {"missed": %d}\n\n' % missed
        for record in records:
            after = record.number
            if wanted.lets(record):
                quiet = 0
                yield b"id: %s-%d\ndata: %s\n\n" % (logs.id.encode(), after, to_json(attrs.asdict(record)))
        if not follow:
            return
        quiet += 1
        if quiet % _PING_LOOKS == 0:
            yield b":\n\n"
        with trio.move_on_after(_LOOK_EVERY_S) as waiting:
            serving.closing.began_waiting(waiting)
            try:
                await trio.sleep_forever()
            finally:
                serving.closing.ended_waiting(waiting)


def _after(last: str | None, ring: str) -> int:
    """The number to go on from; from the first on where it was another process that gave it."""
    if last is None:
        return 0
    found = _ID.fullmatch(last)
    if found is None:
        fault = FieldFault("Last-Event-ID", f"is {last!r:.40}")
        raise HttpRefused(HTTPStatus.BAD_REQUEST, "Last-Event-ID is of no record", "send one of ours", (fault,))
    return int(found[2]) if found[1] == ring else 0


ROUTES = (
    # Not for readers: messages and tracebacks hold what code put there, addresses of peers and names of tokens.
    Route("GET", "/v1/logs/stream", "operator", "The log, as it comes.", LogStream, log_stream, query=LogAsked),
)
