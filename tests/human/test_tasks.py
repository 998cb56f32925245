"""Tasks for people, in virtual time: asked, listed, claimed, answered once, escalated, lapsed, and told to the flow."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flows.expense_approval import Approvals, ApproveExpense, ExpenseDecided, ExpenseFiled, ExpenseLeftOpen, PayOut
from flows.expense_approval import wire_testing as wire
from procession import CommandGivenUp, ProcessionError, Settings, Tasks, TaskView
from procession.errors import ActRefused, InvalidPayload, NotFound
from procession.testing import World, raises

YES = {"approved": True, "comment": "fine"}


def a_world() -> World:
    return World(wire(Settings()))


async def asked(world: World, expense: str = "7", cents: int = 420_00) -> tuple[Tasks, TaskView]:
    """An expense that a person is asked about."""
    await world.publish(ExpenseFiled(expense, "ann", cents, "a train"))
    await world.settle()
    tasks = Tasks(world.runtime, Approvals)
    found = [task for task in await tasks.open() if task.asked_by == f"expense/{expense}"]
    return tasks, found[0]


async def test_a_command_to_a_person_becomes_a_task_with_a_form(autojump_clock: object) -> None:
    async with a_world() as world:
        _, task = await asked(world)
    assert (task.title, task.status, task.person, task.group) == ("Expense of ann: 420.00", "open", "", "managers")
    assert task.shown == {"expense_id": "7", "employee": "ann", "amount_cents": 420_00, "purpose": "a train"}
    assert task.form["properties"] == {"approved": {"type": "boolean"}, "comment": {"type": "string"}}
    assert task.form["required"] == ["approved", "comment"]
    assert task.deadline_at == task.asked_at + timedelta(days=3)


@pytest.mark.parametrize(("answer", "outcome"), [(True, "paid"), (False, "declined")])
async def test_the_answer_is_an_event_with_who_and_when(autojump_clock: object, answer: bool, outcome: str) -> None:
    async with a_world() as world:
        tasks, task = await asked(world)
        await world.elapse(timedelta(hours=2))
        await tasks.answer(task.task_id, by="bob", approved=answer, comment="so be it")
        assert await world.outcome("expense", "7") == outcome
        (decided,) = world.events(ExpenseDecided)
        settled = await tasks.show(task.task_id)
        assert decided == ExpenseDecided("7", answer, "so be it", "bob", decided.at)
        assert timedelta(hours=2) <= decided.at - task.asked_at < timedelta(hours=2, minutes=1)
        assert (settled.status, settled.settled_by, settled.settled_at) == ("answered", "bob", decided.at)
        assert settled.answer == {"approved": answer, "comment": "so be it"}
        assert await tasks.open() == []


async def test_a_second_answer_is_refused_and_changes_nothing(autojump_clock: object) -> None:
    async with a_world() as world:
        tasks, task = await asked(world)
        await tasks.answer(task.task_id, by="bob", **YES)
        for who in ("eve", "bob"):
            with pytest.raises(ActRefused, match="it was answered before, by bob"):
                await tasks.answer(task.task_id, by=who, approved=False, comment="no")
        await world.settle()
        assert len(world.events(ExpenseDecided)) == len(world.commands(PayOut)) == 1


async def test_nobody_answers_in_time_and_it_goes_to_the_next_one_then_lapses(autojump_clock: object) -> None:
    async with a_world() as world:
        tasks, task = await asked(world)
        await world.elapse(timedelta(days=1))
        escalated = await tasks.show(task.task_id)
        assert (escalated.person, escalated.group, escalated.escalated) == ("head of finance", "", 1)
        await world.elapse(timedelta(days=2))
        assert await world.outcome("expense", "7", within=timedelta(seconds=1)) == "unanswered"
        assert world.events(ExpenseLeftOpen) == (ExpenseLeftOpen("7", "the deadline passed"),)
        with pytest.raises(ActRefused, match="it was lapsed before"):
            await tasks.answer(task.task_id, by="head of finance", **YES)


async def test_who_answers_in_time_is_not_escalated(autojump_clock: object) -> None:
    async with a_world() as world:
        tasks, task = await asked(world)
        await world.elapse(timedelta(hours=23))
        await tasks.answer(task.task_id, by="bob", **YES)
        await world.elapse(timedelta(days=9))
        assert (await tasks.show(task.task_id)).escalated == 0
        assert world.events(ExpenseLeftOpen) == ()


async def test_what_is_escalated_is_the_next_ones_to_answer(autojump_clock: object) -> None:
    async with a_world() as world:
        tasks, task = await asked(world)
        await world.elapse(timedelta(days=1))
        with pytest.raises(ActRefused, match="it is head of finance's"):
            await tasks.answer(task.task_id, by="bob", **YES)
        await tasks.answer(task.task_id, by="head of finance", **YES)
        assert await world.outcome("expense", "7") == "paid"


async def test_who_claims_a_task_of_a_group_is_the_only_one_to_answer(autojump_clock: object) -> None:
    async with a_world() as world:
        tasks, task = await asked(world)
        await tasks.claim(task.task_id, by="bob")
        await tasks.claim(task.task_id, by="bob")
        for act in (tasks.claim(task.task_id, by="eve"), tasks.answer(task.task_id, by="eve", **YES)):
            with pytest.raises(ActRefused, match="it is bob's; let them answer, or reassign it"):
                await act
        assert [len(await tasks.open(assignee=who, groups=("managers",))) for who in ("bob", "eve")] == [1, 0]


async def test_a_task_is_given_to_a_person_or_back_to_a_group(autojump_clock: object) -> None:
    async with a_world() as world:
        tasks, task = await asked(world)
        await tasks.claim(task.task_id, by="bob")
        await tasks.reassign(task.task_id, by="bob", person="eve", why="on holiday")
        assert len(await tasks.open(assignee="eve")) == 1
        await tasks.reassign(task.task_id, by="eve", group="board")
        assert [len(await tasks.open(groups=(group,))) for group in ("managers", "board")] == [0, 1]
        await tasks.answer(task.task_id, by="joe", **YES)


async def test_lists_tell_whose_it_is(autojump_clock: object) -> None:
    async with a_world() as world:
        tasks, first = await asked(world, "1")
        _, second = await asked(world, "2")
        await tasks.claim(second.task_id, by="bob")
        assert [task.task_id for task in await tasks.open()] == [first.task_id, second.task_id]
        assert [task.task_id for task in await tasks.open(limit=1)] == [first.task_id]
        assert [task.task_id for task in await tasks.open(assignee="bob")] == [second.task_id]
        assert [task.task_id for task in await tasks.open(groups=("managers",))] == [first.task_id]
        assert await tasks.open(assignee="nobody", groups=("guests",)) == []


@pytest.mark.parametrize("page", [1, 2, 3, 7])
async def test_a_list_of_many_pages_is_whole(
    autojump_clock: object, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_world() as world:
        for number in range(5):
            tasks, task = await asked(world, str(number))
            await tasks.reassign(task.task_id, by="bob", person=f"person {number}")
        monkeypatch.setattr("procession.human.listing._PAGE", page)
        monkeypatch.setattr("procession.human.listing._STEPS_PAGE", page)
        assert [task.person for task in await tasks.open()] == [f"person {number}" for number in range(5)]
        assert len(await tasks.open(limit=3)) == 3


async def test_a_cancelled_task_can_not_be_answered_and_the_flow_is_told(autojump_clock: object) -> None:
    async with a_world() as world:
        tasks, task = await asked(world)
        await tasks.cancel(task.task_id, by="eve", why="filed twice")
        assert await world.outcome("expense", "7") == "unanswered"
        assert world.events(ExpenseLeftOpen) == (ExpenseLeftOpen("7", "cancelled by eve: filed twice"),)
        with pytest.raises(ActRefused, match="it was cancelled before, by eve"):
            await tasks.answer(task.task_id, by="bob", **YES)


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"approved": "yes", "comment": "x"}, "expected bool, found str 'yes' @ $.approved"),
        ({"approved": True}, "required field missing @ $.comment"),
        ({**YES, "amount_cents": 1}, "the form has no field 'amount_cents', it asks for approved, comment"),
        ({**YES, "at": "2026-01-01"}, "the form has no field 'at'"),
        ({"approved": True, "comment": "x" * 200_000}, "at most 100000"),
        ({"approved": True, "comment": object()}, "expected what JSON can hold, found object @ $.comment"),
    ],
)
async def test_an_answer_that_does_not_fit_the_form_is_refused_with_its_place(
    autojump_clock: object, fields: dict[str, Any], shown: str
) -> None:
    async with a_world() as world:
        tasks, task = await asked(world)
        with pytest.raises(InvalidPayload) as caught:
            await tasks.answer(task.task_id, by="bob", **fields)
        assert shown in str(caught.value)
        assert (await tasks.show(task.task_id)).status == "open"


async def test_what_is_no_task_is_not_found(autojump_clock: object) -> None:
    async with a_world() as world:
        tasks = Tasks(world.runtime, Approvals)
        acts: list[Any] = [
            tasks.show("0"),
            tasks.claim("0", by="bob"),
            tasks.answer("0", by="bob"),
            tasks.reassign("0", by="bob", person="eve"),
            tasks.cancel("0", by="bob", why="x"),
        ]
        for act in acts:
            with pytest.raises(NotFound, match="there is no task '0'"):
                await act


async def test_a_task_is_given_to_one_person_or_one_group(autojump_clock: object) -> None:
    async with a_world() as world:
        tasks, task = await asked(world)
        with pytest.raises(ActRefused, match="name one of them"):
            await tasks.reassign(task.task_id, by="bob")
        with pytest.raises(ActRefused, match="name one of them"):
            await tasks.reassign(task.task_id, by="bob", person="eve", group="board")


async def test_nobody_can_not_answer(autojump_clock: object) -> None:
    async with a_world() as world:
        tasks, task = await asked(world)
        for act in (tasks.answer(task.task_id, by="", **YES), tasks.claim(task.task_id, by=" ")):
            with pytest.raises(ActRefused, match="say who acts"):
                await act
        assert (await tasks.show(task.task_id)).status == "open"


async def test_an_answer_after_the_flow_ended_is_late(autojump_clock: object) -> None:
    async with a_world() as world:
        tasks, task = await asked(world)
        await world.runtime.flow("expense", "7").cancel(by="eve", why="no longer needed")
        await tasks.answer(task.task_id, by="bob", **YES)
        await world.settle()
        late = [(type(one.event), one.reason) for one in world.refusals() if one.flow == "expense/7"]
        assert (ExpenseDecided, "after_end") in late
        assert world.commands(PayOut) == ()


async def test_a_crash_between_any_two_moments_loses_no_task_and_no_answer(autojump_clock: object) -> None:
    async with a_world() as world:
        await world.publish(ExpenseFiled("7", "ann", 420_00, "a train"))
        await world.crash()
        await world.settle()
        (task,) = await Tasks(world.runtime, Approvals).open()
        await world.crash()
        await Tasks(world.runtime, Approvals).answer(task.task_id, by="bob", **YES)
        await world.crash()
        assert await world.outcome("expense", "7") == "paid"
        assert len(world.events(ExpenseDecided)) == 1


async def test_a_deadline_that_passes_while_nobody_runs_is_kept(autojump_clock: object) -> None:
    async with a_world() as world:
        await asked(world)
        await world.crash()
        await world.elapse(timedelta(days=4))
        assert await world.outcome("expense", "7") == "unanswered"


async def test_a_question_that_can_not_be_made_is_told_to_the_flow(autojump_clock: object) -> None:
    async with a_world() as world:
        world.script(ApproveExpense, [raises(ProcessionError("no managers"))] * 20)
        await world.publish(ExpenseFiled("7", "ann", 420_00, "a train"))
        assert await world.outcome("expense", "7") == "unanswered"
        assert len(world.events(CommandGivenUp)) == 1
