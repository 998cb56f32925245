"""Whether it lives, whether it takes work, what it has counted: for those who watch a service."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

import attrs
import trio
from starlette.responses import Response

from procession.daemon.http.metrics import exposition, refused
from procession.daemon.http.problems import HttpRefused
from procession.daemon.http.routes import Call, Route


@attrs.frozen
class Health:
    """All is well, as far as was asked."""

    status: Literal["live", "ready"]


async def livez(_: Call) -> Health:
    """The loop turns: that there is an answer says it."""
    return Health("live")


async def readyz(call: Call) -> Health:
    """Work is taken.

    Raises:
        HttpRefused: it is not; says why.
    """
    if call.source.held:
        raise HttpRefused(
            HTTPStatus.SERVICE_UNAVAILABLE, f"nothing is accepted: {call.source.held}", "it goes on by itself"
        )
    if call.source.committing_s > call.settings.ready_commit_s:
        raise HttpRefused(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"nothing becomes durable: a commit has been running for {call.source.committing_s:.0f} s",
            "look at the disk; it goes on by itself",
        )
    return Health("ready")


async def metrics(call: Call) -> Response:
    """All that is measured. It is written in a thread: other requests and turns go on meanwhile."""
    families = [*await call.runtime.metrics(), refused(call.serving.access.counters)]
    text, media = await trio.to_thread.run_sync(exposition, families, call.request.headers.get("accept", ""))
    return Response(text, headers={"Content-Type": media})


ROUTES = (
    Route("GET", "/livez", "anyone", "Whether the loop turns.", Health, livez),
    Route("GET", "/readyz", "reader", "Whether work is taken; 503 says why not.", Health, readyz),
    Route("GET", "/metrics", "reader", "All that is measured, for Prometheus.", str, metrics),
)
