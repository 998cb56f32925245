"""The process that is killed: files expenses, and answers every task that it finds, for as long as it lives.

    python -m tests.human.child JOURNAL EXPENSES

Prints `ready` when the runtime is open, and `done` when every expense has ended.
"""

from __future__ import annotations

import sys

import trio

from flows.expense_approval import Approvals, ExpenseApproval, ExpenseFiled, wire_testing
from procession import Outside, Runtime, Settings, Tasks
from procession.errors import ActRefused
from procession.settings import JournalSettings
from procession.wiring import open_wired


async def main(journal: str, expenses: int) -> None:
    settings = Settings(journal=JournalSettings(path=journal, careful_after=1_000_000))
    async with open_wired(wire_testing(settings), settings) as runtime:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        for number in range(expenses):
            filed = ExpenseFiled(str(number), "ann", 42_000, "a train")
            await runtime.publish([Outside(filed, str(number), "test")])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer_all, runtime)
            for number in range(expenses):
                await runtime.flow(ExpenseApproval, number).wait_ended()
            nursery.cancel_scope.cancel()
        sys.stdout.write("done\n")
        sys.stdout.flush()


async def answer_all(runtime: Runtime) -> None:
    tasks = Tasks(runtime, Approvals)
    while True:
        for task in await tasks.open(limit=10):
            try:
                await tasks.answer(task.task_id, by="bob", approved=True, comment="fine")
            except ActRefused:
                continue  # answered in an earlier life, and not handed in yet
        await trio.sleep(0.001)


if __name__ == "__main__":
    trio.run(main, sys.argv[1], int(sys.argv[2]))
