"""The documents that describe the service, served by itself."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

import attrs
from starlette.responses import Response

from procession.daemon.http.asyncapi import asyncapi_of, servers_at
from procession.daemon.http.openapi import openapi_of, security_of
from procession.daemon.http.reading import JSON
from procession.daemon.http.routes import Call, Route
from procession.primitives.codec import to_json
from procession.primitives.registry import Registry


@attrs.frozen
class Described:
    """A document, as its own specification says what it holds."""

    MEDIA: ClassVar[str] = JSON


@attrs.define(eq=False)
class _Derived:
    """A document of each registry, derived once: it takes tens of milliseconds, in which nothing else would run."""

    of: Callable[[Registry], dict[str, Any]]
    _known: weakref.WeakKeyDictionary[Registry, dict[str, Any]] = attrs.field(factory=weakref.WeakKeyDictionary)

    def __call__(self, registry: Registry) -> dict[str, Any]:
        if registry not in self._known:
            self._known[registry] = self.of(registry)
        return self._known[registry]


def document_routes(table: Callable[[], Sequence[Route]]) -> tuple[Route, ...]:
    """The routes of both documents, over all routes, these among them."""
    openapi, asyncapi = _Derived(lambda registry: openapi_of(table(), registry)), _Derived(asyncapi_of)

    def described(call: Call) -> dict[str, Any]:
        security = security_of(tokens_needed=call.serving.access.needs_tokens)
        return {**openapi(call.source.registry), "security": security}

    def channels(call: Call) -> dict[str, Any]:
        return {**asyncapi(call.source.registry), **servers_at(call.request.url.netloc)}

    return (
        Route("GET", "/openapi.json", "reader", "These routes, as OpenAPI 3.1.", Described, _writing(described)),
        Route(
            "GET", "/asyncapi.json", "reader", "Events and commands, as AsyncAPI 3.0.", Described, _writing(channels)
        ),
    )


def _writing(document: Callable[[Call], dict[str, Any]]) -> Callable[[Call], Awaitable[Response]]:
    async def write(call: Call) -> Response:
        return Response(to_json(document(call)), media_type=JSON)

    return write
