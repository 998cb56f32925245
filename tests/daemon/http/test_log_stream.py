"""The log over HTTP: what is kept of it, for whom, and how a client goes on where it was."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from procession.daemon.log_lines import JsonLines
from procession.daemon.log_ring import LogRing
from procession.http_settings import HttpSettings
from procession.telemetry.trace_context import Context, within
from tests.daemon.http.guarded import guarded
from tests.daemon.http.served import ParcelOpened, ParcelSent, served

PATH = "/v1/logs/stream"
logger = logging.getLogger("procession.tested")


@pytest.fixture(autouse=True)
def everything() -> Iterator[None]:
    """The package logs all, as `[log] level = "DEBUG"` would have it."""
    package = logging.getLogger("procession")
    was = package.level
    package.setLevel(logging.DEBUG)
    yield
    package.setLevel(was)


def records_in(text: str) -> list[dict[str, Any]]:
    """What stands in the messages of a stream, with their ids; of one without an id, what was missed."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
        if "data" in fields:
            found.append({**json.loads(fields["data"]), "id": fields.get("id")})
    return found


async def asked(client: httpx.AsyncClient, last: str | None = None, **query: str) -> list[dict[str, Any]]:
    """The records that are there now."""
    headers = {} if last is None else {"Last-Event-ID": last}
    answer = await client.get(PATH, params={"follow": "no", **query}, headers=headers)
    assert answer.status_code == 200, answer.text
    return records_in(answer.text)


def messages(records: list[dict[str, Any]]) -> list[str]:
    return [record["message"] for record in records if record["logger"] == logger.name]


async def test_what_was_logged_is_told_oldest_first_with_its_flow_and_its_trace() -> None:
    async with served() as http:
        logger.info("hello %s", "ann")
        with within("parcel/p1", Context(1, 2)):
            logger.warning("it is wet")
        found = [record for record in await asked(http.client) if record["logger"] == logger.name]
    assert [(one["level"], one["message"], one["flow"]) for one in found] == [
        ("INFO", "hello ann", None),
        ("WARNING", "it is wet", "parcel/p1"),
    ]
    assert (found[1]["trace_id"], found[1]["span_id"]) == (f"{1:032x}", f"{2:016x}")


async def test_a_flow_that_was_set_aside_is_found_by_its_name_traced_or_not() -> None:
    async with served(grace_s=0) as http:
        await http.runtime.publish([ParcelSent("heavy1"), ParcelOpened("heavy1"), ParcelSent("p2")])
        while (await http.runtime.flow("parcel", "heavy1").summary()).status != "quarantined":
            pass
        found = await asked(http.client, flow="parcel/heavy1", level="WARNING")
        other = await asked(http.client, flow="parcel/p2")
    assert [record["flow"] for record in found] == ["parcel/heavy1"]
    assert "it is not what it says" in found[0]["message"]
    assert other == []


async def test_what_is_below_the_level_is_not_told() -> None:
    async with served() as http:
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logger.log(level, logging.getLevelName(level))
        assert messages(await asked(http.client, level="WARNING")) == ["WARNING", "ERROR"]


async def test_a_client_goes_on_where_it_was_and_hears_what_it_missed() -> None:
    async with served(http=HttpSettings(log_records_max=10)) as http:
        logger.info("first")
        (first,) = [record for record in await asked(http.client) if record["message"] == "first"]
        logger.info("second")
        assert messages(await asked(http.client, first["id"])) == ["second"]
        for number in range(20):
            logger.info("%d", number)
        missed, *rest = await asked(http.client, first["id"])
    assert (missed["missed"], missed["id"], len(rest)) == (11, None, 10)
    assert [record["message"] for record in rest] == [str(number) for number in range(10, 20)]


async def test_an_id_of_a_process_that_was_before_begins_anew_and_one_that_is_none_is_refused() -> None:
    async with served() as http:
        logger.info("first")
        assert "first" in messages(await asked(http.client, "00000000-999999"))
        wrong = await http.client.get(PATH, headers={"Last-Event-ID": "7"})
        assert (wrong.status_code, wrong.json()["fields"][0]["path"]) == (400, "Last-Event-ID")


async def test_records_of_any_thread_come_as_they_are_logged_until_the_server_ends() -> None:
    async with served() as http:
        with trio.fail_after(15):
            async with http.client.stream("GET", PATH) as response:
                pieces = response.aiter_text()
                await anext(pieces)
                thread = threading.Thread(target=logger.info, args=("from a thread",))
                thread.start()
                text = ""
                while "from a thread" not in text:
                    text = await anext(pieces)
                http.closing.set()
                async for _ in pieces:
                    pass
            await http.closed.wait()
    thread.join()
    assert "from a thread" in messages(records_in(text))


async def test_half_a_character_in_the_log_breaks_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("procession"), "propagate", False)  # pytest-xdist can't report it
    async with served() as http:
        logger.info("half: %s", "\ud800")
        try:
            raise ValueError("\ud800")  # noqa: TRY301 - it is logged
        except ValueError:
            logger.exception("and in an error")
        assert messages(await asked(http.client)) == ["half: \\ud800", "and in an error"]


async def test_a_log_that_nobody_keeps_is_refused_and_readers_are(tmp_path: Path) -> None:
    async with guarded(tmp_path) as http:
        assert (await http.ask("GET", PATH, http.texts["reader"])).status == 403
        unkept = await http.ask("GET", PATH, http.texts["operator"])
        assert (unkept.status, b"is not kept" in unkept.body) == (409, True)


def test_a_record_tells_no_credentials_and_is_cut() -> None:
    ring = LogRing(10)
    with ring.kept():
        failure = ValueError("postgres://ann:tellme@db/orders " + "y" * 20_000)
        logger.error("can't reach postgres://ann:tellme@db/orders %s", "x" * 20_000, exc_info=failure)
    logger.info("when it is not kept any more")
    (record,), missed = ring.after(0)
    assert "tellme" not in str(record)
    assert record.message.startswith("can't reach postgres://•••@db/orders")
    assert record.error is not None
    assert (len(record.message), len(record.error)) < (2_100, 8_100)
    assert (missed, ring.number) == (0, 1)


def test_a_line_of_the_log_names_the_flow_that_it_is_about() -> None:
    record = logger.makeRecord(logger.name, logging.INFO, "", 0, "hello", (), None, extra={"flow": "order/1"})
    assert json.loads(JsonLines().format(record))["flow"] == "order/1"
