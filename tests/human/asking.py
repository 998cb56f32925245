"""Expenses as they are put to people."""

from __future__ import annotations

from datetime import timedelta

from flows.expense_approval import ApproveExpense
from procession.human.task import Escalation, TaskAsked
from procession.primitives.codec import to_json
from procession.primitives.converters import plain_values


def asked(command: ApproveExpense) -> TaskAsked:
    """The task, as its gateway asks for it."""
    return TaskAsked(
        task_id=f"task of {command.expense_id}",
        desk="approvals",
        kind="expense.approve",
        command=to_json(plain_values()(command, type(command))).decode(),
        title="Expense",
        description="",
        shown="{}",
        form="{}",
        person="",
        group="managers",
        deadline=timedelta(minutes=2),
        escalations=(Escalation(timedelta(minutes=1), person="eve"),),
        asked_by=f"expense/{command.expense_id}",
    )
