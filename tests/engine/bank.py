"""A bank for tests: accounts that decide, and a transfer between two of them that asks both."""

from __future__ import annotations

from procession import (
    Aggregate,
    Command,
    CommandGivenUp,
    CommandRefused,
    Effects,
    Event,
    ProcessManager,
    Refusal,
    applies,
    decides,
    ends,
    on,
    starts,
)


class Deposited(Event, name="account.deposited"):
    account_id: str
    amount_cents: int
    transfer_id: str = ""


class Withdrawn(Event, name="account.withdrawn"):
    account_id: str
    amount_cents: int
    transfer_id: str = ""


class Deposit(Command, name="account.deposit"):
    account_id: str
    amount_cents: int
    transfer_id: str = ""


class Withdraw(Command, name="account.withdraw"):
    account_id: str
    amount_cents: int
    transfer_id: str = ""


class Close(Command, name="account.close"):
    """The account decides nothing where it is empty."""

    account_id: str


class Break(Command, name="account.break"):
    account_id: str
    transfer_id: str = ""


class TooLittleMoney(Refusal, name="account.too_little_money"):
    missing_cents: int


class Account(Aggregate, name="account", key="account_id"):
    balance_cents: int = 0

    @applies
    def deposited(self, deposited: Deposited) -> Account:
        return self.evolve(balance_cents=self.balance_cents + deposited.amount_cents)

    @applies
    def withdrawn(self, withdrawn: Withdrawn) -> Account:
        return self.evolve(balance_cents=self.balance_cents - withdrawn.amount_cents)

    @decides
    def deposit(self, command: Deposit) -> Deposited:
        return Deposited(command.account_id, command.amount_cents, command.transfer_id)

    @decides
    def withdraw(self, command: Withdraw) -> Withdrawn | TooLittleMoney:
        missing = command.amount_cents - self.balance_cents
        if missing > 0:
            return TooLittleMoney(missing)
        return Withdrawn(command.account_id, command.amount_cents, command.transfer_id)

    @decides
    def close(self, command: Close) -> tuple[Withdrawn, ...] | None:
        return (Withdrawn(command.account_id, self.balance_cents),) if self.balance_cents else None

    @decides
    def breaks(self, command: Break) -> None:
        msg = "a bug"
        raise RuntimeError(msg)


class TransferRequested(Event, name="transfer.requested"):
    transfer_id: str
    source: str
    target: str
    amount_cents: int


class Transfer(ProcessManager, name="transfer", key="transfer_id"):
    @starts
    def take(self, requested: TransferRequested) -> Effects:
        yield Withdraw(requested.source, requested.amount_cents, requested.transfer_id)

    @on
    def give(self, withdrawn: Withdrawn) -> Effects:
        yield Deposit("target", withdrawn.amount_cents, withdrawn.transfer_id)

    @ends
    def done(self, deposited: Deposited) -> None: ...

    @ends(outcome="refused")
    def refused(self, refused: CommandRefused[Withdraw]) -> None: ...


class BreakRequested(Event, name="break.requested"):
    transfer_id: str
    account_id: str


class Breaker(ProcessManager, name="breaker", key="transfer_id"):
    """Asks an account for what it can't decide, and hears of it."""

    @starts
    def ask(self, requested: BreakRequested) -> Effects:
        yield Break(requested.account_id, requested.transfer_id)

    @ends(outcome="given up")
    def lost(self, lost: CommandGivenUp[Break]) -> None: ...
