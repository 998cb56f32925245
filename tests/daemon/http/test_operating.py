"""What operators ask over HTTP beyond single flows: tasks, limits, many flows at once, projections, positions."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import trio

from procession import open_runtime
from procession.journal.journal import Journal
from procession.journal.memory import MemoryJournal
from tests.daemon.http.served import Served, faults_of, serving
from tests.daemon.http.shop import (
    Basket,
    BasketDropped,
    Baskets,
    BasketSent,
    Clerks,
    Line,
    Packers,
    Return,
    ReturnFiled,
    Stock,
)

SAID = {"by": "ann", "why": "they asked us to"}


@contextlib.asynccontextmanager
async def shop(journal: Journal | Path | None = None) -> AsyncIterator[Served]:
    """The shop, served."""
    async with (
        open_runtime(
            journal or MemoryJournal(),
            processes=[Basket, Return],
            gateways=[Packers(), Clerks()],
            aggregates=[Stock],
            projectors=[Baskets],
        ) as runtime,
        serving(runtime) as found,
    ):
        yield found


async def asked(http: Served, path: str, status: int = 200, /, **said: object) -> Any:  # noqa: ANN401 - JSON
    """The answer to a POST, which has this status."""
    response = await http.client.post(f"/v1/{path}", json=said)
    assert response.status_code == status, response.text
    return response.json()


async def got(http: Served, path: str) -> Any:  # noqa: ANN401 - JSON
    response = await http.client.get(f"/v1/{path}")
    assert response.status_code == 200, response.text
    return response.json()


async def in_quarantine(http: Served, *keys: str) -> None:
    await http.runtime.pause_gateway("packers", by="ann", why="they rest")
    await http.runtime.publish([event for key in keys for event in (BasketSent(key), BasketDropped(key))])
    while len(await http.runtime.flows("basket", status="quarantined")) < len(keys):
        await http.runtime.events()


async def test_a_task_is_listed_claimed_and_answered() -> None:
    async with shop() as http:
        await http.runtime.publish(ReturnFiled(7, 4200))
        await http.runtime.drain()
        (task,) = (await got(http, "tasks?assignee=bob&group=clerks"))["tasks"]
        assert (task["title"], list(task["form"]["properties"])) == ("Return 7", ["accepted", "comment"])
        claimed = await asked(http, f"tasks/{task['task_id']}/claim", by="bob")
        assert claimed == {**task, "person": "bob"} == await got(http, f"tasks/{task['task_id']}")
        answered = await asked(http, f"tasks/{task['task_id']}/answer", by="bob", answer={"accepted": True})
        assert (answered["status"], answered["settled_by"]) == ("answered", "bob")
        assert await http.runtime.flow("return", 7).wait_ended() == "completed"
        assert (await got(http, "tasks"))["tasks"] == []
        assert [one["task_id"] for one in (await got(http, "tasks?state=all"))["tasks"]] == [task["task_id"]]


async def test_a_task_is_given_to_somebody_else_and_withdrawn() -> None:
    async with shop() as http:
        await http.runtime.publish([ReturnFiled(7, 4200), ReturnFiled(8, 1)])
        await http.runtime.drain()
        page = await got(http, "tasks?limit=1")
        (task,), more = page["tasks"], page["more"]
        assert more
        given = await asked(http, f"tasks/{task['task_id']}/reassign", **SAID, person="eve")
        assert (given["person"], given["group"]) == ("eve", "")
        assert (await asked(http, f"tasks/{task['task_id']}/cancel", **SAID))["status"] == "cancelled"
        key = task["asked_by"].removeprefix("return/")
        assert await http.runtime.flow("return", key).wait_ended() == "unanswered"


async def test_an_act_on_a_task_that_does_not_fit_is_refused() -> None:
    refused: list[tuple[str, dict[str, object], int, str]] = [
        ("answer", {"by": "bob", "answer": {"accepted": "yes"}}, 422, "$.accepted"),
        ("answer", {"by": "bob", "answer": {"acepted": True}}, 422, "no field 'acepted'"),
        ("answer", {"by": " ", "answer": {"accepted": True}}, 400, "$.by"),
        ("answer", {"by": "bob", "answer": []}, 400, "$.answer"),
        ("reassign", {**SAID}, 409, "name one of them"),
        ("cancel", {"by": "bob"}, 400, "why"),
    ]
    async with shop() as http:
        await http.runtime.publish(ReturnFiled(7, 4200))
        await http.runtime.drain()
        (task,) = (await got(http, "tasks"))["tasks"]
        for act, said, status, says in refused:
            assert says in (await asked(http, f"tasks/{task['task_id']}/{act}", status, **said))["detail"]
        assert (await got(http, "tasks"))["tasks"] == [task]


async def test_there_must_be_a_task_to_act_on() -> None:
    async with shop() as http:
        assert (await http.client.get("/v1/tasks/0")).status_code == 404
        assert (await asked(http, "tasks/0/claim", 404, by="bob"))["title"] == "Not Found"


async def test_limits_of_a_gateway_hold_at_once_and_say_who_and_why() -> None:
    async with shop() as http:
        limits = {"concurrency": 2, "rate_per_s": 5, "timeout_s": 7.5}
        found = await asked(http, "gateways/packers/limits", **SAID, limits=limits)
        assert found["changed"] == ["concurrency", "rate_per_s", "timeout_s"]
        assert limits.items() <= (await got(http, "gateways/packers/limits"))["limits"].items()
        (packers, _) = (await got(http, "gateways"))["gateways"]
        assert (packers["name"], packers["concurrency"]) == ("packers", 2)
        again = await asked(http, "gateways/packers/limits", **SAID, limits={**limits, "rate_per_s": None})
        assert (again["changed"], again["limits"]["rate_per_s"]) == (["rate_per_s"], None)
        acts = (await got(http, "events?type=procession.gateway_limited"))["events"]
        assert [act["data"]["changed"] for act in acts] == [
            ["concurrency=2", "rate_per_s=5", "timeout_s=7.5"],
            ["rate_per_s=None"],
        ]
        assert (acts[0]["data"]["by"], acts[0]["data"]["why"]) == ("ann", SAID["why"])


async def test_a_limit_out_of_its_bounds_changes_nothing() -> None:
    refused: list[tuple[dict[str, object], str]] = [
        ({"concurrency": 0}, "$.limits.concurrency"),
        ({"concurrency": None}, "$.limits.concurrency"),
        ({"paused": 1}, "$.limits.paused"),
        ({"concurency": 1}, "$.limits.concurency"),
        ({"backoff_initial_s": 60, "backoff_max_s": 1}, "$.limits.backoff_initial_s"),
    ]
    async with shop() as http:
        before = await got(http, "gateways/packers/limits")
        for limits, fault in refused:
            response = await http.client.post("/v1/gateways/packers/limits", json={**SAID, "limits": limits})
            assert (response.status_code, faults_of(response)) == (422, [fault]), response.text
        assert await got(http, "gateways/packers/limits") == before
        assert (await got(http, "events?type=procession.gateway_limited"))["events"] == []


async def test_many_flows_are_counted_first_and_then_skipped_each_by_an_act_of_its_own() -> None:
    async with shop() as http:
        await in_quarantine(http, "a1", "a2", "b1")
        wanted = {**SAID, "process": "basket", "key_prefix": "a", "reason": "broken"}
        counted = await asked(http, "quarantine/skip", **wanted, dry_run=True)
        assert (counted["matched"], counted["acted"], counted["flows"]) == (2, 0, ["basket/a1", "basket/a2"])
        done = await asked(http, "quarantine/skip", **wanted)
        assert (done["matched"], done["acted"], done["refused"]) == (2, 2, [])
        assert [flow.key for flow in await http.runtime.flows(status="quarantined")] == ["b1"]
        assert len((await got(http, "events?type=procession.event_skipped"))["events"]) == 2
        assert (await asked(http, "quarantine/skip", **wanted))["matched"] == 0


async def test_a_list_and_an_act_find_a_text_of_the_reason_alike() -> None:
    async with shop() as http:
        await in_quarantine(http, "a1", "a2")
        for text, keys in {"BROKEN": ["a1", "a2"], "mended": []}.items():
            listed = (await got(http, f"flows?reason={text}"))["flows"]
            counted = await asked(http, "quarantine/skip", **SAID, reason=text, dry_run=True)
            assert [flow["key"] for flow in listed] == keys
            assert counted["flows"] == [f"basket/{key}" for key in keys]


async def test_of_many_flows_at_most_so_many_are_retried_and_released() -> None:
    async with shop() as http:
        await in_quarantine(http, "a1", "a2", "a3")
        retried = await asked(http, "quarantine/retry", **SAID, limit=2)
        assert (retried["matched"], retried["more"], retried["acted"]) == (2, True, 2)
        released = await asked(http, "quarantine/release", **SAID)
        assert (released["matched"], released["more"], released["acted"]) == (3, False, 3)


async def test_a_projection_answers_its_queries_by_name() -> None:
    async with shop() as http:
        position = await http.runtime.publish(BasketSent("b1", (Line("pen", 5),)))
        (query, _) = (await got(http, "projections/baskets"))["queries"]
        assert query == {
            "name": "larger_than",
            "about": "Baskets with more pieces than so many.",
            "parameters": [
                {"name": "pieces", "type": "int", "required": True},
                {"name": "limit", "type": "int", "required": False},
            ],
        }
        path = "projections/baskets/queries/larger_than"
        found = await asked(http, path, parameters={"pieces": 4}, at_least=int(position))
        assert (found["answer"], found["position"] >= position) == (["b1"], True)
        assert (await asked(http, path, parameters={"pieces": 5}))["answer"] == []


async def test_a_query_that_can_not_be_answered_is_refused() -> None:
    refused: list[tuple[str, dict[str, object], int, str]] = [
        ("larger_than", {}, 400, "$.parameters.pieces is missing"),
        ("larger_than", {"parameters": {"pieces": "4"}}, 400, "$.parameters.pieces"),
        ("larger_than", {"parameters": {"pieces": 1, "more": 1}}, 400, "$.parameters.more"),
        ("larger_than", {"parameters": {"pieces": 10**19}}, 422, "too large"),
        ("larger_than", {"parameters": {"pieces": 1}, "at_least": 99}, 422, "the journal ends at 0"),
        ("oddly", {}, 422, "JSON"),
        ("sent", {}, 404, "no query"),
        ("__init__", {}, 404, "no query"),
    ]
    async with shop() as http:
        for query, said, status, says in refused:
            assert says in (await asked(http, f"projections/baskets/queries/{query}", status, **said))["detail"]


async def test_a_projection_is_made_anew_with_who_and_why() -> None:
    async with shop() as http:
        await http.runtime.publish(BasketSent("b1", (Line("pen", 5),)))
        assert (await asked(http, "projections/baskets/rebuild", **SAID))["projection"] == "baskets"
        conflict = await http.client.post("/v1/projections/baskets/rebuild", json=SAID)
        assert conflict.status_code in (200, 409)
        (act, *_) = (await got(http, "events?type=procession.projection_rebuild_requested"))["events"]
        assert act["data"] == {"projection": "baskets", **SAID}
        assert (await asked(http, "projections/basket/rebuild", 404, **SAID))["title"] == "Not Found"


async def test_positions_of_journal_projections_and_streams() -> None:
    async with shop() as http:
        position = await http.runtime.publish(BasketSent("b1"))
        await http.runtime.query("baskets", "select 1", at_least=position)
        host, port = http.address.removeprefix("http://").rsplit(":", 1)
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            query = "after=0&type=basket.sent"
            await stream.send_all(f"GET /v1/events/stream?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            found = await got(http, "positions")
            while not any(one["position"] >= position for one in found["streams"]):
                found = await got(http, "positions")
        assert found["position"] >= position
        assert [(one["name"], one["position"] >= position) for one in found["projections"]] == [("baskets", True)]
        assert [(one["position"] >= position, one["type"]) for one in found["streams"]] == [(True, ["basket.sent"])]


async def test_processes_and_types_are_listed() -> None:
    async with shop() as http:
        processes = (await got(http, "processes"))["processes"]
        assert processes[0] == {
            "name": "basket",
            "about": "One basket on its way.",
            "paused": False,
            "starts": ["basket.sent"],
            "events": ["basket.dropped", "basket.packed", "basket.packing_lapsed", "basket.sent"],
        }
        types = await got(http, "types")
        takers = {one["name"]: (one["gateway"], one["aggregate"]) for one in types["commands"]}
        assert (takers["basket.pack"], takers["stock.take"]) == (("packers", None), (None, "stock"))


async def test_flows_that_ended_are_counted_and_archived(tmp_path: Path) -> None:
    async with shop(tmp_path / "shop.db") as http:
        await http.runtime.publish([BasketSent("b1"), BasketSent("b2")])
        await http.runtime.drain()
        counted = await asked(http, "archive", **SAID, older_than_s=0, dry_run=True)
        assert (counted["flows"], counted["files"]) == (2, 0)
        done = await asked(http, "archive", **SAID, older_than_s=0, process="basket", limit=1)
        assert (done["flows"], done["files"]) == (1, 1)
        assert (await got(http, "flows/basket/b1"))["status"] == "ended"


async def test_a_journal_in_memory_is_not_archived() -> None:
    async with shop() as http:
        for dry_run in (True, False):
            refused = await asked(http, "archive", 409, **SAID, older_than_s=0, dry_run=dry_run)
            assert "in memory" in refused["detail"]
