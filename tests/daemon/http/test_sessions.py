"""Sessions of browsers: a token is shown once, a cookie stands for it, pages of others can't use it."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import trio
import trio.testing

from procession.daemon.http.sessions import SESSIONS_MAX, Sessions, key_of
from procession.daemon.tokens import new_token
from procession.http_settings import HttpSettings
from tests.daemon.http.guarded import THEN, Guarded, add, guarded, revoke
from tests.daemon.http.served import served

HERE = {"origin": "http://localhost"}
ACT = "/v1/gateways/carriers/pause"
WHY = b'{"why": "x"}'


async def cookie_of(http: Guarded, token: str, scheme: str = "http") -> dict[str, str]:
    """Log in; the header that a browser sends from then on."""
    begun = await http.ask("POST", "/v1/session", token, scheme=scheme)
    assert begun.status == 200
    assert begun.headers["cache-control"] == "no-store"
    return {"cookie": begun.headers["set-cookie"].partition(";")[0]}


async def test_a_browser_logs_in_acts_and_logs_out(tmp_path: Path) -> None:
    async with guarded(tmp_path) as http:
        cookie = await cookie_of(http, http.texts["operator"])
        known = await http.ask("GET", "/v1/session", headers=cookie)
        assert json.loads(known.body) == {"name": "operator", "role": "operator", "tokens_needed": True}
        assert (await http.ask("POST", ACT, headers=cookie | HERE, body=WHY)).status == 200
        done = await http.ask("DELETE", "/v1/session", headers=cookie | HERE)
        assert (done.status, done.body) == (204, b"")
        assert done.headers["set-cookie"].startswith('procession=""; HttpOnly; Max-Age=0; Path=/; SameSite=strict')
        assert (await http.ask("GET", "/v1/session", headers=cookie)).status == 401


async def test_a_cookie_is_for_this_host_this_scheme_and_no_script(tmp_path: Path) -> None:
    async with guarded(tmp_path, session_s=60) as http:
        plain = await http.ask("POST", "/v1/session", http.texts["reader"])
        name, _, flags = plain.headers["set-cookie"].partition("; ")
        assert name.startswith("procession=")
        assert flags == "HttpOnly; Max-Age=60; Path=/; SameSite=strict"
        tls = await http.ask("POST", "/v1/session", http.texts["reader"], scheme="https")
        name, _, flags = tls.headers["set-cookie"].partition("; ")
        assert name.startswith("__Host-procession=")
        assert flags == "HttpOnly; Max-Age=60; Path=/; SameSite=strict; Secure"
        secret = name.partition("=")[2]
        assert (
            await http.ask("GET", "/v1/flows", headers={"cookie": f"procession={secret}"}, scheme="https")
        ).status == 401


FROM_ELSEWHERE: list[dict[str, str]] = [
    {},
    {"origin": "null"},
    {"origin": "http://shop.example"},
    {"origin": "https://localhost"},
]


async def test_a_page_of_another_site_does_nothing_by_a_visitors_cookie(tmp_path: Path) -> None:
    async with guarded(tmp_path) as http:
        cookie = await cookie_of(http, http.texts["operator"])
        for origin in FROM_ELSEWHERE:
            assert (await http.ask("POST", ACT, headers=cookie | origin, body=WHY)).status == 403, origin
            assert (await http.ask("DELETE", "/v1/session", headers=cookie | origin)).status == 403, origin
        assert http.runtime.position == 0
        assert (await http.ask("GET", "/v1/session", headers=cookie)).status == 200


async def test_a_session_has_the_role_of_its_token_and_begins_no_other(tmp_path: Path) -> None:
    async with guarded(tmp_path) as http:
        cookie = await cookie_of(http, http.texts["reader"])
        assert (await http.ask("POST", ACT, headers=cookie | HERE, body=WHY)).status == 403
        assert (await http.ask("POST", "/v1/session", headers=cookie | HERE)).status == 403


async def test_a_cookie_that_is_not_ours_opens_nothing(tmp_path: Path) -> None:
    async with guarded(tmp_path) as http:
        own = (await cookie_of(http, http.texts["reader"]))["cookie"]
        for planted in (f"{own}; {own}", f"{own}x", "procession=", "x; y=; =z; procession", "procession=ä"):
            assert (await http.ask("GET", "/v1/flows", headers={"cookie": planted})).status == 401, planted


async def test_a_session_ends_with_its_token(tmp_path: Path) -> None:
    async with guarded(tmp_path) as http:
        cookie = await cookie_of(http, http.texts["reader"])
        revoke(http.path, "reader")
        http.access.refresh()
        assert (await http.ask("GET", "/v1/session", headers=cookie)).status == 401


async def test_a_session_ends_after_its_time(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with guarded(tmp_path, session_s=60) as http:
        cookie = await cookie_of(http, http.texts["reader"])
        await trio.sleep(59)
        assert (await http.ask("GET", "/v1/session", headers=cookie)).status == 200
        await trio.sleep(2)
        assert (await http.ask("GET", "/v1/session", headers=cookie)).status == 401


async def test_a_session_does_not_outlive_its_token(tmp_path: Path) -> None:
    async with guarded(tmp_path, session_s=86_400) as http:
        soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=100)
        token = add(http.path, "soon", "reader", soon)
        http.access.refresh()
        begun = await http.ask("POST", "/v1/session", token)
        age_s = int(begun.headers["set-cookie"].partition("Max-Age=")[2].partition(";")[0])
        assert 90 <= age_s <= 100


async def test_without_tokens_there_is_nothing_to_log_in_to() -> None:
    async with served(http=HttpSettings()) as http:
        begun = await http.client.post("/v1/session")
        assert begun.json() == {"name": "", "role": "admin", "tokens_needed": False}
        assert "set-cookie" not in begun.headers


def test_there_are_so_many_sessions_and_no_more() -> None:
    sessions, token = Sessions(), new_token("shop", "reader", THEN)[0]
    secrets = [sessions.begin(token, 10, 0) for _ in range(SESSIONS_MAX + 1)]
    assert [sessions.at(key_of(secret), 0) is not None for secret in secrets] == [False] + [True] * SESSIONS_MAX
    assert sessions.at(key_of(sessions.begin(token, 20, 10)), 10) is not None
    assert sessions.at(key_of(secrets[-1]), 0) is None
