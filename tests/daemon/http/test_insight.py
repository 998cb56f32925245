"""One flow understood over HTTP."""

from __future__ import annotations

import pytest

from procession.reading.flow_file import read_flow_file
from tests.daemon.http.served import ParcelSent, served


async def test_a_flow_tells_its_states_and_its_sequence_in_every_form() -> None:
    async with served() as http:
        await http.runtime.publish(ParcelSent("p/1"))
        await http.runtime.flow("parcel", "p/1").wait_ended()
        path = "/v1/flows/parcel/p%2F1"
        state = (await http.client.get(f"{path}/states", params={"at": 1})).json()
        assert (state["type"], state["handler"], state["last"], state["changes"]) == ("parcel.sent", "carry", 2, [])
        assert (await http.client.get(f"{path}/states", params={"at": 3})).status_code == 404
        drawn = (await http.client.get(f"{path}/sequence")).json()
        assert [message["kind"] for message in drawn["messages"]] == ["event", "command", "answer", "ended"]
        picture = await http.client.get(f"{path}/sequence", params={"format": "svg"})
        assert (picture.headers["content-type"], picture.text[:4]) == ("image/svg+xml", "<svg")
        mermaid = await http.client.get(f"{path}/sequence", params={"format": "mermaid"})
        assert mermaid.text.startswith("sequenceDiagram\n")


async def test_a_flow_is_exported_whole_or_as_a_fork() -> None:
    async with served() as http:
        await http.runtime.publish(ParcelSent("p1"))
        await http.runtime.flow("parcel", "p1").wait_ended()
        whole = await http.client.get("/v1/flows/parcel/p1/export")
        fork = await http.client.get("/v1/flows/parcel/p1/export", params={"at": 1})
        files = [read_flow_file(answer.content.splitlines()) for answer in (whole, fork)]
        assert [(file.flow.version, file.flow.status) for file in files] == [(2, "ended"), (1, "active")]
        assert (await http.client.get("/v1/flows/parcel/p9/export")).status_code == 404


@pytest.mark.slow
async def test_a_what_if_tells_what_would_differ_and_writes_nothing() -> None:
    async with served() as http:
        await http.runtime.publish(ParcelSent("p1"))
        await http.runtime.flow("parcel", "p1").wait_ended()
        before = await http.runtime.journal.heads()
        path = "/v1/flows/parcel/p1/what-if"
        found = (await http.client.post(path, json={"edits": [{"kind": "drop", "at": 2}]})).json()
        assert (found["outcome_before"], found["outcome_after"]) == ("completed", None)
        assert await http.runtime.journal.heads() == before


async def test_a_what_if_that_does_not_fit_is_refused() -> None:
    async with served() as http:
        await http.runtime.publish(ParcelSent("p1"))
        await http.runtime.flow("parcel", "p1").wait_ended()
        path = "/v1/flows/parcel/p1/what-if"
        for edits, status in (([], 422), ([{"kind": "drop", "at": 9}], 422), ([{"kind": "mend", "at": 1}], 400)):
            assert (await http.client.post(path, json={"edits": edits})).status_code == status


async def test_a_process_tells_its_steps_with_the_flows_at_each() -> None:
    async with served() as http:
        await http.runtime.publish(ParcelSent("p1"))
        await http.runtime.flow("parcel", "p1").wait_ended()
        drawn = (await http.client.get("/v1/processes/parcel/diagram")).json()
        assert {stage["id"]: stage["waiting"] for stage in drawn["stages"]}["end:completed"] == 1
        picture = await http.client.get("/v1/processes/parcel/diagram", params={"format": "svg"})
        assert picture.headers["content-type"] == "image/svg+xml"
        assert (await http.client.get("/v1/processes/letter/diagram")).status_code == 404
