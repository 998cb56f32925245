"""Flows found over HTTP by a search."""

from __future__ import annotations

from tests.daemon.http.served import ParcelSent, faults_of, served


async def test_a_search_finds_flows_page_by_page_counts_them_and_completes() -> None:
    async with served() as http:
        await http.client.post("/v1/commands/shelf.put", json={"data": {"shelf": "s1"}})
        await http.runtime.publish([ParcelSent(f"p{number}") for number in range(5)])
        await http.runtime.drain()
        keys: list[str] = []
        cursor: int | None = 0
        while cursor is not None:
            params: dict[str, str | int] = {"q": "outcome:completed age<1h", "limit": 2, "cursor": cursor}
            page = (await http.client.get("/v1/search", params=params)).json()
            assert page["query"] == "outcome:completed age<1h"
            keys += [flow["key"] for flow in page["flows"]]
            cursor = page["next"]
        assert keys == [f"p{number}" for number in reversed(range(5))]
        assert (await http.client.get("/v1/search/count")).json() == {"number": 5, "more": False}
        done = (await http.client.get("/v1/search/complete", params={"q": "process:par"})).json()
        assert (done["start"], done["suggestions"][0]["text"]) == (8, "parcel")


async def test_a_search_that_can_not_be_read_is_refused_at_its_place() -> None:
    async with served() as http:
        response = await http.client.get("/v1/search", params={"q": "status:asleep"})
        assert (response.status_code, faults_of(response), response.json()["position"]) == (400, ["?q"], 7)
