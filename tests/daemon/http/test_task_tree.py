"""Trio's tasks over HTTP: who started whom, where each waits, and never more than fits."""

from __future__ import annotations

import trio
import trio.testing

from tests.daemon.http.served import served


async def sleeper_of_the_test() -> None:
    await trio.sleep_forever()


async def test_tasks_stand_behind_those_that_started_them_and_tell_where_they_wait() -> None:
    async with served() as http, trio.open_nursery() as nursery:
        nursery.start_soon(sleeper_of_the_test, name="parcels")
        await trio.testing.wait_all_tasks_blocked()
        found = (await http.client.get("/v1/runtime/tasks")).json()
        nursery.cancel_scope.cancel()
    tasks = found["tasks"]
    (at,) = [index for index, task in enumerate(tasks) if task["name"] == "parcels"]
    above = [task for task in tasks[:at] if task["depth"] < tasks[at]["depth"]]
    assert tasks[0]["depth"] == 0
    assert above[-1]["depth"] == tasks[at]["depth"] - 1
    called, caller = tasks[at]["waits_at"]
    assert called.startswith("trio._timeouts.sleep_forever:")
    assert caller.startswith(f"{__name__}.sleeper_of_the_test:")
    assert found["total"] >= len(tasks)


async def test_of_many_tasks_some_are_told_and_the_others_counted() -> None:
    async with served() as http, trio.open_nursery() as nursery:
        for _ in range(1_500):
            nursery.start_soon(trio.sleep_forever)
        found = (await http.client.get("/v1/runtime/tasks")).json()
        nursery.cancel_scope.cancel()
    assert len(found["tasks"]) <= 1_000 < found["total"]
    left_out = sum(task["children_left_out"] for task in found["tasks"])
    assert len(found["tasks"]) + left_out == found["total"]
