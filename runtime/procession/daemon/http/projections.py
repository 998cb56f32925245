"""Projections over HTTP: where each stands."""

from __future__ import annotations

import attrs

from procession.daemon.http.routes import Call, Route
from procession.projections.view import ProjectionInfo


@attrs.frozen
class ProjectionList:
    """Every projection."""

    projections: tuple[ProjectionInfo, ...]


async def list_projections(call: Call) -> ProjectionList:
    """Where each stands."""
    return ProjectionList(tuple(call.source.projections()))


ROUTES = (Route("GET", "/v1/projections", "reader", "Where each projection stands.", ProjectionList, list_projections),)
