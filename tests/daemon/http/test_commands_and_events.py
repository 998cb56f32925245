"""Commands to aggregates, events by position, and projections, over HTTP."""

from __future__ import annotations

import pytest

from tests.daemon.http.served import ParcelSent, served


async def test_an_aggregate_decides_a_command_once_for_its_id() -> None:
    async with served() as http:
        sent = {"data": {"shelf": "s1"}, "id": "1", "source": "test"}
        first = (await http.client.post("/v1/commands/shelf.put", json=sent)).json()
        again = (await http.client.post("/v1/commands/shelf.put", json=sent)).json()
        assert first["events"] == [{"type": "shelf.shelved", "version": 1, "data": {"shelf": "s1"}}]
        assert (first["refusal"], first["duplicate"]) == (None, False)
        assert again == {**first, "duplicate": True}


async def test_the_no_of_an_aggregate_is_an_answer() -> None:
    async with served() as http:
        for _ in range(2):
            response = await http.client.post("/v1/commands/shelf.put", json={"data": {"shelf": "s1"}})
        assert response.status_code == 200
        assert response.json()["refusal"] == {"type": "shelf.no_room", "version": 1, "data": {"free": 0}}


@pytest.mark.parametrize(
    ("name", "body", "status", "says"),
    [
        ("shelf.pt", {"data": {}}, 404, "no command"),
        ("shelf.put", {"data": {}}, 422, "$.shelf"),
        ("shelf.put", {"data": {"shelf": "s1", "parcels": "two"}}, 422, "$.parcels"),
        ("shelf.put", {"data": []}, 400, "$.data"),
        ("shelf.put", {}, 400, "data"),
        ("shelf.put", {"data": {"shelf": "s1"}, "id": ""}, 422, "its id"),
        ("parcel.carry", {"data": {"parcel": "p1"}}, 422, "goes to the gateway"),
    ],
)
async def test_a_command_that_can_not_be_decided_is_refused(
    name: str, body: dict[str, object], status: int, says: str
) -> None:
    async with served() as http:
        response = await http.client.post(f"/v1/commands/{name}", json=body)
        assert (response.status_code, says in response.json()["detail"]) == (status, True), response.text


async def test_events_come_page_by_page_in_order_of_position() -> None:
    async with served() as http:
        await http.runtime.publish([ParcelSent("p1", 1), ParcelSent("p2", 2), ParcelSent("p3", 3)])
        await http.runtime.drain()
        path = "/v1/events?type=parcel.sent&type=parcel.opened&limit=2"
        first = (await http.client.get(path)).json()
        last = (await http.client.get(f"{path}&after={first['next']}")).json()
        assert [event["data"]["grams"] for event in first["events"] + last["events"]] == [1, 2, 3]
        assert last["next"] is None
        every = (await http.client.get("/v1/events")).json()["events"]
        assert [event["position"] for event in every] == sorted(event["position"] for event in every)


async def test_projections_say_where_they_stand() -> None:
    async with served() as http:
        position = await http.runtime.publish(ParcelSent("p1"))
        await http.runtime.query("parcel_count", "select * from parcels", at_least=position)
        (found,) = (await http.client.get("/v1/projections")).json()["projections"]
        assert (found["name"], found["version"], found["position"] >= position) == ("parcel_count", 1, True)
