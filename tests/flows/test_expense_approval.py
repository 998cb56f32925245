"""Expense approval, by what it asks for."""

from __future__ import annotations

from datetime import UTC, datetime

from flows.expense_approval import (
    ApproveExpense,
    ExpenseApproval,
    ExpenseDecided,
    ExpenseFiled,
    ExpenseLeftOpen,
    ExpensePaid,
    PayOut,
)
from procession import CommandGivenUp
from procession.testing import given

FILED = ExpenseFiled("7", "ann", 42_000, "a train")
ASKED = ApproveExpense("7", "ann", 42_000, "a train")
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def test_a_person_is_asked_first() -> None:
    given(ExpenseApproval).when(FILED).then(ASKED)


def test_what_a_person_approves_is_paid() -> None:
    yes = ExpenseDecided("7", approved=True, comment="", by="bob", at=NOON)
    given(ExpenseApproval, FILED).when(yes).then(PayOut("7", "ann", 42_000))
    given(ExpenseApproval, FILED, yes).when(ExpensePaid("7")).then_ends("paid")


def test_what_a_person_declines_is_not() -> None:
    no = ExpenseDecided("7", approved=False, comment="no", by="bob", at=NOON)
    given(ExpenseApproval, FILED).when(no).then_ends("declined")


def test_what_nobody_decides_ends_unanswered() -> None:
    given(ExpenseApproval, FILED).when(ExpenseLeftOpen("7", "the deadline passed")).then_ends("unanswered")
    lost = CommandGivenUp(ASKED, "id", "unknown", 10, "no form")
    given(ExpenseApproval, FILED).when(lost).then_ends("unanswered")
