"""What a question must say, what an answer must be made of, and that gateways that ask people do not mix."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from flows.expense_approval import Approvals, ExpenseApproval, ExpenseFiled, Payroll, SimulatedPayOffice
from procession import (
    Command,
    CommandGivenUp,
    Effects,
    Escalation,
    Event,
    HumanTasks,
    ProcessManager,
    Question,
    Tasks,
    asks,
    end,
    on,
    starts,
)
from procession.errors import DefinitionError, NotFound
from procession.testing import World

DAY = timedelta(days=1)


class PriceAsked(Event, name="price.asked"):
    house: str


class PriceNamed(Event, name="price.named"):
    house: str
    euros: Decimal
    since: datetime
    remarks: tuple[str, ...]
    by: str
    sure: bool = True


class NamePrice(Command, name="price.name"):
    house: str


class Pricing(ProcessManager, name="pricing", key="house"):
    @starts
    def ask(self, asked: PriceAsked) -> Effects:
        yield NamePrice(asked.house)

    @on
    def named(self, named: PriceNamed) -> Effects:
        yield end(f"{named.euros} by {named.by}")

    @on
    def lost(self, lost: CommandGivenUp[NamePrice]) -> Effects:
        yield end(lost.found)


class Appraisals(HumanTasks, name="appraisals", attempts_max=1):
    @asks(PriceNamed)
    def name_price(self, command: NamePrice) -> Question:
        if command.house == "nobody's":
            return Question(title="What is it worth?")
        return Question(title="What is it worth?", person="joe", shown={"photo": "https://houses.example/7.jpg"})


async def test_a_form_takes_typed_values_and_leaves_defaults_out(autojump_clock: object) -> None:
    async with World(processes=[Pricing], gateways=[Appraisals()]) as world:
        await world.publish(PriceAsked("Elm 3"))
        await world.settle()
        tasks = Tasks(world.runtime, Appraisals)
        (task,) = await tasks.open(assignee="joe")
        assert task.form["required"] == ["euros", "since", "remarks"]
        assert (task.shown, task.deadline_at) == ({"photo": "https://houses.example/7.jpg"}, None)
        since = datetime.fromisoformat("2026-11-25T12:00:00+00:00")
        await tasks.answer(task.task_id, by="joe", euros=Decimal("99.50"), since=since, remarks=("damp",))
        assert await world.outcome(Pricing, "Elm 3") == "99.50 by joe"
        (named,) = world.events(PriceNamed)
        assert named == PriceNamed("Elm 3", Decimal("99.50"), since, ("damp",), "joe")


async def test_gateways_that_ask_people_do_not_mix(autojump_clock: object) -> None:
    gateways = [Appraisals(), Approvals(), Payroll(SimulatedPayOffice())]
    async with World(processes=[Pricing, ExpenseApproval], gateways=gateways) as world:
        await world.publish(PriceAsked("Elm 3"), ExpenseFiled("7", "ann", 42_000, "a train"))
        await world.settle()
        prices, expenses = Tasks(world.runtime, Appraisals), Tasks(world.runtime, Approvals)
        ((price,), (expense,)) = (await prices.open(), await expenses.open())
        assert len(await Tasks(world.runtime, Appraisals, Approvals).open()) == 2
        with pytest.raises(NotFound):
            await prices.answer(expense.task_id, by="joe", approved=True, comment="")
        await expenses.answer(expense.task_id, by="joe", approved=True, comment="")
        assert await world.outcome(ExpenseApproval, "7") == "paid"
        assert (await prices.show(price.task_id)).status == "open"


async def test_a_question_to_nobody_is_told_to_the_flow_with_the_reason(autojump_clock: object) -> None:
    async with World(processes=[Pricing], gateways=[Appraisals()]) as world:
        await world.publish(PriceAsked("nobody's"))
        assert "name one of them" in await world.outcome(Pricing, "nobody's")


@pytest.mark.parametrize(
    ("how", "shown"),
    [
        ({}, "the question is for person='' and group=''; name one of them"),
        ({"person": "ann", "group": "board"}, "name one of them"),
        ({"person": "ann", "title": ""}, "the question has no title"),
        ({"person": "ann", "deadline": timedelta(0)}, "leaves no time to answer"),
        ({"person": "ann", "escalations": (Escalation(-DAY, person="eve"),)}, "leaves no time to answer"),
        ({"person": "ann", "escalations": (Escalation(DAY),)}, "the escalation after 1 day, 0:00:00 is for person=''"),
        (
            {"person": "ann", "deadline": DAY, "escalations": (Escalation(DAY, person="eve"),)},
            "an escalation after 1 day, 0:00:00 comes no sooner than the deadline",
        ),
    ],
)
def test_a_question_that_nobody_could_answer_is_refused(how: dict[str, Any], shown: str) -> None:
    with pytest.raises(ValueError, match=shown.replace("(", r"\(")):
        Question(**{"title": "What is it worth?", **how})


# What can't work is refused when the gateway is defined.


class Unsigned(Event, name="price.unsigned"):
    house: str


class Timeless(Event, name="price.timeless"):
    house: str
    by: str
    at: str


class Numbered(Event, name="price.numbered"):
    house: int
    by: str


class Fell(Event, name="price.fell"):
    house: str
    street: str


@pytest.mark.parametrize(
    ("answer", "unanswered", "shown"),
    [
        (Unsigned, None, "asks for Unsigned, which has no field by: str; give it one: who answered"),
        (Timeless, None, "asks for Timeless, whose field at is str; make it a datetime"),
        (Numbered, None, "copies house from the command into Numbered, where it is of another type"),
        (PriceNamed, Numbered, "copies house from the command into Numbered"),
        (PriceNamed, Fell, "tells Fell, whose field street is none of NamePrice; give the command that field"),
    ],
)
def test_events_that_no_answer_makes_are_refused(
    answer: type[Event], unanswered: type[Event] | None, shown: str
) -> None:
    with pytest.raises(DefinitionError) as caught:

        class Bad(HumanTasks, name="bad"):
            @asks(answer, unanswered=unanswered)
            def name_price(self, command: NamePrice) -> Question:
                return Question(title="What is it worth?", person="joe")

    assert shown in str(caught.value)
    assert "test_questions.py:" in str(caught.value)


def test_work_of_another_kind_is_another_gateways() -> None:
    with pytest.raises(DefinitionError, match=r"Bad\.name_price is not marked @asks"):

        class Bad(HumanTasks, name="bad"):
            async def name_price(self, command: NamePrice) -> PriceNamed:
                raise NotImplementedError
