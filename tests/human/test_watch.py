"""What watches over a task, in every order of what may happen to it."""

from __future__ import annotations

from datetime import timedelta

import attrs

from flows.expense_approval import Approvals, ApproveExpense
from procession import CancelRequested
from procession.human.task import (
    CancelTask,
    Escalation,
    OpenTask,
    Task,
    TaskAnswered,
    TaskAsked,
    TaskCancelled,
    TaskClaimed,
    TaskLapsed,
    TaskOpened,
    TaskReassigned,
)
from procession.human.watch import EscalationFellDue, TaskFellDue
from procession.testing import explore, given
from tests.human.asking import asked

ASKED: TaskAsked = attrs.evolve(  # type: ignore[misc]  # mypy does not see that messages are attrs classes
    asked(ApproveExpense("7", "ann", 42_000, "a train")),
    task_id="1",
    deadline=timedelta(days=3),
    escalations=(Escalation(timedelta(days=1), person="eve"), Escalation(timedelta(days=2), group="board")),
)
BY_PEOPLE = (
    TaskClaimed("1", "approvals", "bob"),
    TaskReassigned("1", "approvals", "joe", "", "bob", "on holiday"),
    TaskAnswered("1", "approvals", "bob", '{"approved":true,"comment":"fine"}'),
    TaskCancelled("1", "approvals", "bob", "filed twice"),
    CancelRequested("eve", "filed twice"),
)


def test_no_order_of_answers_escalations_and_deadlines_leaves_it_stuck() -> None:
    explored = explore(
        Approvals.watch, aggregates=[Task], start=[ASKED], outside=[*BY_PEOPLE, TaskLapsed("1", "approvals")]
    )
    explored.assert_clean()


def test_who_cancels_its_flow_withdraws_the_task() -> None:
    given(Approvals.watch, ASKED).when(CancelRequested("eve", "filed twice")).then(
        CancelTask("1", "eve", "filed twice")
    )


def test_nothing_falls_due_before_the_task_is_open() -> None:
    given(Approvals.watch).when(ASKED).then(OpenTask("1", "approvals", "", "managers")).then_unarmed()
    opened = given(Approvals.watch, ASKED).when(TaskOpened("1", "approvals", "", "managers"))
    opened.then_armed(EscalationFellDue("1", "approvals", 0), after=timedelta(days=1))
    opened.then_armed(EscalationFellDue("1", "approvals", 1), after=timedelta(days=2))
    opened.then_armed(TaskFellDue("1", "approvals"), after=timedelta(days=3))
