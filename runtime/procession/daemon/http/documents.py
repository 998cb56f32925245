"""The documents that describe the service, served by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

import attrs
from starlette.responses import Response

from procession.daemon.http.asyncapi import asyncapi_of
from procession.daemon.http.openapi import openapi_of
from procession.daemon.http.reading import JSON
from procession.daemon.http.routes import Call, Route
from procession.primitives.codec import to_json


@attrs.frozen
class Described:
    """A document, as its own specification says what it holds."""

    MEDIA: ClassVar[str] = JSON


def document_routes(table: Callable[[], Sequence[Route]]) -> tuple[Route, ...]:
    """The routes of both documents, over all routes, these among them."""

    def openapi(call: Call) -> dict[str, Any]:
        return openapi_of(table(), call.source.registry)

    def asyncapi(call: Call) -> dict[str, Any]:
        return asyncapi_of(call.source.registry, call.request.url.netloc)

    return (
        Route("GET", "/openapi.json", "reader", "These routes, as OpenAPI 3.1.", Described, _writing(openapi)),
        Route(
            "GET", "/asyncapi.json", "reader", "Events and commands, as AsyncAPI 3.0.", Described, _writing(asyncapi)
        ),
    )


def _writing(document: Callable[[Call], dict[str, Any]]) -> Callable[[Call], Awaitable[Response]]:
    async def write(call: Call) -> Response:
        return Response(to_json(document(call)), media_type=JSON)

    return write
