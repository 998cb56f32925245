"""How often who may ask: by token, by address of strangers, by failures; in a table that has a bound."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import trio
import trio.testing

from procession.daemon.http.rates import Rates
from procession.daemon.tokens import new_token
from procession.http_settings import HttpSettings
from tests.daemon.http.guarded import THEN, guarded
from tests.daemon.http.served import raw, served

UNKNOWN = new_token("nobody", "admin", THEN)[1]
AGAIN = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_a_burst_and_then_so_many_in_a_second() -> None:
    rates = Rates(rate_per_s=2, burst=3, callers_max=10)
    assert [rates.wait_s("ann", 0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert rates.wait_s("bob", 0) == 0
    assert [rates.wait_s("ann", at_s) for at_s in (0.25, 0.5, 0.5)] == [0.25, 0, 0.5]
    assert [rates.wait_s("ann", 1_000) for _ in range(4)] == [0, 0, 0, 0.5]


def test_who_was_away_longest_is_forgotten() -> None:
    rates = Rates(rate_per_s=1, burst=1, callers_max=2)
    assert [rates.wait_s(who, 0) for who in ("a", "b", "a", "c", "b", "c")] == [0, 0, 1, 0, 0, 1]


async def test_a_token_that_asks_too_often_waits_and_others_do_not(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with guarded(tmp_path, rate_per_s=0.1, rate_burst=2) as http:
        reader = [await http.ask("GET", "/v1/session", http.texts["reader"]) for _ in range(3)]
        assert [answer.status for answer in reader] == [200, 200, 429]
        assert 9 <= int(reader[-1].headers["retry-after"]) <= 10
        assert (await http.ask("GET", "/v1/session", http.texts["admin"])).status == 200
        assert (await http.ask("GET", "/livez")).status == 200
        strangers = [(await http.ask("GET", "/livez", peer=peer)).status for peer in ("10.0.0.7",) * 3 + ("10.0.0.8",)]
        assert strangers == [200, 200, 429, 200]


@pytest.mark.parametrize(
    ("peers", "statuses"),
    [
        (("10.0.0.7", "10.0.0.7", "10.0.0.8"), [401, 429, 401]),
        (("", "unknown", "/run/a.sock"), [401, 429, 401]),
        (("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"), [401, 429, 401]),
    ],
)
async def test_who_fails_too_often_waits_and_locks_nobody_out(
    tmp_path: Path,
    peers: tuple[str, ...],
    statuses: list[int],
    caplog: pytest.LogCaptureFixture,
    mock_clock: trio.testing.MockClock,
) -> None:
    async with guarded(tmp_path, failures_per_min=1) as http:
        answers = [await http.ask("GET", "/v1/flows", UNKNOWN, peer=peer) for peer in peers]
        assert [answer.status for answer in answers] == statuses
        assert int(answers[1].headers["retry-after"]) in (59, 60)
        assert (await http.ask("GET", "/v1/flows", http.texts["reader"], peer=peers[0])).status == 200
        assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 2
        metrics = (await http.ask("GET", "/metrics", http.texts["reader"])).body.decode()
        assert 'procession_http_refused_total{reason="strangers"} 3.0\n' in metrics
        assert 'procession_http_refused_total{reason="rates"} 1.0\n' in metrics


async def test_on_loopback_without_tokens_nothing_is_counted() -> None:
    async with served(http=HttpSettings(rate_burst=1, rate_per_s=0.1)) as http:
        assert {(await http.client.get("/livez")).status_code for _ in range(3)} == {200}


async def test_more_connections_than_may_be_open_are_closed(mock_clock: trio.testing.MockClock) -> None:
    async with served(http=HttpSettings(connections_max=2)) as http:
        assert (await http.client.get("/livez")).status_code == 200  # its connection stays open
        host, port = http.address.removeprefix("http://").rsplit(":", 1)
        async with await trio.open_tcp_stream(host, int(port)) as second:
            await second.send_all(AGAIN)
            assert (await second.receive_some(9)).startswith(b"HTTP/1.1")
            assert await raw(http, AGAIN) == b""
            metrics = (await http.client.get("/metrics")).text
            assert 'procession_http_refused_total{reason="connections"} 1.0\n' in metrics
        while not await raw(http, AGAIN):  # time stands still: that for idle ones is never over
            pass
