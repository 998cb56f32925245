"""The reference flows, in every order of what may happen to them: nothing is found, and what was planted is."""

from __future__ import annotations

from types import ModuleType

import pytest

from flows import batch_settlement, expense_approval, loan_application, order_fulfilment, user_provisioning
from flows.batch_settlement import Batch, BatchReceived
from flows.expense_approval import ExpenseApproval
from flows.loan_application import AskAboutOffer, LoanApplication, OfferFollowedUp
from flows.order_fulfilment import Order, PaymentCaptured, RefundCard, ShipParcel
from flows.user_provisioning import AccountCreated, Provisioning, ProvisioningRequested, RemoveAccount
from procession import Effects, Event, ProcessManager, Settings, Wiring, after, cancel, end, on
from procession.testing.exploring.explorer import explore

FLOWS = [
    (order_fulfilment, Order, None),
    (user_provisioning, Provisioning, None),
    (user_provisioning, Provisioning, ProvisioningRequested("1", ("a", "b", "c"))),
    (batch_settlement, Batch, None),
    (batch_settlement, Batch, BatchReceived("1", (("a", 1), ("b", 2), ("c", 3)))),
    (loan_application, LoanApplication, None),
    (expense_approval, ExpenseApproval, None),
]


def wired(module: ModuleType) -> Wiring:
    wiring = module.wire_testing(Settings())
    assert isinstance(wiring, Wiring)
    return wiring


@pytest.mark.parametrize(("module", "process", "start"), FLOWS)
def test_no_order_of_events_breaks_a_reference_flow(
    module: ModuleType, process: type[ProcessManager], start: Event | None
) -> None:
    explore(process, wiring=wired(module), start=None if start is None else [start]).assert_clean()


@pytest.mark.parametrize(
    "module", [order_fulfilment, user_provisioning, batch_settlement, loan_application, expense_approval]
)
def test_both_wirings_bring_the_same_invariants(module: ModuleType) -> None:
    assert wired(module).invariants
    assert module.wire_production(Settings()).invariants == wired(module).invariants


# Each of the invariants fails where it should.


class ShipsLatePayments(Order, name="order.ships_late_payments", key="order_id"):
    @on
    def ship_or_refund(self, captured: PaymentCaptured) -> Effects:
        yield cancel("payment.window_closed")
        yield ShipParcel(captured.order_id)
        if self.failed:
            yield RefundCard(captured.order_id)


class KeepsLatePayments(Order, name="order.keeps_late_payments", key="order_id"):
    @on
    def ship_or_refund(self, captured: PaymentCaptured) -> Effects:
        yield cancel("payment.window_closed")
        if self.failed:
            yield end(self.failed)
        else:
            yield ShipParcel(captured.order_id)


class KeepsAccounts(Provisioning, name="provisioning.keeps_accounts", key="user_id"):
    @on
    def count_or_remove(self, created: AccountCreated) -> Effects:
        if not self.asked:
            yield end("rolled_back" if self.failures else "provisioned")


class RemovesTwice(Provisioning, name="provisioning.removes_twice", key="user_id"):
    @on
    def count_or_remove(self, created: AccountCreated) -> Effects:
        if self.failures:
            yield RemoveAccount(created.user_id, created.system)
            yield RemoveAccount(created.user_id, created.system)
        elif not self.asked:
            yield end("provisioned")


class CountsShort(Batch, name="batch.counts_short", key="batch_id"):
    @on
    def count(
        self, event: batch_settlement.ItemSettled | batch_settlement.ItemRejected | batch_settlement.ItemAbandoned
    ) -> Effects:
        if isinstance(event, batch_settlement.ItemSettled) or self.failed == self.expected:
            yield end("settled" if self.settled else "failed")


class AsksOnAndOn(LoanApplication, name="loan_application.asks_on", key="case_id"):
    @on
    def stop_expecting(
        self,
        answered: loan_application.OSentBack
        | loan_application.OAccepted
        | loan_application.ODeclined
        | loan_application.OCancelled,
    ) -> Effects:
        yield from ()


class AsksTwice(LoanApplication, name="loan_application.asks_twice", key="case_id"):
    @on(late="ignore")
    def expect_again(self, asked: OfferFollowedUp) -> Effects:
        yield AskAboutOffer(asked.case_id)
        yield after(loan_application.ANSWER_WINDOW, loan_application.AnswerWindowClosed(asked.case_id))


@pytest.mark.parametrize(
    ("module", "process", "rule"),
    [
        (order_fulfilment, ShipsLatePayments, "never_ships_what_it_refunds"),
        (order_fulfilment, KeepsLatePayments, "keeps_no_money_without_a_parcel"),
        (order_fulfilment, KeepsLatePayments, "keeps_no_stock_without_a_parcel"),
        (user_provisioning, KeepsAccounts, "all_or_none"),
        (user_provisioning, RemovesTwice, "removes_nothing_twice"),
        (batch_settlement, CountsShort, "ends_when_every_item_is_settled_or_not"),
        (loan_application, AsksOnAndOn, "asks_only_while_nobody_answers"),
        (loan_application, AsksTwice, "asks_once_at_a_time"),
    ],
)
def test_an_invariant_finds_the_order_of_events_that_breaks_it(
    module: ModuleType, process: type[ProcessManager], rule: str
) -> None:
    report = explore(process, wiring=wired(module), states_max=5_000)
    assert rule in [fault.subject for fault in report.findings if fault.kind == "invariant"]
