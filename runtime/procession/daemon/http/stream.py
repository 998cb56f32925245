"""Events as they come, as server-sent events; a client that was cut off goes on where it was."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncGenerator, Callable
from http import HTTPStatus
from typing import ClassVar

import attrs
import trio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from procession.daemon.flow_shown import event_json
from procession.daemon.http.bounds import AtPosition
from procession.daemon.http.problems import FieldFault, HttpRefused
from procession.daemon.http.routes import Call, Follower, Route, Serving
from procession.journal.rows import EventRow
from procession.laws.secret_marks import Marks
from procession.primitives.codec import to_json

MEDIA = "text/event-stream"
_PAGE_ROWS = 100
"""What a client has not taken is not read from the journal: this is all that is in memory for it."""
_PING_S = 15.0
_POSITION = re.compile(r"[0-9]{1,18}")


@attrs.frozen
class EventStream:
    """Server-sent events, for as long as both sides want."""

    MEDIA: ClassVar[str] = MEDIA


@attrs.frozen(kw_only=True)
class StreamAsked:
    """Which events."""

    after: AtPosition | None = None
    """Those after this position; if left out those from now on. The header Last-Event-ID goes over it."""
    type: tuple[str, ...] = ()
    """Of these types only, by stored name; may stand several times."""


async def stream(call: Call) -> Response:
    """Durable events after a position, as they come, until the client or the server ends it.

    Raises:
        HttpRefused: too many streams are open, or the position is none.
    """
    asked = call.queried(StreamAsked)
    after = _after(call, asked)
    client = call.request.client
    follower = Follower("" if client is None else f"{client.host}:{client.port}", asked.type, after)
    return streamed(call, lambda serving: _followed(serving, follower))


def streamed(call: Call, texts: Callable[[Serving], AsyncGenerator[bytes, None]]) -> Response:
    """Server-sent events, where there is room for one more stream.

    Raises:
        HttpRefused: too many are open.
    """
    serving = call.serving
    if serving.streams >= serving.settings.streams_max:
        raise HttpRefused(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"{serving.streams} streams are open, which is all at one time",
            "come later, or raise http.streams_max",
        )
    if call.request.method == "HEAD":
        return Response(media_type=MEDIA)
    return Streamed(serving, texts(serving))


class Streamed(Response):
    """Is counted from its beginning to its end.

    Starlette's own is cancelled by Hypercorn's word that the response has ended, in the middle of closing a connection,
    which stays open then: here nobody listens for that word any more when the end is sent.
    """

    def __init__(self, serving: Serving, texts: AsyncGenerator[bytes, None]) -> None:
        super().__init__(media_type=MEDIA, headers={"Cache-Control": "no-store"})
        del self.headers["content-length"]
        self._serving = serving
        self._texts = texts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until somebody ends it."""
        self._serving.streams += 1
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async with contextlib.aclosing(self._texts) as texts, trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_when_gone, receive, nursery.cancel_scope)
                async for text in texts:
                    await send({"type": "http.response.body", "body": text, "more_body": True})
                nursery.cancel_scope.cancel()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._serving.streams -= 1


async def _cancel_when_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _followed(serving: Serving, follower: Follower) -> AsyncGenerator[bytes, None]:
    serving.followers.add(follower)
    try:
        async with contextlib.aclosing(_texts(serving, follower)) as texts:
            async for text in texts:
                yield text
    finally:
        serving.followers.discard(follower)


async def _texts(serving: Serving, follower: Follower) -> AsyncGenerator[bytes, None]:
    """The events and, where none comes for a while, a comment, by which either side sees that the other is there."""
    yield b": from here on\n\n"
    marks = Marks.of(await serving.source.journal.types())  # written at the opening, and by nobody after it
    while not serving.closing.begun:
        after, until = follower.position, serving.source.position
        rows = await serving.source.journal.events(after, _PAGE_ROWS, follower.types, until) if until > after else []
        for row in rows:
            yield _text(marks.event(row))
            follower.position = row.position
        full = len(rows) == _PAGE_ROWS
        if not full:
            follower.position = max(after, until)
        if not full and not await _news(serving, follower.position):
            yield b":\n\n"


async def _news(serving: Serving, after: int) -> bool:
    """Whether something is durable after a position, or the server ends; waits a while for it."""
    with trio.move_on_after(_PING_S) as waiting:
        serving.closing.began_waiting(waiting)
        try:
            await serving.source.wait_beyond(after)
        finally:
            serving.closing.ended_waiting(waiting)
    return serving.closing.begun or not waiting.cancelled_caught


def _text(row: EventRow) -> bytes:
    # JSON of ours is one line, and a stored name has no line's end: nothing in it can end the event early.
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (row.position, row.type.encode(), to_json(event_json(row)))


def _after(call: Call, asked: StreamAsked) -> int:
    last = call.request.headers.get("last-event-id")
    if last is not None:
        if not _POSITION.fullmatch(last):
            fault = FieldFault("Last-Event-ID", f"is {last!r:.40}")
            raise HttpRefused(HTTPStatus.BAD_REQUEST, "Last-Event-ID is no position", "send one of ours", (fault,))
        return int(last)
    return call.source.position if asked.after is None else asked.after


ROUTES = (Route("GET", "/v1/events/stream", "reader", "Events as they come.", EventStream, stream, query=StreamAsked),)
