"""Which statuses a route may answer with: what the documents say, and what the tests hold it to."""

from __future__ import annotations

from http import HTTPStatus

from procession.daemon.http.routes import Route

_ANY: tuple[HTTPStatus, ...] = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.MISDIRECTED_REQUEST,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""Of the frame around all routes, and of what nobody expected."""
_OF_PARTS = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
_OF_BODIES = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
_ABOUT: dict[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "It is not what the route wants; `fields` names each field that does not fit.",
    HTTPStatus.UNAUTHORIZED: "It comes without a token that holds here.",
    HTTPStatus.FORBIDDEN: "The role does not allow it, or a page of another site asks.",
    HTTPStatus.NOT_FOUND: "There is nothing of this name.",
    HTTPStatus.METHOD_NOT_ALLOWED: "The address has other methods; see `Allow`.",
    HTTPStatus.REQUEST_TIMEOUT: "The body came too slowly.",
    HTTPStatus.CONFLICT: "It does not fit what it finds.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The content type is another.",
    HTTPStatus.MISDIRECTED_REQUEST: "It was called by a host name that is not its own.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "It can be read, and is refused.",
    HTTPStatus.TOO_MANY_REQUESTS: "Come again after `Retry-After` seconds.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "Headers and address are too large.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "It failed; the log of the service says how.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Nothing is accepted now; come again after `Retry-After` seconds.",
}


def statuses_of(route: Route) -> tuple[HTTPStatus, ...]:
    """The statuses of its problem documents, in order."""
    found = {*_ANY}
    if "{" in route.path:
        found.update(_OF_PARTS)
    if route.asks is not None:
        found.update(_OF_BODIES)
    if route.path.endswith(("/history", "/why", "/why-not")):
        found.add(HTTPStatus.UNPROCESSABLE_ENTITY)  # it is there, and longer than an answer may be
    return tuple(sorted(found))


def about(status: HTTPStatus) -> str:
    """When it is answered."""
    return _ABOUT[status]
