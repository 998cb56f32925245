"""Projections over HTTP: where each stands, what it answers by name, and having it made anew."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

import attrs

from procession.daemon.http.acts import ActAsked
from procession.daemon.http.bounds import AtPosition, Within
from procession.daemon.http.named_queries import NamedQuery, QueryShown, named_queries, shown_query
from procession.daemon.http.problems import FieldFault, HttpRefused
from procession.daemon.http.routes import Call, Route
from procession.errors import NotFound
from procession.primitives.converters import plain_values
from procession.primitives.projector import Projector
from procession.projections.view import QUERY_TIMEOUT_S, ProjectionInfo

_TIMEOUT_S_MAX = 60


@attrs.frozen
class ProjectionList:
    """Every projection."""

    projections: tuple[ProjectionInfo, ...]


@attrs.frozen
class ProjectionShown:
    """One projection, with the questions that it answers by name."""

    projection: ProjectionInfo
    queries: tuple[QueryShown, ...]


@attrs.frozen(kw_only=True)
class QueryAsked:
    """What is asked of a projection."""

    parameters: Mapping[str, Any] = attrs.field(factory=dict)
    """By name, as the query has them."""
    at_least: AtPosition | None = None
    """Wait until the projection holds all events up to this position."""
    timeout_s: Annotated[float, Within(0.001, _TIMEOUT_S_MAX)] = QUERY_TIMEOUT_S
    """For the wait and the answer together."""


@attrs.frozen
class QueryAnswer:
    """What the projection says."""

    projection: str
    query: str
    position: int
    """It holds all events up to here at least."""
    answer: Any


@attrs.frozen
class RebuildBegun:
    """It is being made anew beside the one that answers; `rebuild_position` of the projection says how far it is."""

    projection: str
    until: int
    """The position that the journal has reached."""


async def list_projections(call: Call) -> ProjectionList:
    """Where each stands."""
    return ProjectionList(tuple(call.source.projections()))


async def show_projection(call: Call) -> ProjectionShown:
    """One projection.

    Raises:
        NotFound: there is no such projection.
    """
    info = _info_of(call)
    return ProjectionShown(info, tuple(map(shown_query, named_queries(_projector_of(call)).values())))


async def ask(call: Call) -> QueryAnswer:
    """Have a projection answer one of its queries.

    Raises:
        NotFound: there is no such projection, or it has no such query.
        HttpRefused: a parameter does not fit, or the answer is nothing that JSON can hold.
        QueryRefused, ProjectionBehind, ProjectionStopped: as `Runtime.query` raises them.
    """
    info, projector, name = _info_of(call), _projector_of(call), call.parts["query"]
    query = named_queries(projector).get(name)
    if query is None:
        raise NotFound("query", name, f"GET /v1/projections/{info.name} lists those of {info.name}")
    asked = call.sent(QueryAsked)
    if asked.at_least is not None and asked.at_least > call.runtime.position:
        found = f"at_least is {asked.at_least}, and the journal ends at {call.runtime.position}"
        fault = FieldFault("$.at_least", "is a position that nobody has been given yet")
        raise HttpRefused(HTTPStatus.UNPROCESSABLE_ENTITY, found, "name one that an answer held", (fault,))
    parameters, faults = query.filled(asked.parameters)
    if faults:
        said = "; ".join(f"{fault.path} {fault.found}" for fault in faults)
        raise HttpRefused(HTTPStatus.BAD_REQUEST, f"the parameters do not fit: {said}", "mend them", faults)
    found = await call.runtime.query(
        projector, query.method, parameters, at_least=asked.at_least, timeout_s=asked.timeout_s
    )
    return QueryAnswer(info.name, name, max(info.position, asked.at_least or 0), _written(query, found))


async def rebuild(call: Call) -> RebuildBegun:
    """Begin to make a projection anew.

    Raises:
        NotFound: there is no such projection.
        ActRefused: it is being rebuilt already.
    """
    asked, name = call.sent(ActAsked), call.parts["name"]
    await call.runtime.begin_rebuild(name, by=asked.by, why=asked.why)
    return RebuildBegun(name, call.runtime.position)


def _info_of(call: Call) -> ProjectionInfo:
    name = call.parts["name"]
    found = next((info for info in call.runtime.projections() if info.name == name), None)
    if found is None:
        raise NotFound("projection", name, "GET /v1/projections lists what there is")
    return found


def _projector_of(call: Call) -> type[Projector]:
    return call.source.registry.projections[call.parts["name"]].cls


def _written(query: NamedQuery, answer: object) -> object:
    try:
        return plain_values()(answer, query.answers)
    except ValueError as error:
        raise HttpRefused(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"what {query.name} returns can't be written as JSON ({error})",
            "have it return lists, dicts, texts and numbers, or a frozen class of them",
        ) from None


_ONE = "/v1/projections/{name}"
ROUTES = (
    Route("GET", "/v1/projections", "reader", "Where each projection stands.", ProjectionList, list_projections),
    Route("GET", _ONE, "reader", "One projection, with its queries.", ProjectionShown, show_projection),
    Route(
        "POST",
        f"{_ONE}/queries/{{query}}",
        "reader",
        "Have a projection answer one of its queries.",
        QueryAnswer,
        ask,
        asks=QueryAsked,
    ),
    Route(
        "POST", f"{_ONE}/rebuild", "operator", "Begin to make a projection anew.", RebuildBegun, rebuild, asks=ActAsked
    ),
)
