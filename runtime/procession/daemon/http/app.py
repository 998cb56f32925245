"""The application: a runtime as ASGI, by the table of its routes. Runs on trio, in the runtime's own loop."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import starlette.routing
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from procession.daemon.flow_shown import plain
from procession.daemon.http import (
    acts,
    archive,
    commands,
    diagrams,
    events,
    exporting,
    flows,
    gateways,
    health,
    insight,
    laws,
    log_stream,
    logins,
    overview,
    positions,
    processes,
    projections,
    publishing,
    quarantine,
    sandboxes,
    search,
    stream,
    task_tree,
    tasks,
    what_if,
)
from procession.daemon.http.access import Access
from procession.daemon.http.callers import Caller
from procession.daemon.http.closing import Closing
from procession.daemon.http.documents import document_routes
from procession.daemon.http.frame import CALLER, Frame, hosts_of
from procession.daemon.http.hardening import Hardened
from procession.daemon.http.page import page_routes
from procession.daemon.http.problems import HttpRefused, plain_problem, problem_of
from procession.daemon.http.reading import JSON, decoded_parts, filled_by_body, filled_by_query
from procession.daemon.http.routes import Call, Route, Serving
from procession.daemon.http.source import Source
from procession.daemon.log_ring import LogRing
from procession.daemon.tokens import without_tokens
from procession.errors import ProcessionError
from procession.http_settings import HttpSettings
from procession.primitives.codec import to_json

logger = logging.getLogger("procession.http")
ROUTES: tuple[Route, ...] = (
    *health.ROUTES,
    *logins.ROUTES,
    *publishing.ROUTES,
    *events.ROUTES,
    *stream.ROUTES,
    *flows.ROUTES,
    *acts.ROUTES,
    *commands.ROUTES,
    *gateways.ROUTES,
    *projections.ROUTES,
    *search.ROUTES,
    *insight.ROUTES,
    *diagrams.ROUTES,
    *exporting.ROUTES,
    *sandboxes.ROUTES,
    *what_if.ROUTES,
    *overview.ROUTES,
    *laws.ROUTES,
    *log_stream.ROUTES,
    *task_tree.ROUTES,
    *tasks.ROUTES,
    *quarantine.ROUTES,
    *positions.ROUTES,
    *processes.ROUTES,
    *archive.ROUTES,
    *document_routes(lambda: ROUTES),
)
"""All that can be asked."""


def http_app(
    runtime: Source,
    settings: HttpSettings | None = None,
    *,
    hosts: Collection[str] | None = None,
    closing: Closing | None = None,
    access: Access | None = None,
    logs: LogRing | None = None,
) -> Hardened:
    """A runtime as an ASGI application, for a server on trio that runs in the same loop.

    Where the settings name no file of tokens, whoever reaches it may do everything: serve it on loopback, or behind
    what keeps others out.

    Args:
        runtime: an open one, or another source: nothing but reading is answered then.
        settings: the bounds; default: those of the runtime.
        hosts: names by which it may be called, in lower case and without port; default: those of loopback and of
            `settings.hosts`.
        closing: close it before the server ends: streams of events end then.
        access: who may ask; default: as the settings say.
        logs: the log to show; default: one that takes nothing until `app.serving.logs.kept()`.

    Raises:
        SettingsError: the file of the tokens can't be used.
    """
    settings = settings or runtime.settings.http
    logs = logs or LogRing(settings.log_records_max)
    serving = Serving(runtime, settings, closing or Closing(), access or Access(settings), logs)
    hosts = hosts_of(settings) if hosts is None else hosts
    found = Starlette(
        routes=[
            *page_routes(),
            *(
                starlette.routing.Route(path, _dispatch(serving, at), methods=list(at))
                for path, at in _by_path(ROUTES).items()
            ),
        ],
        exception_handlers={
            HTTPException: _not_served_by(serving.access),
            ProcessionError: _refused,
            TimeoutError: _refused,
            Exception: _unforeseen,
        },
    )
    found.router.redirect_slashes = False
    return Hardened(Frame(found, serving, hosts), serving)


def _by_path(routes: Sequence[Route]) -> dict[str, dict[str, Route]]:
    found: dict[str, dict[str, Route]] = {}
    for route in routes:
        found.setdefault(route.path, {})[route.method] = route
    return found


def _dispatch(serving: Serving, at: Mapping[str, Route]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        route = at["GET" if request.method == "HEAD" else request.method]
        caller: Caller = request.scope[CALLER]
        serving.access.admit(caller, route.policy, request.scope)
        parts = decoded_parts(request)
        query: object = filled_by_query(route.query, request)
        body: object = None
        if route.asks is not None and route.asks is not bytes:
            body = await filled_by_body(route.asks, request, serving.settings, caller)
        done: Any = await route.does(Call(serving, request, parts, query, body, caller))
        return done if isinstance(done, Response) else Response(to_json(plain(done)), media_type=JSON)

    return answer


async def _refused(request: Request, error: Exception) -> Response:
    found = problem_of(error)
    if found.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("%s %s failed", request.method, without_tokens(request.scope["path"]), exc_info=error)
    return found


def _not_served_by(access: Access) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def not_served(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException), "registered for it"
        try:
            access.admit(request.scope[CALLER], "reader", request.scope)  # strangers do not hear what there is
        except HttpRefused as refused:
            return problem_of(refused)
        path = request.scope["path"]
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            said = f"{request.method} is not for {path}; see the header Allow"
        else:
            said = f"there is nothing at {path}; look for what there is in docs/http.md"
        return plain_problem(HTTPStatus(error.status_code), said, error.headers or {})

    return not_served


async def _unforeseen(_: Request, __: Exception) -> Response:
    """What nobody expected: the log has it whole, from the server, to which it is raised again."""
    return plain_problem(HTTPStatus.INTERNAL_SERVER_ERROR, "it failed; the log of the service says how", {})
