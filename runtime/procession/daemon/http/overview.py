"""The whole at a glance over HTTP, once or every second: what a dashboard begins with."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import ClassVar

import attrs
import trio
from starlette.responses import Response

from procession.daemon.http.reading import JSON
from procession.daemon.http.routes import Call, Route, Serving
from procession.daemon.http.sampling import SAMPLE_S
from procession.daemon.http.stream import MEDIA, streamed
from procession.primitives.codec import to_json


@attrs.frozen
class Overview:
    """The whole at a glance; docs/dashboard.md says what it holds."""

    MEDIA: ClassVar[str] = JSON


@attrs.frozen
class OverviewStream:
    """An overview each second, as server-sent events."""

    MEDIA: ClassVar[str] = MEDIA


async def overview(call: Call) -> Response:
    """Where all stands now, with the last minutes."""
    sampler = call.serving.sampler
    now = await sampler.now()
    more = to_json({"history": sampler.history(), "heat": sampler.heat()})
    return Response(now[:-1] + b"," + more[1:], media_type=JSON)


async def overview_stream(call: Call) -> Response:
    """Where all stands, every second, until the client or the server ends it.

    Raises:
        HttpRefused: too many streams are open.
    """
    return streamed(call, _texts)


async def _texts(serving: Serving) -> AsyncGenerator[bytes, None]:
    while not serving.closing.begun:
        yield b"data: %s\n\n" % await serving.sampler.now()
        with trio.move_on_after(SAMPLE_S) as waiting:
            serving.closing.began_waiting(waiting)
            try:
                await trio.sleep_forever()
            finally:
                serving.closing.ended_waiting(waiting)


ROUTES = (
    Route("GET", "/v1/overview", "reader", "Where all stands, with the last minutes.", Overview, overview),
    Route("GET", "/v1/overview/stream", "reader", "Where all stands, every second.", OverviewStream, overview_stream),
)
