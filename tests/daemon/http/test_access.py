"""Who may ask what: every route of the table by every kind of caller, and who stands in the journal then."""

from __future__ import annotations

import json
import logging
import re
from http import HTTPStatus
from pathlib import Path
from typing import Any

import attrs
import pytest
import starlette.routing
from starlette.applications import Starlette

from procession.daemon.http.app import ROUTES, http_app
from procession.daemon.http.frame import Frame
from procession.daemon.http.policies import POLICIES
from procession.daemon.http.routes import Route
from procession.daemon.tokens import new_token
from procession.primitives.event import Event
from tests.daemon.http.guarded import THEN, Guarded, add, guarded, revoke
from tests.daemon.http.served import ParcelOpened, ParcelSent

REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
UNKNOWN = new_token("nobody", "admin", THEN)[1]
CALLERS: dict[str, tuple[str, ...]] = {
    "nobody": ("anyone",),
    "unknown": ("anyone",),
    "malformed": ("anyone",),
    "expired": ("anyone",),
    "reader": ("anyone", "reader"),
    "operator": ("anyone", "reader", "operator"),
    "admin": ("anyone", "reader", "operator", "admin"),
}
"""Each kind of caller, and the policies that let it through."""


def address_of(route: Route) -> str:
    """An address of this route, of things that are not there."""
    return re.sub(r"\{\w+\}", "none", route.path)


def token_of(http: Guarded, caller: str) -> str | None:
    return {**http.texts, "nobody": None, "unknown": UNKNOWN, "malformed": "procession_letmein"}[caller]


@pytest.mark.parametrize("caller", CALLERS)
async def test_each_caller_gets_through_where_the_policy_lets_it_and_nowhere_else(tmp_path: Path, caller: str) -> None:
    async with guarded(tmp_path) as http:
        token = token_of(http, caller)
        statuses = {
            (route.method, route.path): (await http.ask(route.method, address_of(route), token)).status
            for route in ROUTES
        }
        let_in = {asked: status not in REFUSED for asked, status in statuses.items()}
        assert let_in == {(route.method, route.path): route.policy in CALLERS[caller] for route in ROUTES}


def test_every_policy_is_tried() -> None:
    assert {policy for let_in in CALLERS.values() for policy in let_in} == set(POLICIES)
    assert {route.policy for route in ROUTES} <= set(POLICIES)


def test_a_route_without_a_policy_can_not_be_made() -> None:
    kept = {field.name: getattr(ROUTES[0], field.name) for field in attrs.fields(Route)}
    with pytest.raises(TypeError, match="policy"):
        Route(**{name: value for name, value in kept.items() if name != "policy"})
    with pytest.raises(ValueError, match="policy"):
        Route(**{**kept, "policy": "nobody"})


async def test_nothing_is_served_but_what_stands_in_the_table(tmp_path: Path) -> None:
    async with guarded(tmp_path) as http:
        frame = http_app(http.runtime).app
        assert isinstance(frame, Frame)
        assert isinstance(frame.app, Starlette)
        found = [route for route in frame.app.routes if isinstance(route, starlette.routing.Route)]
        assert len(found) == len(frame.app.routes)
        page = {"/", "/dashboard/{name}"}  # the dashboard's own files, which hold no data
        assert {route.path for route in found} - page == {route.path for route in ROUTES}


async def test_a_stranger_does_not_hear_what_there_is(tmp_path: Path) -> None:
    async with guarded(tmp_path) as http:
        for path in ("/nowhere", "/v1", "/v1/flows/"):
            assert (await http.ask("GET", path)).status == 401
            assert (await http.ask("OPTIONS", path)).status == 401
            assert (await http.ask("GET", path, http.texts["reader"])).status == 404


async def test_refusals_say_how_to_be_let_in(tmp_path: Path) -> None:
    async with guarded(tmp_path) as http:
        nothing = await http.ask("GET", "/v1/flows")
        wrong = await http.ask("GET", "/v1/flows", UNKNOWN)
        weak = await http.ask("POST", "/v1/gateways/carriers/pause", http.texts["reader"], b'{"why": "x"}')
        assert nothing.headers["www-authenticate"] == 'Bearer realm="procession"'
        assert wrong.headers["www-authenticate"] == 'Bearer realm="procession", error="invalid_token"'
        assert weak.headers["www-authenticate"].endswith('error="insufficient_scope", scope="operator"')
        assert json.loads(weak.body) == {
            "type": "about:blank",
            "title": "Forbidden",
            "status": 403,
            "detail": "reader is reader, and this is for operator; call with the token of an operator",
            "fields": [],
        }
        assert {one.headers["content-type"] for one in (nothing, wrong, weak)} == {"application/problem+json"}


ELSEWHERE = [
    {"Authorization": "Basic {admin}"},
    {"Authorization": "{admin}"},
    {"Authorization": "Bearer {admin}x"},
    {"Authorization": "Bearer {admin}, Bearer {admin}"},
    {"Authorization": "Bearer"},
    {"Proxy-Authorization": "Bearer {admin}"},
    {"X-Api-Key": "{admin}"},
    {"Cookie": "procession={admin}"},
    {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-User": "admin"},
]


async def test_a_token_counts_in_its_header_alone(tmp_path: Path) -> None:
    async with guarded(tmp_path) as http:
        admin = http.texts["admin"]
        for headers in ELSEWHERE:
            sent = {name: value.format(admin=admin) for name, value in headers.items()}
            assert (await http.ask("GET", "/v1/flows", headers=sent)).status == 401, headers
        for name in ("access_token", "token", "authorization", "Authorization"):
            assert (await http.ask("GET", f"/v1/flows?{name}={admin}")).status == 401, name
            with_both = await http.ask("GET", f"/v1/flows?{name}={admin}", admin)
            assert with_both.status == 400
            assert admin.encode() not in with_both.body


async def test_the_document_says_that_a_token_is_needed_and_of_whom_none_is(tmp_path: Path) -> None:
    async with guarded(tmp_path) as http:
        document = json.loads((await http.ask("GET", "/openapi.json", http.texts["reader"])).body)
    assert document["security"] == [{"bearer": []}]
    assert document["paths"]["/livez"]["get"]["security"] == []
    assert "security" not in document["paths"]["/readyz"]["get"]


async def test_a_revoked_token_is_refused_at_the_next_request(tmp_path: Path) -> None:
    async with guarded(tmp_path) as http:
        assert (await http.ask("GET", "/v1/flows", http.texts["reader"])).status == 200
        revoke(http.path, "reader")
        http.access.refresh()
        assert (await http.ask("GET", "/v1/flows", http.texts["reader"])).status == 401
        assert (await http.ask("GET", "/v1/flows", http.texts["admin"])).status == 200


async def test_who_has_a_token_of_the_same_name_again_is_another(tmp_path: Path) -> None:
    async with guarded(tmp_path) as http:
        revoke(http.path, "reader")
        again = add(http.path, "reader", "operator")
        http.access.refresh()
        assert (await http.ask("GET", "/v1/flows", http.texts["reader"])).status == 401
        assert (await http.ask("GET", "/v1/flows", again)).status == 200


# Who stands in the journal.

ACTS: dict[str, tuple[str, dict[str, Any]]] = {
    "/v1/flows/{process}/{key}/retry": ("/v1/flows/parcel/heavy{number}/retry", {}),
    "/v1/flows/{process}/{key}/skip": ("/v1/flows/parcel/heavy{number}/skip", {}),
    "/v1/flows/{process}/{key}/release": ("/v1/flows/parcel/heavy{number}/release", {}),
    "/v1/flows/{process}/{key}/cancel": ("/v1/flows/parcel/heavy{number}/cancel", {}),
    "/v1/quarantine/retry": ("/v1/quarantine/retry", {}),
    "/v1/quarantine/skip": ("/v1/quarantine/skip", {}),
    "/v1/quarantine/release": ("/v1/quarantine/release", {}),
    "/v1/gateways/{name}/pause": ("/v1/gateways/carriers/pause", {}),
    "/v1/gateways/{name}/resume": ("/v1/gateways/carriers/resume", {}),
    "/v1/gateways/{name}/limits": ("/v1/gateways/carriers/limits", {"limits": {"concurrency": 3}}),
    "/v1/processes/{name}/resume": ("/v1/processes/parcel/resume", {}),
}
"""Every route that acts, where it can in these tests, and with what."""
ELSEWHERE_TRIED = (
    "/v1/archive",
    "/v1/projections/{name}/rebuild",
    "/v1/tasks/{task}/answer",
    "/v1/tasks/{task}/cancel",
    "/v1/tasks/{task}/claim",
    "/v1/tasks/{task}/reassign",
)
"""Routes that act on what this runtime has none of."""
FACTS = (
    "/v1/events",
    "/v1/commands/{type}",
    "/v1/projections/{name}/queries/{query}",
    "/v1/flows/{process}/{key}/what-if",
    "/v1/flows/{process}/{key}/sandbox",
    "/v1/session",
)
"""Routes that bring facts in, which name a source of their own, that only ask, and the one that opens a session."""


def test_every_route_that_acts_is_held_to_be_audited() -> None:
    acting = {route.path for route in ROUTES if route.method == "POST"} - set(FACTS)
    assert acting == {*ACTS, *ELSEWHERE_TRIED}
    asked = [route.asks for route in ROUTES if route.path in acting and route.method == "POST"]
    assert [one for one in asked if one is None or "by" not in {field.name for field in attrs.fields(one)}] == []


async def recorded_by(http: Guarded, path: str, number: int, said: dict[str, Any]) -> str:
    """Who stands in the journal for an act on one flow in quarantine, or beside it."""
    flow = http.runtime.flow("parcel", f"heavy{number}")
    await http.runtime.publish([ParcelSent(f"heavy{number}"), ParcelOpened(f"heavy{number}")])
    while (await flow.summary()).status != "quarantined":
        pass
    before, body = http.runtime.position, json.dumps({"why": "it was wet", **said}).encode()
    done = await http.ask("POST", path.format(number=number), http.texts["operator"], body)
    assert done.status == 200, done.body
    acts: list[Event] = [found.event for found in await http.runtime.events(before)]
    (by,) = {getattr(act, "by") for act in acts if hasattr(act, "by")}  # noqa: B009 - acts of many classes
    assert isinstance(by, str)
    return by


async def test_an_act_is_in_the_journal_in_the_name_of_the_token(tmp_path: Path) -> None:
    async with guarded(tmp_path) as http:
        recorded = [await recorded_by(http, path, number, with_) for number, (path, with_) in enumerate(ACTS.values())]
        assert recorded == ["operator"] * len(ACTS)


async def test_nobody_acts_in_another_name(tmp_path: Path) -> None:
    async with guarded(tmp_path) as http:
        names = ("ann", "operator", " ")
        skip, _ = ACTS["/v1/flows/{process}/{key}/skip"]
        recorded = [await recorded_by(http, skip, number, {"by": name}) for number, name in enumerate(names)]
        assert recorded == ["operator (for ann)", "operator", "operator"]


async def test_a_command_that_names_no_source_has_that_of_its_token(tmp_path: Path) -> None:
    async with guarded(tmp_path) as http:
        body = json.dumps({"id": "1", "data": {"shelf": "s"}}).encode()
        assert (await http.ask("POST", "/v1/commands/shelf.put", http.texts["operator"], body)).status == 200
        (decided, *_) = await http.runtime.events(0)
        assert decided.envelope.source == "token:operator"


# What is never told.


async def test_a_token_is_in_no_log_no_answer_no_metric_and_no_event(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with guarded(tmp_path) as http:
        canary, operator = http.texts["admin"], http.texts["operator"]
        answers = [
            await http.ask("GET", f"/v1/flows/parcel/{canary}", canary),
            await http.ask("GET", f"/{canary}", canary),
            await http.ask("GET", f"/{canary}"),
            await http.ask("GET", f"/v1/flows?limit={canary}", canary),
            await http.ask("GET", "/v1/flows", f"{canary}x"),
            await http.ask("GET", "/v1/flows", headers={"Cookie": f"procession={canary}"}),
            await http.ask("POST", f"/v1/gateways/{canary}/pause", operator, b'{"why": "x"}'),
            await http.ask("POST", "/v1/events", canary, canary.encode()),
            await http.ask("POST", "/v1/session", canary),
            await http.ask("GET", "/metrics", canary),
        ]
        assert [answer.status for answer in answers] == [404, 404, 401, 400, 401, 401, 404, 400, 200, 200]
        told = [str(answer).encode() + answer.body for answer in answers]
        events = [repr(event).encode() for event in await http.runtime.events(0)]
        lines = [caplog.text.encode(), http.path.read_bytes()]
        secret = canary.removeprefix("procession_")[9:].encode()
        assert [text for text in (*told, *events, *lines) if secret in text] == []


async def test_refused_attempts_are_logged_with_their_peer_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarded(tmp_path) as http:
        await http.ask("GET", "/v1/flows", UNKNOWN, peer="10.0.0.7")
        await http.ask("POST", "/v1/processes/parcel/resume", http.texts["reader"], peer="10.0.0.8")
        await http.ask("GET", "/a%0Ab\x1b", peer="2001:db8::7")
        assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
            "401 to /v1/flows (GET) from 10.0.0.7: the token is not known here",
            "403 to reader /v1/processes/parcel/resume (POST) from 10.0.0.8: a reader may not, operator may",
            r"401 to /a%0Ab\x1b (GET) from 2001:db8::/64: no token came",
        ]
        metrics = (await http.ask("GET", "/metrics", http.texts["reader"])).body.decode()
        assert 'procession_http_refused_total{reason="strangers"} 2.0\n' in metrics
        assert 'procession_http_refused_total{reason="roles"} 1.0\n' in metrics
