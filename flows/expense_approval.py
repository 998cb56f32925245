"""Expense approval: a person decides, and the flow does not wait for ever.

ExpenseFiled → ApproveExpense, a task for the managers; after a day it is the head of finance's
               ├ approved → PayOut → paid
               ├ declined → declined
               └ left open for three days, or withdrawn → unanswered
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from procession import (
    Attempt,
    Command,
    CommandGivenUp,
    Effects,
    Escalation,
    Event,
    Gateway,
    History,
    HumanTasks,
    ProcessManager,
    Question,
    Settings,
    Wiring,
    asks,
    end,
    ends,
    folds,
    invariant,
    on,
    starts,
)

# What can happen.


class ExpenseFiled(Event, name="expense.filed"):
    """Someone paid for something; here it begins."""

    expense_id: str
    employee: str
    amount_cents: int
    purpose: str


class ExpenseDecided(Event, name="expense.decided"):
    """A person said yes or no."""

    expense_id: str
    approved: bool
    comment: str
    by: str
    at: datetime


class ExpenseLeftOpen(Event, name="expense.left_open"):
    """Nobody will say yes or no any more."""

    expense_id: str
    why: str


class ExpensePaid(Event, name="expense.paid"):
    """The employee has the money."""

    expense_id: str


# What the flow may ask for.


class ApproveExpense(Command, name="expense.approve"):
    """Look at it, and say yes or no."""

    expense_id: str
    employee: str
    amount_cents: int
    purpose: str


class PayOut(Command, name="expense.pay_out"):
    """Send the money."""

    expense_id: str
    employee: str
    amount_cents: int


# The flow.


class ExpenseApproval(ProcessManager, name="expense", key="expense_id"):
    """One expense."""

    employee: str = ""
    amount_cents: int = 0

    @folds
    def was_filed(self, filed: ExpenseFiled) -> ExpenseApproval:
        return self.evolve(employee=filed.employee, amount_cents=filed.amount_cents)

    @starts
    def ask(self, filed: ExpenseFiled) -> Effects:
        """Ask a person, by a command like any other."""
        yield ApproveExpense(filed.expense_id, filed.employee, filed.amount_cents, filed.purpose)

    @on
    def pay_or_decline(self, decided: ExpenseDecided) -> Effects:
        if decided.approved:
            yield PayOut(decided.expense_id, self.employee, self.amount_cents)
        else:
            yield end("declined")

    @ends(outcome="paid")
    def paid(self, paid: ExpensePaid) -> None: ...

    @ends(outcome="unanswered")
    def left_open(self, left_open: ExpenseLeftOpen) -> None: ...

    @on
    def could_not_ask(self, given_up: CommandGivenUp[ApproveExpense]) -> Effects:
        """Nobody was asked: the question itself could not be made."""
        yield end("unanswered")


# What must hold of every expense.


@invariant(ExpenseApproval)
def pays_what_somebody_approved(history: History) -> bool:
    """Money goes out only after a yes, and once."""
    approved = any(decided.approved for decided in history.handled(ExpenseDecided))
    return len(history.sent(PayOut)) <= (1 if approved else 0)


# Where the work is done: by people, and by whoever pays.


class Approvals(HumanTasks, name="approvals"):
    """Asks managers; whom they leave waiting for a day, the head of finance hears."""

    @asks(ExpenseDecided, unanswered=ExpenseLeftOpen)
    def approve(self, command: ApproveExpense) -> Question:
        return Question(
            title=f"Expense of {command.employee}: {command.amount_cents / 100:.2f}",
            description=f"{command.employee} asks for this money back. Is it an expense of ours?",
            group="managers",
            deadline=timedelta(days=3),
            escalations=(Escalation(timedelta(days=1), person="head of finance"),),
        )


class PayOffice(Protocol):
    """What the flow needs of whoever pays. `attempt.command_id` is the idempotency key."""

    async def pay(self, employee: str, amount_cents: int, attempt: Attempt) -> None: ...


class Payroll(Gateway, name="payroll"):
    """Has it paid, and says so."""

    office: PayOffice

    async def pay_out(self, command: PayOut, attempt: Attempt) -> ExpensePaid:
        await self.office.pay(command.employee, command.amount_cents, attempt)
        return ExpensePaid(command.expense_id)


class SimulatedPayOffice:
    """Pays at once, on paper."""

    async def pay(self, employee: str, amount_cents: int, attempt: Attempt) -> None:
        """Nothing stands behind it."""


def wire_production(settings: Settings) -> Wiring:
    """People are asked by `procession tasks`, or by `Tasks(runtime, Approvals)`; the pay office is simulated."""
    return Wiring(
        processes=(ExpenseApproval,),
        gateways=(Approvals(), Payroll(SimulatedPayOffice())),
        invariants=(pays_what_somebody_approved,),
    )


def wire_testing(settings: Settings) -> Wiring:
    """The same: nothing of it reaches outside."""
    return wire_production(settings)
