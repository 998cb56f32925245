"""Publishing over HTTP: the three modes of CloudEvents, duplicates, refusals with what to do, overload."""

from __future__ import annotations

import gc
import json

import httpx
import jsonschema  # type: ignore[import-untyped]  # it has no types, and its stubs are a package of their own
import pytest
import trio
import trio.testing

from procession.http_settings import HttpSettings
from procession.primitives.cloudevents import BATCH, STRUCTURED
from procession.primitives.outside import Outside
from procession.settings import IntakeSettings
from procession.testing.faults import FaultyJournal
from tests.daemon.http.served import ParcelSent, Served, cloud_event, raw, served


def sent(number: int) -> dict[str, object]:
    return cloud_event("parcel.sent", str(number), {"parcel": f"p{number}", "grams": number})


async def post(http: Served, content: object, media: str = STRUCTURED, **headers: str) -> httpx.Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return await http.client.post("/v1/events", content=body, headers={"Content-Type": media, **headers})


async def test_a_structured_event_is_durable_when_the_answer_comes_and_known_when_it_comes_again() -> None:
    async with served() as http:
        first, again = [(await post(http, sent(1))).json()["events"] for _ in range(2)]
        (recorded,) = await http.runtime.events(types=["parcel.sent"])
        assert first == [{"id": "1", "source": "test", "position": recorded.position, "duplicate": False}]
        assert again == [{"id": "1", "source": "test", "position": recorded.position, "duplicate": True}]
        assert await http.runtime.flow("parcel", "p1").wait_ended() == "completed"


async def test_a_binary_event_is_what_its_headers_and_body_say() -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "caf%C3%A9", "ce-source": "/shop", "ce-type": "parcel.sent"}
    async with served() as http:
        response = await post(http, {"parcel": "p1"}, "application/json; charset=utf-8", **headers)
        assert response.json()["events"][0]["id"] == "café"
        (recorded,) = await http.runtime.events(types=["parcel.sent"])
        assert (recorded.event, recorded.envelope.source) == (ParcelSent("p1"), "/shop")


async def test_a_request_that_is_traced_hands_its_trace_to_events_that_bring_none() -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"
    async with served() as http:
        own = {**sent(2), "traceparent": parent.replace("b7", "aa") + "1"}
        await post(http, [sent(1), own], BATCH, traceparent=parent + "1")
        await post(http, sent(3), traceparent=parent + "0")
        await post(http, sent(4), traceparent="nonsense")
        found = [recorded.envelope.trace for recorded in await http.runtime.events(types=["parcel.sent"])]
    assert found == [parent + "1", own["traceparent"], None, None]


async def test_a_batch_is_answered_in_its_order() -> None:
    async with served() as http:
        await post(http, sent(2))
        response = await post(http, [sent(1), sent(2), sent(3)], BATCH)
        assert [(one["id"], one["duplicate"]) for one in response.json()["events"]] == [
            ("1", False),
            ("2", True),
            ("3", False),
        ]


async def test_of_a_batch_those_that_can_be_accepted_are_and_each_hears_what_became_of_it() -> None:
    async with served() as http:
        response = await post(http, [sent(1), {**sent(2), "type": "parcel.snt"}, sent(3)], BATCH)
        assert response.status_code == 422
        assert ["position" in one for one in response.json()["events"]] == [True, False, True]
        assert len(await http.runtime.events(types=["parcel.sent"])) == 2


@pytest.mark.parametrize(
    ("content", "media", "status", "says"),
    [
        (b"{", STRUCTURED, 400, "no JSON"),
        ({"id": "1"}, STRUCTURED, 400, "has no specversion"),
        ({"parcel": "p1"}, "application/json", 400, "has no specversion"),
        (b"[" * 65, STRUCTURED, 400, "deep"),
        (b'"' + b'\\"' * 50_000 + b"[" * 100, STRUCTURED, 400, "no JSON"),
        ({}, "text/plain", 415, "text/plain"),
        ({}, "", 415, "not said"),
        ({**sent(1), "data": {"parcel": 7}}, STRUCTURED, 422, "$.parcel"),
        ({**sent(1), "type": "parcel.snt"}, STRUCTURED, 422, "not known here"),
        (b"x" * 2_000, STRUCTURED, 413, "http.body_bytes_max"),
        ([sent(number) for number in range(6)], BATCH, 413, "intake.publish_batch_max"),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_what_is_wrong_is_refused_with_what_to_do(content: object, media: str, status: int, says: str) -> None:
    limits = HttpSettings(body_bytes_max=1_500 if status == 413 else 1_000_000)
    async with served(http=limits, intake=IntakeSettings(publish_batch_max=5)) as http:
        response = await post(http, content, media)
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/problem+json"
        assert says in response.json()["detail"]
        assert await http.runtime.events() == []


async def test_the_same_id_with_other_content_is_a_conflict() -> None:
    async with served() as http:
        await post(http, sent(1))
        response = await post(http, {**sent(1), "data": {"parcel": "other"}})
        assert (response.status_code, response.json()["type"]) == (409, "urn:procession:problem:IdReused")


async def test_a_binary_event_with_a_header_twice_is_refused() -> None:
    headers = [("ce-id", "1"), ("ce-id", "2"), ("Content-Type", "application/json")]
    async with served() as http:
        response = await http.client.post("/v1/events", content=b"{}", headers=headers)
        assert (response.status_code, "ce-id comes twice" in response.text) == (400, True)


async def test_a_body_without_a_length_is_bounded_too() -> None:
    async with served(http=HttpSettings(body_bytes_max=1_024)) as http:
        head = f"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: {STRUCTURED}\r\n"
        body = b"800\r\n" + b" " * 2_048 + b"\r\n"
        found = await raw(http, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + body)
        assert found.startswith(b"HTTP/1.1 413")


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async with served(http=HttpSettings(body_s=0.1)) as http:
        head = f"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: {STRUCTURED}\r\n"
        with trio.fail_after(15):
            found = await raw(http, f"{head}Content-Length: 9\r\n\r\n".encode())
        assert found.startswith(b"HTTP/1.1 408")


async def test_an_intake_that_is_full_says_when_to_come_again() -> None:
    async with served(FaultyJournal(commit_s=0.3), intake=IntakeSettings(events_max=1)) as http:
        statuses: list[tuple[int, str | None]] = []

        async def one(number: int) -> None:
            response = await post(http, sent(number))
            statuses.append((response.status_code, response.headers.get("retry-after")))

        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(one, number)
        assert set(statuses) == {(200, None), (429, "1")}
        accepted = len([status for status, _ in statuses if status == 200])
        assert len(await http.runtime.events(types=["parcel.sent"])) == accepted


async def test_what_was_refused_is_gone_when_the_answer_is_there() -> None:
    """Not only when garbage is collected: a flood would take all memory until then."""
    refused: set[str | None] = set()
    async with served(FaultyJournal(commit_s=0.3), intake=IntakeSettings(events_max=1)) as http:

        async def one(number: int) -> None:
            event = {**sent(number), "id": f"flood/{number}"}  # as nothing else that this process holds
            if (await post(http, [event], BATCH)).status_code == 429:
                refused.add(f"flood/{number}")

        gc.collect()
        gc.disable()
        try:
            async with trio.open_nursery() as nursery:
                for number in range(8):
                    nursery.start_soon(one, number)
            kept = {one.id for one in gc.get_objects() if type(one) is Outside}  # other tests' objects lie about theirs
        finally:
            gc.enable()
    assert refused
    assert refused & kept == set()


async def test_an_attribute_that_is_null_is_as_one_that_is_not_there() -> None:
    async with served() as http:
        event = {**sent(1), "traceparent": None, "subject": None, "dataschema": None, "datacontenttype": None}
        assert (await post(http, event)).status_code == 200
        document = (await http.client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    (envelope,) = [schemas[name] for name in schemas if name.startswith("cloudevent.parcel.sent.")]
    schema = {**envelope, "components": {"schemas": schemas}}  # references are from the document's root
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(event)) == []


async def test_a_journal_that_cannot_be_written_is_service_unavailable_and_sending_again_is_safe() -> None:
    journal = FaultyJournal()
    async with served(journal) as http:
        journal.count_anew({1: "fail"})
        journal.reopens_failing = 1_000_000
        responses = [await post(http, sent(1)), await post(http, [sent(1), sent(2)], BATCH)]
        assert [(one.status_code, one.headers["retry-after"]) for one in responses] == [(503, "1"), (503, "1")]
        journal.reopens_failing = 0
        while (response := await post(http, [sent(1), sent(2)], BATCH)).status_code == 503:
            await trio.lowlevel.checkpoint()
        assert response.status_code == 200
        assert len(await http.runtime.events(types=["parcel.sent"])) == 2


async def test_what_was_begun_is_answered_while_the_server_ends(mock_clock: trio.testing.MockClock) -> None:
    journal = FaultyJournal()
    async with served(journal, grace_s=5) as http:
        statuses: list[int] = []
        journal.count_anew({})
        journal.commit_s = 1

        async def one() -> None:
            statuses.append((await post(http, sent(1))).status_code)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one)
            while not journal.commits:
                await trio.lowlevel.checkpoint()
            http.closing.set()
            await trio.testing.wait_all_tasks_blocked()
            assert statuses == []
            journal.commit_s = 0
            mock_clock.jump(1)
        assert statuses == [200]
