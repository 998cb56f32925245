"""Positions over HTTP: how far the journal is, and how far those are who follow it."""

from __future__ import annotations

import attrs

from procession.daemon.http.routes import Call, Route
from procession.projections.view import ProjectionState


@attrs.frozen
class ProjectionPosition:
    """How far one projection is."""

    name: str
    state: ProjectionState
    position: int
    lag_positions: int


@attrs.frozen
class StreamPosition:
    """How far one client of the stream of events is."""

    client: str
    """Its address."""
    position: int
    """It has been sent all up to here."""
    lag_positions: int
    type: tuple[str, ...]
    """Of these types only; all where it is empty."""


@attrs.frozen
class Positions:
    """All of them, at one moment."""

    position: int
    """The last one of the journal that is durable."""
    projections: tuple[ProjectionPosition, ...]
    streams: tuple[StreamPosition, ...]


async def show_positions(call: Call) -> Positions:
    """How far everything is; from memory."""
    last = call.source.position
    projections = tuple(
        ProjectionPosition(info.name, info.state, info.position, info.lag_positions)
        for info in call.source.projections()
    )
    streams = tuple(
        StreamPosition(follower.client, follower.position, max(0, last - follower.position), follower.types)
        for follower in call.serving.followers
    )
    return Positions(last, projections, streams)


ROUTES = (
    Route(
        "GET", "/v1/positions", "reader", "How far the journal and those are who follow it.", Positions, show_positions
    ),
)
