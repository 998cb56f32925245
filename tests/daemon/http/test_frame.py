"""What holds for every request: the table, hosts and origins, bounds, and problems in place of tracebacks."""

from __future__ import annotations

from typing import Any

import attrs
import httpx
import pytest
import trio
import trio.testing

from procession import errors
from procession.daemon.http.app import ROUTES, http_app
from procession.daemon.http.policies import POLICIES
from procession.daemon.http.problems import problem_of, status_of
from procession.daemon.http.routes import Route
from procession.errors import SettingsError
from procession.http_settings import HttpSettings, bind_of
from procession.testing.faults import FaultyJournal
from tests.daemon.http.served import cloud_event, raw, served

TELL_SECRETS = frozenset({"/v1/flows/{process}/{key}/export", "/v1/flows/{process}/{key}/sandbox", "/v1/logs/stream"})
"""What is read there is whole, so that it can be imported; or it is what code wrote into messages and tracebacks."""


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_route_says_who_may_ask_what_is_sent_and_what_is_answered(route: Route) -> None:
    assert route.policy in POLICIES
    assert route.method != "GET" or route.policy in ("anyone", "reader") or route.path in TELL_SECRETS
    assert route.about.endswith(".")
    assert route.answers is str or attrs.has(route.answers)
    assert attrs.has(route.query)
    assert route.asks is None or route.method == "POST"
    assert bool(route.media) == (route.asks is bytes)


def test_no_two_routes_are_one() -> None:
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize("bind", ["127.0.0.1:8080", "127.9.9.9:0", "[::1]:8080", "localhost:80"])
def test_loopback_may_be_served(bind: str) -> None:
    assert bind_of(bind).host in ("127.0.0.1", "127.9.9.9", "::1")


OTHERS = ["0.0.0.0:80", "[::]:80", "192.168.1.7:80", "10.0.0.1:1", "[::ffff:10.0.0.1]:80"]
TLS: dict[str, Any] = {"tls_certificate": "a.crt", "tls_key": "a.key"}


@pytest.mark.parametrize("bind", OTHERS)
@pytest.mark.parametrize(
    ("guard", "missing"),
    [({}, "are no tokens and no TLS"), ({"tokens": "t.toml"}, "is no TLS"), (TLS, "are no tokens to")],
)
def test_what_others_can_reach_is_refused_without_tokens_and_tls(
    bind: str, guard: dict[str, Any], missing: str
) -> None:
    with pytest.raises(SettingsError, match=f"which others can reach, and there {missing}"):
        HttpSettings(bind=bind, **guard)


@pytest.mark.parametrize("bind", OTHERS)
def test_what_others_can_reach_is_taken_with_tokens_tls_and_a_name(bind: str) -> None:
    assert HttpSettings(bind=bind, tokens="t.toml", hosts=("orders.example",), **TLS).guarded


def test_every_address_at_once_needs_a_name_by_which_it_is_called() -> None:
    with pytest.raises(SettingsError, match=r"name them: http\.hosts"):
        HttpSettings(bind="0.0.0.0:80", tokens="t.toml", **TLS)


def test_half_of_a_certificate_is_refused() -> None:
    with pytest.raises(SettingsError, match="tls_key: is left out; give both"):
        HttpSettings(tls_certificate="a.crt")


@pytest.mark.parametrize("bind", ["127.0.0.1", "shop.example:80", "127.0.0.1:http", "127.0.0.1:70000", ":80", "::1"])
def test_what_is_no_address_is_refused(bind: str) -> None:
    with pytest.raises(SettingsError, match=r"as 127\.0\.0\.1:8080"):
        HttpSettings(bind=bind)


async def test_a_refusal_is_a_problem_document() -> None:
    async with served() as http:
        response = await http.client.get("/nowhere")
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json() == {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": "there is nothing at /nowhere; look for what there is in docs/http.md",
            "fields": [],
        }


async def test_another_method_hears_which_there_are() -> None:
    async with served() as http:
        response = await http.client.delete("/livez")
        assert response.status_code == 405
        assert sorted(response.headers["allow"].split(", ")) == ["GET", "HEAD"]


@pytest.mark.parametrize("path", ["/livez/", "//livez", "/%6civez", "/livez%00", "/LIVEZ", "/x/../livez"])
async def test_an_address_that_is_written_otherwise_leads_nowhere(path: str) -> None:
    async with served() as http:
        found = await raw(http, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert found.startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize("host", ["shop.example", "127.0.0.1.shop.example", "localhost@shop.example", "[::1"])
async def test_another_host_is_not_served(host: str) -> None:
    async with served() as http:
        response = await http.client.get("/livez", headers={"Host": host})
        assert response.status_code == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "[::1]:99", "127.0.0.1"])
async def test_loopback_by_any_of_its_names_is_served(host: str) -> None:
    async with served() as http:
        assert (await http.client.get("/livez", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("origin", ["https://shop.example", "null", "http://localhost:1", "https://{host}"])
async def test_a_page_of_another_site_may_not_ask(origin: str) -> None:
    async with served() as http:
        asked = origin.format(host=http.address.removeprefix("http://"))
        assert (await http.client.get("/livez", headers={"Origin": asked})).status_code == 403
        assert (await http.client.get("/livez", headers={"Origin": http.address})).status_code == 200


async def test_too_many_bytes_of_headers_are_refused() -> None:
    async with served(http=HttpSettings(header_bytes_max=1_024)) as http:
        assert (await http.client.get("/livez", headers={"X-Much": "x" * 1_100})).status_code == 431
        assert (await http.client.get("/livez?" + "x" * 1_100)).status_code == 431


async def test_a_query_that_the_route_does_not_know_is_refused_with_its_name() -> None:
    async with served() as http:
        response = await http.client.get("/livez?verbose=1")
        assert response.status_code == 400
        assert "verbose" in response.json()["detail"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFound("flow", "order/1"), 404),
        (errors.ActRefused("retry", "order/1", "it runs"), 409),
        (errors.IdReused("shop", "1", 7), 409),
        (errors.TooLarge("the data", 2, 1, "intake.payload_bytes_max"), 413),
        (errors.InvalidPayload("order.placed", "no amount"), 422),
        (errors.UnknownType("order.placd"), 422),
        (errors.Overloaded(2.5), 429),
        (errors.NotAccepted("the disk is full"), 503),
        (errors.RuntimeClosed(), 503),
        (errors.RuntimeFailed("writer", 5, "the disk"), 500),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_error_has_its_status(error: errors.ProcessionError, status: int) -> None:
    assert status_of(error) == status


def test_who_must_wait_hears_how_long() -> None:
    assert problem_of(errors.Overloaded(2.5)).headers["retry-after"] == "3"
    assert problem_of(errors.NotAccepted("the disk is full")).headers["retry-after"] == "1"


async def test_a_host_serves_its_own_runtime_under_its_own_name() -> None:
    async with served() as http:
        transport = httpx.ASGITransport(http_app(http.runtime, hosts={"orders.example"}))
        async with httpx.AsyncClient(transport=transport, base_url="http://orders.example") as client:
            assert (await client.get("/readyz")).json() == {"status": "ready"}
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            assert (await client.get("/readyz")).status_code == 421


async def test_more_requests_than_can_be_answered_are_told_to_come_later(mock_clock: trio.testing.MockClock) -> None:
    journal = FaultyJournal()
    async with served(journal, http=HttpSettings(requests_max=1)) as http:
        journal.commit_s = 1
        statuses: list[tuple[int, str | None]] = []

        async def one(number: int) -> None:
            event = cloud_event("parcel.sent", str(number), {"parcel": "p1"})
            media = {"Content-Type": "application/cloudevents+json"}
            response = await http.client.post("/v1/events", json=event, headers=media)
            statuses.append((response.status_code, response.headers.get("retry-after")))

        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(one, number)
            while len(statuses) < 2:  # time stands still: the first is not answered
                await trio.lowlevel.checkpoint()
            journal.commit_s = 0
            mock_clock.jump(1)
        assert sorted(statuses, key=str) == [(200, None), (503, "1"), (503, "1")]


@pytest.mark.parametrize("body", ["", "Content-Length: 5\r\n\r\nabcde", "Transfer-Encoding: chunked\r\n\r\nx"])
async def test_a_connection_that_fails_ends_no_other(body: str, caplog: pytest.LogCaptureFixture) -> None:
    upgrade = (
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAA\r\n"
    )
    async with served() as http:
        asked = f"GET /livez HTTP/1.1\r\nHost: localhost\r\n{upgrade}{body or chr(13) + chr(10)}".encode()
        assert (await raw(http, asked))[9:12] in (b"400", b"403", b""), "it may be closed before it is answered"
        assert (await http.client.get("/livez")).status_code == 200
        assert "Traceback" not in caplog.text


async def test_a_server_that_ends_takes_no_more_and_closes_what_is_idle() -> None:
    async with served(grace_s=60) as http:
        assert (await http.client.get("/livez")).status_code == 200  # its connection is kept
        with trio.fail_after(15):
            http.closing.set()
            await http.closed.wait()
        with pytest.raises(httpx.TransportError):
            await http.client.get("/livez")
