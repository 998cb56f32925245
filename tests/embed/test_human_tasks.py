"""Tasks for people from asyncio and from threads: by `call`, since they are read from the journal within."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from flows.expense_approval import Approvals, ExpenseApproval, ExpenseFiled, wire_testing
from procession import Runtime, Settings, Tasks, embed
from procession.errors import ActRefused

GATEWAYS = wire_testing(Settings()).gateways
FILED = ExpenseFiled("7", "ann", 42_000, "a train")


async def decide(within: Runtime, by: str, approved: bool) -> str:
    tasks = Tasks(within, Approvals)
    (task,) = await tasks.open(groups=("managers",))
    await tasks.answer(task.task_id, by=by, approved=approved, comment="")
    return task.task_id


async def answer_again(within: Runtime, task_id: str) -> None:
    await Tasks(within, Approvals).answer(task_id, by="eve", approved=True, comment="")


def test_a_thread_answers_a_task_once(tmp_path: Path) -> None:
    with embed.start(tmp_path / "expenses.db", processes=[ExpenseApproval], gateways=GATEWAYS) as runtime:
        runtime.publish(FILED)
        runtime.drain()
        task_id = runtime.call(decide, "bob", False)
        with pytest.raises(ActRefused, match="it was answered before, by bob"):
            runtime.call(answer_again, task_id)
        assert runtime.flow(ExpenseApproval, "7").wait_ended() == "declined"


def test_an_asyncio_task_answers_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with embed.open_async(
            tmp_path / "expenses.db", processes=[ExpenseApproval], gateways=GATEWAYS
        ) as runtime:
            await runtime.publish(FILED)
            await runtime.drain()
            await runtime.call(decide, "bob", True)
            assert await runtime.flow(ExpenseApproval, "7").wait_ended() == "paid"

    asyncio.run(main())


def test_asked_from_outside_it_says_where_the_journal_is_read(tmp_path: Path) -> None:
    async def main() -> None:
        async with embed.open_async(
            tmp_path / "expenses.db", processes=[ExpenseApproval], gateways=GATEWAYS
        ) as runtime:
            with pytest.raises(AttributeError, match="give `call` a function"):
                await Tasks(runtime, Approvals).open()

    asyncio.run(main())
