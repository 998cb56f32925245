"""The overview: where all stands, one snapshot for all who look, counted as seldom as it is dear."""

from __future__ import annotations

import json
from typing import Any

import attrs
import httpx
import trio
import trio.testing

from procession import Settings, open_runtime
from procession.daemon.http.app import http_app
from procession.daemon.http.sampling import HISTORY_POINTS_MAX, SERIES, Sampler
from procession.daemon.http.source import About, JournalFile
from procession.errors import RuntimeClosed
from procession.journal.memory import MemoryJournal
from procession.journal.rows import FlowQuery, FlowRow
from procession.primitives.registry import Registry
from tests.daemon.http.served import Carriers, Parcel, ParcelOpened, ParcelSent, served


class CountedJournal(MemoryJournal):
    """Notes how often its flows are counted, and takes its time."""

    counted = 0
    takes_s = 0.0
    broken = False

    async def flows(self, query: FlowQuery, after_flow: int, limit: int) -> list[FlowRow]:
        if query.status and len(query.status) > 1 and after_flow == 0:
            self.counted += 1
            await trio.sleep(self.takes_s)
            if self.broken:
                raise RuntimeClosed
        return await super().flows(query, after_flow, limit)


def file_of(journal: MemoryJournal) -> JournalFile:
    about = About("file", "here.db", immutable=False, no_classes="there are none", version="1")
    return JournalFile(journal, Registry(), Settings(), 0, about)


def numbers(snapshot: dict[str, Any]) -> dict[str, int]:
    return {f"{one['process']}/{one['status']}": one["number"] for one in snapshot["counted"]["flows"]}


async def test_it_tells_where_flows_gateways_and_projections_stand() -> None:
    async with served() as http:
        await http.runtime.publish([ParcelSent("p1"), ParcelSent("heavy"), ParcelOpened("heavy")])
        await http.runtime.flow(Parcel, "p1").wait_ended()
        found = (await http.client.get("/v1/overview")).json()
        assert numbers(found) == {"parcel/ended": 1, "parcel/quarantined": 1}
        assert [flow["key"] for flow in found["counted"]["quarantine"]] == ["heavy"]
        assert "it is not what it says" in found["counted"]["quarantine"][0]["reason"]
        assert [gateway["name"] for gateway in found["gateways"]] == ["carriers"]
        assert [info["name"] for info in found["projections"]] == ["parcel_count"]
        assert found["tree"]["name"] == "runtime"
        assert found["about"]["kind"] == "runtime"
        assert found["counters"]["procession_flows_started"] == 2


async def test_a_stream_has_a_snapshot_each_second_with_rates_and_ends_with_the_server(
    mock_clock: trio.testing.MockClock,
) -> None:
    async with served() as http:
        async with http.client.stream("GET", "/v1/overview/stream") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            pieces = response.aiter_text()
            text = await anext(pieces)
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(1)
            while text.count("data: ") < 2:
                text += await anext(pieces)
            http.closing.set()
            text += "".join([piece async for piece in pieces])
        await http.closed.wait()
    snapshots = [json.loads(one.removeprefix("data: ")) for one in text.strip().split("\n\n")]
    assert len(snapshots) == 2
    assert len(snapshots[-1]["point"]) == 1 + len(SERIES)


async def test_all_who_look_at_one_moment_get_the_same_snapshot(autojump_clock: trio.testing.MockClock) -> None:
    journal = CountedJournal()
    sampler = Sampler(file_of(journal))
    texts: list[bytes] = []

    async def look() -> None:
        texts.append(await sampler.now())

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(look)
    assert len(set(texts)) == 1
    assert journal.counted == 1
    await trio.sleep(1)
    await look()
    assert journal.counted == 2


async def test_what_is_dear_to_count_is_counted_seldom(autojump_clock: trio.testing.MockClock) -> None:
    journal = CountedJournal()
    journal.takes_s = 0.5
    sampler = Sampler(file_of(journal))
    for _ in range(100):
        await sampler.now()
        await trio.sleep(1)
    assert 3 <= journal.counted <= 5


async def test_nothing_is_counted_while_nobody_looks(autojump_clock: trio.testing.MockClock) -> None:
    journal = CountedJournal()
    sampler = Sampler(file_of(journal))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sampler.keep)
        await sampler.now()
        await trio.sleep(11)
        seen = journal.counted
        await trio.sleep(1_000)
        assert journal.counted <= seen + 1
        nursery.cancel_scope.cancel()


async def test_a_journal_that_cant_be_read_is_told_and_looked_at_again(autojump_clock: trio.testing.MockClock) -> None:
    journal = CountedJournal()
    sampler = Sampler(file_of(journal))
    journal.broken = True
    assert json.loads(await sampler.now())["counted"]["failed"] == str(RuntimeClosed())
    journal.broken = False
    await trio.sleep(2)
    assert json.loads(await sampler.now())["counted"]["failed"] == ""


async def test_samples_are_kept_for_whoever_comes_later(autojump_clock: trio.testing.MockClock) -> None:
    async with (
        open_runtime(MemoryJournal(), processes=[Parcel], gateways=[Carriers()]) as runtime,
        trio.open_nursery() as nursery,
    ):
        sampler = Sampler(runtime)
        nursery.start_soon(sampler.keep)
        await trio.sleep(3_000)
        points = sampler.history()
        assert len(points) == HISTORY_POINTS_MAX
        assert {len(point) for point in points} == {1 + len(SERIES)}
        nursery.cancel_scope.cancel()


# A file in place of a runtime.


def client_of(source: JournalFile) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(http_app(source)), base_url="http://localhost")


async def asked(source: JournalFile, *paths: str) -> list[tuple[int, dict[str, Any]]]:
    async with client_of(source) as client:
        answers = [await client.get(path) for path in paths]
    return [(answer.status_code, answer.json()) for answer in answers]


async def test_a_file_answers_what_can_be_read_and_refuses_what_only_a_runtime_can_do() -> None:
    journal = MemoryJournal()
    async with open_runtime(journal, processes=[Parcel], gateways=[Carriers()]) as runtime:
        await runtime.publish([ParcelSent("p1")])
        await runtime.flow(Parcel, "p1").wait_ended()
        source = file_of(journal)
        paths = (
            "/v1/overview",
            "/v1/flows",
            "/v1/flows/parcel/p1/history",
            "/v1/flows/parcel/p1/why-not",
            "/v1/search",
        )
        answers = await asked(source, *paths, "/v1/flows/parcel/p1/why?what=parcel.carry", "/v1/flows/parcel/none")
        assert [status for status, _ in answers] == [200] * 6 + [404]
        assert answers[0][1]["about"] == attrs.asdict(source.about)
        assert numbers(answers[0][1]) == {"parcel/ended": 1}
        async with client_of(source) as client:
            refused = await client.post("/v1/flows/parcel/p1/cancel", json={"by": "ann", "why": "to see"})
        assert refused.status_code == 409
        assert "a journal's file is looked at, and no runtime has it; run `procession run`" in refused.json()["detail"]


async def test_without_classes_no_law_was_checked_and_that_is_said() -> None:
    ((status, found),) = await asked(file_of(MemoryJournal()), "/v1/laws")
    assert (status, found["unchecked"]) == (200, "the classes of the flows are not at hand")


async def test_the_laws_tell_what_the_check_finds() -> None:
    async with served() as http:
        found = (await http.client.get("/v1/laws")).json()
    assert found["unchecked"] == ""
    assert found["processes"] == 1
    assert [finding["file"] for finding in found["findings"] if finding["file"] != "served.py"] == []
