"""Logging in over HTTP: a browser shows its token once, and is known by a cookie for a while."""

from __future__ import annotations

from http import HTTPStatus

import attrs
import trio
from starlette.responses import Response

from procession.daemon.http.access import cookie_name
from procession.daemon.http.problems import HttpRefused
from procession.daemon.http.reading import JSON
from procession.daemon.http.routes import Call, Nothing, Route
from procession.primitives.codec import to_json


@attrs.frozen
class KnownAs:
    """Who asks, as far as is known here."""

    name: str
    """Of the token; empty where no tokens are needed."""
    role: str
    tokens_needed: bool
    """Whether a token is needed here; where none is, whoever asks may do everything."""


async def show_session(call: Call) -> KnownAs:
    """Who asks."""
    token = call.caller.token
    return KnownAs("" if token is None else token.name, call.caller.role, call.serving.access.needs_tokens)


async def log_in(call: Call) -> Response:
    """Begin a session for the token that the request comes with; its cookie is in the answer.

    Raises:
        HttpRefused: it comes with a session and not with a token.
    """
    known, token = to_json(attrs.asdict(await show_session(call))), call.caller.token
    if token is None:
        return Response(known, media_type=JSON)
    if call.caller.session is not None:
        raise HttpRefused(
            HTTPStatus.FORBIDDEN, "a session can't begin another", "log in with the token: Authorization: Bearer …"
        )
    now_s, access = trio.current_time(), call.serving.access
    until_s = min(now_s + call.settings.session_s, call.caller.until_s)
    secret = access.sessions.begin(token, until_s, now_s)
    answer = Response(known, media_type=JSON, headers={"Cache-Control": "no-store"})
    _set_cookie(answer, call, secret, int(until_s - now_s))
    return answer


async def log_out(call: Call) -> Response:
    """End the session that the request comes with, and its streams; without one nothing happens."""
    if call.caller.session is not None:
        call.serving.access.end_session(call.caller.session)
    answer = Response(status_code=HTTPStatus.NO_CONTENT)
    _set_cookie(answer, call, "", 0)
    return answer


def _set_cookie(answer: Response, call: Call, secret: str, age_s: int) -> None:
    scheme = call.request.scope["scheme"]
    answer.set_cookie(
        cookie_name(scheme), secret, max_age=age_s, path="/", secure=scheme == "https", httponly=True, samesite="strict"
    )


_PATH = "/v1/session"
ROUTES = (
    Route("GET", _PATH, "reader", "Who asks, and in which role.", KnownAs, show_session),
    Route("POST", _PATH, "reader", "Begin a session of a browser, with a token.", KnownAs, log_in),
    Route("DELETE", _PATH, "reader", "End the session of a browser.", Nothing, log_out),
)
