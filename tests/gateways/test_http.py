"""What an HTTP gateway sends, how it reads what comes back, and what it never tells; with no server."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from procession import Attempt, AttemptFailed, CommandGivenUp, Refused, RetryLater, open_runtime
from procession.gateways.http import HttpGateway, HttpPolicy, HttpResponse
from procession.gateways.retry_after import retry_after_s
from procession.gateways.secrecy import shown_url
from procession.testing import World
from tests.gateways.paying import Bank, Charge, Charged, Ordered, Paying

ATTEMPT = Attempt("00ff", 1, "paying", "a", 2.0)
Handler = Callable[[httpx.Request], httpx.Response]


def bank_of(handler: Handler, **options: Any) -> Bank:  # noqa: ANN401 - httpx's own options
    return Bank(httpx.AsyncClient(transport=httpx.MockTransport(handler), base_url="https://bank.example", **options))


def saying(status: int, body: str = "", **headers: str) -> Handler:
    return lambda _: httpx.Response(status, text=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


async def sent_by(**how: Any) -> httpx.Request:  # noqa: ANN401 - arguments of request
    """The request, as a server would see it."""
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    await bank_of(handler).request(how.pop("attempt", ATTEMPT), "POST", "/charges", **how)
    (request,) = seen
    return request


async def test_a_command_is_sent_as_json_under_its_id() -> None:
    request = await sent_by(json=Charge("ä"))
    assert request.content == '{"order_id":"ä"}'.encode()
    assert request.headers["content-type"] == "application/json"
    assert request.headers["idempotency-key"] == "00ff"


async def test_plain_data_may_be_sent_as_well() -> None:
    assert (await sent_by(json={"cents": 4200})).content == b'{"cents":4200}'


async def test_the_idempotency_key_is_the_commands_whatever_headers_say() -> None:
    for name in ("Idempotency-Key", "idempotency-key"):
        assert (await sent_by(headers={name: "mine"})).headers.get_list("idempotency-key") == ["00ff"]


async def test_what_is_no_address_is_a_failed_attempt_that_shows_none_of_it() -> None:
    with pytest.raises(AttemptFailed, match=r"^GET can't be sent: what it was given is no address$"):
        await bank_of(saying(200)).request(ATTEMPT, "GET", "http://user:secret@[::1")


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (httpx.ConnectTimeout(""), "ConnectTimeout, nothing was sent"),
        (httpx.PoolTimeout(""), "PoolTimeout, nothing was sent"),
        (httpx.WriteTimeout(""), "WriteTimeout, whether it was done is not known"),
        (httpx.LocalProtocolError("Illegal header value b'secret'"), "the request can't be sent as HTTP"),
        (httpx.ReadError(""), "ReadError"),
    ],
)
async def test_what_went_wrong_on_the_way_is_said_in_few_words(error: Exception, shown: str) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(AttemptFailed) as caught:
        await bank_of(handler).request(ATTEMPT, "GET", "/")
    assert shown in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_a_second_request_of_a_command_has_a_key_of_its_own() -> None:
    assert (await sent_by(step="capture")).headers["idempotency-key"] == "00ff-capture"


async def test_a_trace_is_passed_on_where_there_is_one() -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    traced = Attempt("00ff", 1, "paying", "a", 2.0, trace)
    assert (await sent_by(attempt=traced)).headers["traceparent"] == trace
    assert "traceparent" not in (await sent_by()).headers


async def test_every_wait_of_a_request_is_bounded() -> None:
    assert (await sent_by()).extensions["timeout"] == {"connect": 5, "read": 0.5, "write": 0.5, "pool": 10}


async def test_a_server_may_want_the_key_under_another_name() -> None:
    class Odd(HttpGateway, name="odd", http=HttpPolicy(idempotency_header="X-Request-Id")):
        async def charge(self, command: Charge, attempt: Attempt) -> Charged:
            return (await self.request(attempt, "POST", "/", json=command)).read(Charged)

    echo = httpx.MockTransport(
        lambda r: httpx.Response(200, json={"order_id": "a", "receipt": r.headers["x-request-id"]})
    )
    assert await Odd(httpx.AsyncClient(transport=echo, base_url="http://x")).charge(Charge("a"), ATTEMPT) == Charged(
        "a", "00ff"
    )


# What comes back.


def response(body: str) -> HttpResponse:
    return HttpResponse(200, {}, body.encode(), "POST http://x/charges")


def test_a_response_is_read_as_an_event_without_what_it_does_not_name() -> None:
    assert response('{"order_id": "a", "receipt": "r", "mood": "fine"}').read(Charged) == Charged("a", "r")


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("<html>", "with what is no JSON"),
        ("[]", "with what is no Charged: expected an object, found list"),
        ('{"order_id": 7, "receipt": "r"}', "expected str, found int 7 @ $.order_id"),
        ('{"order_id": "a"}', "required field missing @ $.receipt"),
    ],
)
def test_what_is_no_such_event_is_no_answer_and_the_error_shows_where(body: str, shown: str) -> None:
    with pytest.raises(AttemptFailed) as caught:
        response(body).read(Charged)
    assert "POST http://x/charges answered 200" in str(caught.value)
    assert shown in str(caught.value)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((status, AttemptFailed) for status in (408, 425, 429, 500, 502, 503, 504, 520, 599)),
        *((status, Refused) for status in (300, 301, 304, 307, 400, 401, 403, 404, 410, 418, 451, 501, 505)),
    ],
)
async def test_a_status_says_whether_another_attempt_may_help(status: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"answered {status}"):
        await bank_of(saying(status)).request(ATTEMPT, "GET", "/")


async def test_which_statuses_are_tried_again_can_be_set() -> None:
    class Odd(Bank, name="odd", http=HttpPolicy(retried=frozenset({404}))): ...

    odd = Odd(httpx.AsyncClient(transport=httpx.MockTransport(saying(404)), base_url="http://x"))
    with pytest.raises(AttemptFailed):
        await odd.request(ATTEMPT, "GET", "/")


async def test_a_redirect_refuses_unless_it_is_to_be_followed() -> None:
    class Follower(Bank, name="follower", http=HttpPolicy(follow_redirects=True)): ...

    def handler(request: httpx.Request) -> httpx.Response:
        elsewhere = {"location": "/there"}
        return httpx.Response(307, headers=elsewhere) if request.url.path == "/here" else httpx.Response(200, text="1")

    with pytest.raises(Refused, match="answered 307"):
        await bank_of(handler).request(ATTEMPT, "POST", "/here")
    follower = Follower(httpx.AsyncClient(transport=httpx.MockTransport(handler), base_url="http://x"))
    assert (await follower.request(ATTEMPT, "POST", "/here")).text == "1"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "Wed, 25 Nov 2026 18:00:30 GMT"}, 30.0),
        ({"retry-after": "Wed, 25 Nov 2026 17:00:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 25 Nov 2026 18:00:30 GMT", "date": "Wed, 25 Nov 2026 17:59:30 GMT"}, 60.0),
        ({"retry-after": "Wed, 25 Nov 2026 18:00:30 GMT", "date": "some day"}, 30.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "9" * 400}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    six_o_clock = 1_795_629_600_000_000
    assert retry_after_s(headers, six_o_clock) == seconds


async def test_a_server_that_wants_time_says_so_to_the_engine() -> None:
    with pytest.raises(RetryLater) as caught:
        await bank_of(saying(503, retry_after="7")).request(ATTEMPT, "GET", "/")
    assert caught.value.after_s == 7


@pytest.mark.parametrize("name", ["connect_timeout_s", "read_timeout_s", "pool_timeout_s", "response_bytes_max"])
@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_every_bound_is_one(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        HttpPolicy(**{name: value})  # type: ignore[arg-type]  # one of the four


# What is never told.

SECRET = "s3cr3t/t0ken="


@pytest.mark.parametrize(
    "handler",
    [
        lambda request: httpx.Response(403, text=f"no: {request.headers['authorization']} {request.url}"),
        lambda request: httpx.Response(500, text=f"{request.headers['x-api-key']} failed, {request.url.query!r}"),
        lambda request: (_ for _ in ()).throw(httpx.ConnectError(f"no way to {request.url}")),
        lambda _: httpx.Response(200, text="<html>"),
    ],
    ids=["refused", "failed", "unreached", "no json"],
)
async def test_no_secret_is_told_in_an_error_a_log_or_the_journal(
    handler: Handler, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Careless(Bank, name="bank", attempts_max=2, backoff_initial_s=0.01):
        async def charge(self, command: Charge, attempt: Attempt) -> Charged:
            way = {"headers": {"X-Api-Key": SECRET}, "params": {"token": SECRET}}
            return (await self.request(attempt, "POST", "/charges", json=command, **way)).read(Charged)  # type: ignore[arg-type]  # as above

    careless = Careless(
        httpx.AsyncClient(
            transport=httpx.MockTransport(handler),
            base_url=f"https://user:{SECRET.replace('/', '%2F')}@bank.example",
            headers={"Authorization": f"Bearer {SECRET}"},
            cookies={"session": SECRET},
        )
    )
    caplog.set_level(logging.DEBUG)
    journal = tmp_path / "j.db"
    async with careless.client, open_runtime(journal, processes=[Paying], gateways=[careless]) as runtime:
        await runtime.publish(Ordered("a"))
        await runtime.flow(Paying, "a").wait_ended(30)
        (found,) = [one.event for one in await runtime.events() if isinstance(one.event, CommandGivenUp)]
    assert "https://bank.example/charges?token=•••" in found.found
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir()).decode("utf-8", "replace")
    spelt = ("s3cr3t", "t0ken")
    assert [word for word in spelt if word in caplog.text] == []
    assert [word for word in spelt if word in written] == []


async def test_what_others_log_by_the_same_client_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with httpx.AsyncClient(transport=httpx.MockTransport(saying(200))) as client:
        await client.get("http://x/?q=word")
    assert "q=word" in caplog.text


def test_an_address_is_shown_without_what_it_hides() -> None:
    shown = shown_url("https://user:pass@bank.example:8443/a/b?token=abc&x=&x=2#part")
    assert shown == "https://bank.example:8443/a/b?token=•••&x=•••&x=•••"


# As users test.


async def test_a_gateway_runs_in_a_world_over_a_fake_transport(autojump_clock: object) -> None:
    replies = iter(
        [
            httpx.Response(503, headers={"retry-after": "90"}),
            httpx.Response(200, json={"order_id": "a", "receipt": "r1"}),
        ]
    )
    async with World(processes=[Paying], gateways=[bank_of(lambda _: next(replies))]) as world:
        await world.publish(Ordered("a"))
        assert await world.outcome(Paying, "a") == "charged"
        assert len({called.attempt.command_id for called in world.attempts(Charge)}) == 1
