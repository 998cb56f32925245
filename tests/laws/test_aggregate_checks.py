"""What the check says of wirings with aggregates: events that nobody applies, commands with two receivers or none."""

from __future__ import annotations

import pytest

from procession import (
    Aggregate,
    Attempt,
    Command,
    CommandRefused,
    Effects,
    Event,
    Gateway,
    ProcessManager,
    Wiring,
    decides,
    ends,
    starts,
)
from procession.laws.wiring_check import check_wiring
from tests.engine.bank import Account, Deposit, Deposited, Transfer, TransferRequested, Withdraw, Withdrawn


class Counted(Event, name="checks.counted"):
    account_id: str


class Count(Command, name="checks.count"):
    account_id: str


class Counter(Aggregate, name="checks.counter", key="account_id"):
    @decides
    def count(self, command: Count) -> Counted:
        return Counted(command.account_id)


class Clerk(Gateway, name="checks_clerk"):
    async def pay_in(self, command: Deposit, attempt: Attempt) -> Deposited:
        return Deposited(command.account_id, command.amount_cents)


class Namesake(Aggregate, name="transfer", key="account_id"):
    @decides
    def count(self, command: Count) -> None: ...


class Waiting(ProcessManager, name="checks.waiting", key="transfer_id"):
    """Sends one command, and waits to be refused another."""

    @starts
    def ask(self, requested: TransferRequested) -> Effects:
        yield Withdraw(requested.source, 1, requested.transfer_id)

    @ends
    def done(self, withdrawn: Withdrawn) -> None: ...

    @ends
    def refused(self, refused: CommandRefused[Count]) -> None: ...


FOUND: dict[str, tuple[Wiring, list[str]]] = {
    "nothing": (Wiring((Transfer,), (), aggregates=(Account,)), []),
    "an event that nobody applies": (
        Wiring((), (), aggregates=(Counter,)),
        ["DEF02 Counted is decided by an aggregate (Counter.count), and nobody handles it"],
    ),
    "no receiver": (
        Wiring((Transfer,), ()),
        [
            "DEF03 Transfer.take sends Withdraw, which no gateway takes",
            "DEF03 Transfer.give sends Deposit, which no gateway takes",
        ],
    ),
    "a refusal that can't come": (
        Wiring((Waiting,), (), aggregates=(Account,)),
        ["DEF05 Waiting.refused handles CommandRefused[Count], which this process never sends"],
    ),
    "two receivers": (
        Wiring((Transfer,), (Clerk(),), aggregates=(Account,)),
        ["DEF08 Account.deposit takes Deposit, as Clerk.pay_in does"],
    ),
    "one name": (
        Wiring((Transfer,), (), aggregates=(Account, Namesake)),
        ["DEF09 Namesake has the stored name 'transfer', as the process or aggregate Transfer does"],
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_wiring_with_aggregates_is_checked_as_a_whole(name: str) -> None:
    wiring, expected = FOUND[name]
    found = [f"{finding.code} {finding.subject} {finding.found}" for finding in check_wiring(wiring)]
    assert sorted(found) == sorted(expected)
