"""Flows over HTTP: found, shown, explained, and repaired."""

from __future__ import annotations

import httpx
import pytest

from tests.daemon.http.served import ParcelOpened, ParcelSent, Served, faults_of, served

SAID = {"by": "ann", "why": "it was wet"}


async def in_quarantine(http: Served, key: str) -> None:
    await http.runtime.publish([ParcelSent(key), ParcelOpened(key)])
    while (await http.runtime.flow("parcel", key).summary()).status != "quarantined":
        await http.runtime.events()


async def act(http: Served, path: str, **said: object) -> httpx.Response:
    return await http.client.post(f"/v1/{path}", json={**SAID, **said})


async def test_flows_come_page_by_page_each_once() -> None:
    async with served() as http:
        await http.runtime.publish([ParcelSent(f"p{number}") for number in range(5)])
        await http.runtime.drain()
        keys: list[str] = []
        cursor: int | None = 0
        while cursor is not None:
            page = (await http.client.get("/v1/flows", params={"limit": 2, "cursor": cursor})).json()
            keys += [flow["key"] for flow in page["flows"]]
            cursor = page["next"]
        assert keys == [f"p{number}" for number in range(5)]


async def test_flows_are_filtered_and_aggregates_are_none() -> None:
    async with served() as http:
        await http.client.post("/v1/commands/shelf.put", json={"data": {"shelf": "s1"}})
        await http.runtime.publish([ParcelSent("p1"), ParcelSent("heavy1"), ParcelSent("p2")])
        await http.runtime.flow("parcel", "p1").wait_ended()
        await http.runtime.flow("parcel", "p2").wait_ended()
        for query, keys in (
            ("", ["p1", "heavy1", "p2"]),
            ("status=active", ["heavy1"]),
            ("outcome=completed&key_prefix=p2", ["p2"]),
            ("process=letter", []),
        ):
            page = (await http.client.get(f"/v1/flows?{query}")).json()
            assert ([flow["key"] for flow in page["flows"]], page["next"]) == (keys, None)


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("limit=0", "?limit"),
        ("limit=1001", "?limit"),
        ("limit=many", "?limit"),
        ("limit=1&limit=2", "?limit"),
        ("cursor=-1", "?cursor"),
        ("status=asleep", "?status"),
        ("colour=red", "?"),
    ],
)
async def test_a_query_that_does_not_fit_is_refused_with_the_field(query: str, fault: str) -> None:
    async with served() as http:
        response = await http.client.get(f"/v1/flows?{query}")
        assert (response.status_code, faults_of(response)) == (400, [fault])


@pytest.mark.parametrize("key", ["p1", "a/b", "a b%2F", "why", "..", "käse", "?x"])
async def test_a_flow_is_found_by_its_key_whatever_that_is(key: str) -> None:
    async with served() as http:
        await http.runtime.publish(ParcelSent(key))
        await http.runtime.flow("parcel", key).wait_ended()
        path = "/v1/flows/parcel/" + "".join(f"%{byte:02x}" for byte in key.encode())
        flow = (await http.client.get(path)).json()
        assert (flow["key"], flow["status"], flow["version"]) == (key, "ended", 2)
        history = (await http.client.get(f"{path}/history")).json()
        assert [entry["type"] for entry in history["timeline"]] == ["parcel.sent", "parcel.carried"]
        assert [command["state"] for command in history["commands"]] == ["answered"]
        why = (await http.client.get(f"{path}/why", params={"what": "parcel.carried"})).json()
        assert [cause["kind"] for cause in why["causes"]] == ["event", "step", "command", "event"]
        assert (await http.client.get(f"{path}/why-not")).json()["ended"]["outcome"] == "completed"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("parcel/p9", 404),
        ("letter/p9", 404),
        ("shelf/s1", 404),
        ("parcel/p9/history", 404),
        ("parcel/p9/why?what=1", 404),
        ("parcel/p9/why-not", 404),
        ("parcel/%ff", 400),
        ("parcel/p9/why", 400),
        ("parcel", 404),
    ],
)
async def test_what_is_not_there_is_not_found(path: str, status: int) -> None:
    async with served() as http:
        response = await http.client.get(f"/v1/flows/{path}")
        assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")


async def test_a_flow_in_quarantine_is_explained_and_skipped_and_goes_on() -> None:
    async with served() as http:
        await in_quarantine(http, "heavy1")
        why_not = (await http.client.get("/v1/flows/parcel/heavy1/why-not")).json()
        assert "it is not what it says" in why_not["quarantined"]
        done = (await act(http, "flows/parcel/heavy1/skip")).json()
        assert (done["act"], done["by"], done["reason"], done["status"]) == ("skip", "ann", "it was wet", "active")


async def test_retry_and_release_run_the_event_again() -> None:
    async with served() as http:
        await in_quarantine(http, "heavy1")
        for verb in ("retry", "release"):
            assert (await act(http, f"flows/parcel/heavy1/{verb}")).json()["act"] == verb
            await in_quarantine(http, "heavy1")


async def test_a_flow_is_cancelled_and_its_act_is_in_the_journal() -> None:
    async with served() as http:
        await http.runtime.publish(ParcelSent("heavy1"))
        done = (await act(http, "flows/parcel/heavy1/cancel", force=True)).json()
        assert (done["status"], done["outcome"]) == ("cancelled", "cancelled")
        (recorded,) = await http.runtime.events(done["position"] - 1, limit=1)
        assert recorded.envelope.type.startswith("procession.")


@pytest.mark.parametrize(
    ("path", "said", "status", "faults"),
    [
        ("flows/parcel/p9/retry", {}, 404, []),
        ("flows/parcel/p1/retry", {}, 409, []),
        ("flows/parcel/p1/retry", {"why": " "}, 400, ["$.why"]),
        ("flows/parcel/p1/retry", {"by": 7}, 400, ["$.by"]),
        ("flows/parcel/p1/retry", {"force": True}, 400, ["$"]),
        ("flows/parcel/p1/retry", {"command": "xyz"}, 422, []),
        ("flows/parcel/p1/retry", {"command": "00" * 16}, 409, []),
        ("gateways/trains/pause", {}, 404, []),
        ("gateways/carriers/pause", {"by": ""}, 400, ["$.by"]),
        ("processes/letter/resume", {}, 404, []),
    ],
)
async def test_an_act_that_does_not_fit_is_refused(
    path: str, said: dict[str, object], status: int, faults: list[str]
) -> None:
    async with served() as http:
        await http.runtime.publish(ParcelSent("p1"))
        response = await act(http, path, **said)
        assert (response.status_code, faults_of(response)) == (status, faults), response.text


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
        (b"", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"by=ann&why=x", "application/x-www-form-urlencoded", 415),
        (b"[" * 100, "application/json", 400),
    ],
)
async def test_a_body_that_is_no_act_is_refused(body: bytes, media: str, status: int) -> None:
    async with served() as http:
        headers = {"Content-Type": media}
        response = await http.client.post("/v1/flows/parcel/p1/retry", content=body, headers=headers)
        assert response.status_code == status, response.text


async def test_a_gateway_is_paused_and_resumed() -> None:
    async with served() as http:
        assert (await act(http, "gateways/carriers/pause")).json() == {"gateway": "carriers", "paused": True}
        (state,) = (await http.client.get("/v1/gateways")).json()["gateways"]
        assert (state["name"], state["paused"]) == ("carriers", True)
        await http.runtime.publish(ParcelSent("p1"))
        assert (await act(http, "gateways/carriers/resume")).json() == {"gateway": "carriers", "paused": False}
        await http.runtime.flow("parcel", "p1").wait_ended(timeout_s=30)


async def test_a_process_goes_on() -> None:
    async with served() as http:
        assert (await act(http, "processes/parcel/resume")).json() == {"process": "parcel", "paused": False}
