"""Refusals as problem details (RFC 9457): the one place where an error gets its status."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

import attrs
from starlette.responses import Response

from procession import errors, journal_errors, projection_errors, search_errors, send_errors
from procession.daemon.exit_codes import UsageRefused
from procession.daemon.tokens import without_tokens
from procession.mask import without_credentials
from procession.primitives.cloudevents import CloudEventError
from procession.primitives.codec import to_json

MEDIA = "application/problem+json"
_URN = "urn:procession:problem:"
_HELD_RETRY_AFTER_S = 1.0
_NOTHING: Mapping[str, object] = MappingProxyType({})


@attrs.frozen
class FieldFault:
    """What is wrong with one field of what came."""

    path: str
    """`$.by` is the field `by` of the body; `?limit` and `{key}` are of the address."""
    found: str


@attrs.frozen
class Problem:
    """A problem document: why it was not done, and what to do about it."""

    type: str
    """The error's class as a URN, `urn:procession:problem:ActRefused`; `about:blank` where the status says it all."""
    title: str
    status: int
    detail: str
    fields: tuple[FieldFault, ...] = ()
    """Empty where no single field is to blame."""


@attrs.define
class HttpRefused(errors.ProcessionError):
    """A request that can't be answered as it came; nothing was done."""

    status: HTTPStatus
    found: str
    cure: str
    fields: tuple[FieldFault, ...] = ()
    headers: Mapping[str, str] = attrs.field(factory=dict)
    extra: Mapping[str, object] = attrs.field(factory=dict)
    """Further members of the problem document."""

    def __str__(self) -> str:
        return f"{self.found}; {self.cure}"


_STATUSES: tuple[tuple[type[BaseException], HTTPStatus], ...] = (
    (CloudEventError, HTTPStatus.BAD_REQUEST),
    (errors.NotFound, HTTPStatus.NOT_FOUND),
    (errors.ActRefused, HTTPStatus.CONFLICT),
    (errors.FlowQuarantined, HTTPStatus.CONFLICT),
    (errors.IdReused, HTTPStatus.CONFLICT),
    (send_errors.AggregateSetAside, HTTPStatus.CONFLICT),
    (errors.TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (errors.Overloaded, HTTPStatus.TOO_MANY_REQUESTS),
    (send_errors.DecisionFailed, HTTPStatus.INTERNAL_SERVER_ERROR),
    (errors.NotAccepted, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.OutcomeUnknown, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.RuntimeClosed, HTTPStatus.SERVICE_UNAVAILABLE),
    (journal_errors.CommitFailed, HTTPStatus.SERVICE_UNAVAILABLE),
    (projection_errors.ProjectionBehind, HTTPStatus.SERVICE_UNAVAILABLE),
    (projection_errors.ProjectionStopped, HTTPStatus.SERVICE_UNAVAILABLE),
    (TimeoutError, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.PublishRefused, HTTPStatus.UNPROCESSABLE_ENTITY),
    (projection_errors.QueryRefused, HTTPStatus.UNPROCESSABLE_ENTITY),
    (UsageRefused, HTTPStatus.UNPROCESSABLE_ENTITY),
    (search_errors.WhatIfRefused, HTTPStatus.UNPROCESSABLE_ENTITY),
)
"""The first class that fits decides; what is not named here is a failure of ours."""


def status_of(error: BaseException) -> HTTPStatus:
    """The status for an error."""
    if isinstance(error, HttpRefused):
        return error.status
    if isinstance(error, errors.NotAccepted) and isinstance(error.__cause__, journal_errors.CommitRejected):
        return HTTPStatus.UNPROCESSABLE_ENTITY  # its own data was refused, and would be again
    found = (status for kind, status in _STATUSES if isinstance(error, kind))
    return next(found, HTTPStatus.INTERNAL_SERVER_ERROR)


def problem_of(error: Exception) -> Response:
    """The response to an error of ours."""
    status = status_of(error)
    kind = "about:blank" if isinstance(error, HttpRefused) else _URN + type(error).__name__
    fields = error.fields if isinstance(error, HttpRefused) else ()
    headers = dict(error.headers) if isinstance(error, HttpRefused) else {}
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        wait_s = error.retry_after_s if isinstance(error, errors.Overloaded) else _HELD_RETRY_AFTER_S
        headers.setdefault("Retry-After", str(max(1, math.ceil(wait_s))))
    extra = error.extra if isinstance(error, HttpRefused) else {}
    return _document(Problem(kind, status.phrase, status, without_credentials(str(error)), fields), headers, extra)


def plain_problem(status: HTTPStatus, detail: str, headers: Mapping[str, str]) -> Response:
    """A response where there is no error of ours to tell of."""
    return _document(Problem("about:blank", status.phrase, status, detail), headers)


def _document(problem: Problem, headers: Mapping[str, str], extra: Mapping[str, object] = _NOTHING) -> Response:
    text = without_tokens(to_json({**attrs.asdict(problem), **extra}).decode())  # one may have come as a part of it
    return Response(text, problem.status, headers, MEDIA)
