"""HTTP gateways against a real server: one effect for each command, and every flow ends or is told."""

from __future__ import annotations

import gc
import random
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterable
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest
import trio

from procession import Attempt, AttemptFailed, CommandGivenUp, Outside, Settings, open_runtime
from procession.gateways.http import HttpPolicy
from procession.settings import ShutdownSettings
from tests.gateways.paying import Bank, Ordered, PatientBank, Paying, bank_at
from tests.gateways.rough_server import Listening, RoughServer, rough_server, served
from tests.ports import free_port

LIKE_NOTHING = (
    "slow",
    "reset",
    "half",
    "garbage",
    "no json",
    "another shape",
    "flood",
    "429",
    "500",
    "503 0",
    "silent",
)
FOUND = {
    "slow": "ReadTimeout, whether it was done is not known",
    "silent": "ReadTimeout, whether it was done is not known",
    "reset": "ReadError",
    "half": "RemoteProtocolError",
    "garbage": "RemoteProtocolError",
    "no json": "answered 200 with what is no JSON",
    "another shape": "with what is no Charged: expected str, found int 7 @ $.order_id; required field missing",
    "flood": "answered 200 with more than 100000 bytes (response_bytes_max)",
    "429 0": "answered 429 Too Many Requests: go away; it wants to be asked again in 0 s",
    "500": "answered 500 Internal Server Error: go away",
}


WAITED_FOR = frozenset({"slow", "silent"})
"""Only a wait that ends finds these out."""


class HastyBank(Bank, name="bank", timeout_s=60, backoff_initial_s=0.01, http=HttpPolicy(read_timeout_s=4)):
    """Gives up what is waited for, and takes an answer that a busy machine holds up all the same."""


async def run(
    server: RoughServer, orders: Iterable[str], journal: Path, kind: type[Bank] = PatientBank
) -> dict[str, tuple[str, str]]:
    """How each order ends, and what was found where its charge was given up."""
    bank = bank_at(server.address, kind, limits=httpx.Limits(max_connections=64))
    async with bank.client, open_runtime(journal, processes=[Paying], gateways=[bank]) as runtime:
        await runtime.publish([Ordered(order) for order in orders])
        outcomes = {order: await runtime.flow(Paying, order).wait_ended(60) for order in orders}
        events = [one.event for one in await runtime.events()]
        found = {event.command.order_id: event.found for event in events if isinstance(event, CommandGivenUp)}
        return {order: (outcome, found.get(order, "")) for order, outcome in outcomes.items()}


async def test_after_an_answer_like_none_the_same_key_is_sent_and_the_work_done_once(tmp_path: Path) -> None:
    with rough_server({manner: [manner] for manner in LIKE_NOTHING}) as server:
        ended = await run(server, set(LIKE_NOTHING) - WAITED_FOR, tmp_path / "j.db")
        ended |= await run(server, WAITED_FOR, tmp_path / "waited.db", HastyBank)
        assert ended == dict.fromkeys(LIKE_NOTHING, ("charged", ""))
        assert {order: len(keys) for order, keys in server.attempts.items()} == dict.fromkeys(LIKE_NOTHING, 2)
        assert {order: len(set(keys)) for order, keys in server.attempts.items()} == dict.fromkeys(LIKE_NOTHING, 1)
        assert len(server.effects) == len(set(server.effects)) == len(LIKE_NOTHING)


async def test_a_server_that_never_comes_round_is_given_up_and_the_flow_told_why(tmp_path: Path) -> None:
    with rough_server({manner: [manner] * 9 for manner in FOUND}) as server:
        ended = await run(server, FOUND.keys() - WAITED_FOR, tmp_path / "j.db")
        ended |= await run(server, WAITED_FOR, tmp_path / "waited.db", Bank)
        assert {manner for manner, (outcome, _) in ended.items() if outcome != "unknown"} == set()
        assert {manner: found for manner, (_, found) in ended.items() if FOUND[manner] not in found} == {}
        assert {order: len(keys) for order, keys in server.attempts.items()} == dict.fromkeys(FOUND, 5)
        assert len(server.effects) == len(set(server.effects))


async def test_nobody_at_the_address_is_told_too(tmp_path: Path) -> None:
    ended = await run(RoughServer(port=free_port()), ["a"], tmp_path / "j.db")
    assert ended["a"][0] == "unknown"
    assert "ConnectError" in ended["a"][1]


async def test_a_refusal_is_one_at_the_first_attempt(tmp_path: Path) -> None:
    refusals = ("302", "400", "404", "409", "422", "501")
    with rough_server({status: [status] for status in refusals}) as server:
        ended = await run(server, refusals, tmp_path / "j.db")
        assert {outcome for outcome, _ in ended.values()} == {"refused"}
        assert "422 Unprocessable" in ended["422"][1]
        assert {order: len(keys) for order, keys in server.attempts.items()} == dict.fromkeys(refusals, 1)
        assert server.effects == []


async def test_a_status_that_was_asked_for_answers(tmp_path: Path) -> None:
    with rough_server({"a": ["402"] * 5}) as server:  # on a busy machine the first answer may come too late
        assert await run(server, ["a"], tmp_path / "j.db") == {"a": ("declined", "")}


async def test_a_server_that_asks_for_time_gets_it(tmp_path: Path) -> None:
    with rough_server({"a": ["429 1"]}) as server:
        began = trio.current_time()
        assert await run(server, ["a"], tmp_path / "j.db") == {"a": ("charged", "")}
        assert trio.current_time() - began >= 1


async def test_an_attempt_carries_its_trace(tmp_path: Path) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with rough_server() as server:
        bank = bank_at(server.address)
        async with bank.client, open_runtime(tmp_path / "j.db", processes=[Paying], gateways=[bank]) as runtime:
            await runtime.publish([Outside(Ordered("a"), "1", "test", trace)])
            await runtime.flow(Paying, "a").wait_ended(30)
        assert [headers["traceparent"] for headers in server.headers] == [trace]


@pytest.mark.parametrize("orders", [40, pytest.param(1_000, marks=pytest.mark.slow)])
async def test_one_effect_for_each_key_and_an_end_for_each_flow_whatever_the_server_does(
    orders: int, tmp_path: Path
) -> None:
    chance = random.Random(20261125)
    ways = [*LIKE_NOTHING[:-1], "well", "422"]
    manners = {str(n): chance.choices(ways, k=chance.randint(0, 6)) for n in range(orders)}
    with rough_server(manners) as server:
        ended = await run(server, manners, tmp_path / "j.db", Bank)
        assert {outcome for outcome, _ in ended.values()} == {"charged", "refused", "unknown"}
        assert {len(set(keys)) for keys in server.attempts.values()} == {1}
        assert len(server.effects) == len(set(server.effects))
        assert {server.attempts[order][0] for order in ended if ended[order][0] == "charged"} <= set(server.effects)


async def test_a_request_that_nobody_takes_in_leaves_nothing_for_the_garbage_collection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        bank = bank_at(f"http://127.0.0.1:{deaf.getsockname()[1]}", Bank)
        async with bank.client:
            with pytest.raises(AttemptFailed, match="WriteTimeout"):
                await bank.request(
                    Attempt("00ff", 1, "paying", "a", 2.0), "POST", "/charges", content=bytes(20_000_000)
                )
    gc.collect()


async def test_a_closing_runtime_waits_no_longer_than_its_grace_and_the_next_one_asks_again(tmp_path: Path) -> None:
    hasty = Settings(shutdown=ShutdownSettings(grace_s=0.05))
    with rough_server({"a": ["silent"]}) as server:
        bank = bank_at(server.address)
        open_again = partial(open_runtime, tmp_path / "j.db", processes=[Paying], gateways=[bank], settings=hasty)
        async with bank.client:
            async with open_again() as runtime:
                await runtime.publish(Ordered("a"))
                assert await trio.to_thread.run_sync(server.asked.wait, 30)
                began = trio.current_time()
            assert trio.current_time() - began < 20
            async with open_again() as runtime:
                assert await runtime.flow(Paying, "a").wait_ended(30) == "charged"
        assert [len(set(server.attempts["a"])), len(server.attempts["a"]), len(server.effects)] == [1, 2, 1]


@pytest.mark.needs("openssl", "apt-get install openssl")
async def test_a_certificate_that_nobody_vouches_for_is_no_answer(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    assert openssl is not None
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*made, "-keyout", "key.pem", "-out", "crt.pem"], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt.pem", tmp_path / "key.pem")
    listening = Listening(("127.0.0.1", 0), BaseHTTPRequestHandler)
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    server = RoughServer(port=listening.server_address[1], scheme="https")
    with served(listening):
        ended = await run(server, ["a"], tmp_path / "j.db")
    assert ended["a"][0] == "unknown"
    assert "CERTIFICATE_VERIFY_FAILED" in ended["a"][1]
