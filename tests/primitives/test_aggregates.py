"""Aggregates as they are written: what can't work is refused where it stands, in one sentence with its cure."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from procession import (
    Aggregate,
    Attempt,
    CancelRequested,
    Command,
    CommandRefused,
    Event,
    Gateway,
    ProcessManager,
    Refusal,
    applies,
    decides,
    folds,
)
from procession.errors import DefinitionError, InvalidKey, InvalidPayload, WiringError
from procession.primitives.decisions import compile_aggregate
from procession.primitives.event import CommandDecided
from procession.primitives.registration import build_registry
from tests.engine.bank import (
    Account,
    Close,
    Deposit,
    Deposited,
    TooLittleMoney,
    Transfer,
    Withdraw,
    Withdrawn,
)


class Merge(Command, name="aggregates.merge"):
    source: str
    target: str


def a_decision_without_a_command() -> object:
    class Blank(Aggregate, name="blank", key="account_id"):
        @decides
        def deposit(self) -> Deposited: ...  # type: ignore[empty-body]  # what is to be refused

    return compile_aggregate(Blank)


def a_decision_on_an_event() -> object:
    class Wrong(Aggregate, name="wrong", key="account_id"):
        @decides
        def deposit(self, deposited: Deposited) -> Deposited:
            return deposited

    return compile_aggregate(Wrong)


def a_decision_that_says_nothing() -> object:
    class Silent(Aggregate, name="silent", key="account_id"):
        @decides
        def deposit(self, command: Deposit):  # type: ignore[no-untyped-def]  # noqa: ANN202 - what is to be refused
            return None

    return compile_aggregate(Silent)


def a_decision_that_returns_a_command() -> object:
    class Sending(Aggregate, name="sending", key="account_id"):
        @decides
        def deposit(self, command: Deposit) -> Withdraw:
            return Withdraw(command.account_id, 1)

    return compile_aggregate(Sending)


def a_decision_that_yields() -> object:
    class Yielding(Aggregate, name="yielding", key="account_id"):
        @decides
        def deposit(self, command: Deposit) -> Deposited:  # type: ignore[misc]  # what is to be refused
            yield Deposited(command.account_id, 1)

    return Yielding


def two_decisions_on_one_command() -> object:
    class Twice(Aggregate, name="twice", key="account_id"):
        @decides
        def deposit(self, command: Deposit) -> None: ...

        @decides
        def again(self, command: Deposit | Withdraw) -> None: ...

    return compile_aggregate(Twice)


def two_folds_of_one_event() -> object:
    class Folded(Account, name="folded", key="account_id"):
        @applies
        def again(self, deposited: Deposited | Withdrawn) -> Folded:
            return self

    return compile_aggregate(Folded)


def a_fold_of_an_own_event() -> object:
    class Own(Account, name="own", key="account_id"):
        @applies
        def decided(self, decided: CancelRequested) -> Own:
            return self

    return compile_aggregate(Own)


def no_decision() -> object:
    class Idle(Aggregate, name="idle", key="account_id"):
        @applies
        def deposited(self, deposited: Deposited) -> Idle:
            return self

    return compile_aggregate(Idle)


def no_key() -> object:
    class Keyless(Aggregate, name="keyless"):
        pass

    return Keyless


def a_name_with_a_slash() -> object:
    class Slashed(Aggregate, name="a/b", key="account_id"):
        pass

    return Slashed


def a_field_without_a_default() -> object:
    class Bare(Aggregate, name="bare", key="account_id"):
        balance_cents: int

    return Bare


def a_fold_marked_as_of_a_flow() -> object:
    class Mixed(Aggregate, name="mixed", key="account_id"):
        @folds
        def deposited(self, deposited: Deposited) -> Mixed:
            return self

    return Mixed


def a_decision_in_a_flow() -> object:
    class Deciding(ProcessManager, name="deciding", key="account_id"):
        @decides
        def deposit(self, command: Deposit) -> None: ...

    return Deciding


REFUSED: dict[Callable[[], object], tuple[str, str, str]] = {
    a_decision_without_a_command: ("Blank.deposit takes no command", "command class", ""),
    a_decision_on_an_event: ("Wrong.deposit decides Deposited, which is no command type", "command class", ""),
    a_decision_that_says_nothing: ("Silent.deposit returns nothing that is annotated", "annotate the return", ""),
    a_decision_that_returns_a_command: ("Sending.deposit returns Withdraw, which is no contract", "annotate", ""),
    a_decision_that_yields: ("Yielding.deposit decides and yields", "return the event", ""),
    two_decisions_on_one_command: ("Twice.again decides Deposit, as deposit does", "put both into one", ""),
    two_folds_of_one_event: ("Folded.again applies Deposited, as deposited does", "put both into one", ""),
    a_fold_of_an_own_event: ("an event of the runtime's own", "apply the events", ""),
    no_decision: ("Idle decides nothing", "@decides", ""),
    no_key: ("Keyless has no key", "key=", "LAW06"),
    a_name_with_a_slash: ("Slashed has the stored name 'a/b'", "printable", ""),
    a_field_without_a_default: ("Bare.balance_cents has no default", "give it one", ""),
    a_fold_marked_as_of_a_flow: ("Mixed.deposited is marked @folds", "@applies or @decides", ""),
    a_decision_in_a_flow: ("Deciding.deposit is marked @decides", "@folds or @starts or @on or @ends", ""),
}


@pytest.mark.parametrize("define", REFUSED, ids=lambda define: define.__name__)
def test_a_definition_that_cannot_work_is_refused(define: Callable[[], object]) -> None:
    found, cure, code = REFUSED[define]
    with pytest.raises(DefinitionError) as refused:
        define()
    assert (found in str(refused.value), cure in refused.value.cure, refused.value.code) == (True, True, code), str(
        refused.value
    )


# Keys.


class Merged(Account, name="merged", key="account_id"):
    @decides(key="target")
    def merge(self, command: Merge) -> None: ...

    @decides(key=lambda command: command.account_id.partition("/")[0])
    def close(self, command: Close) -> None: ...


def test_a_decision_may_name_another_key_or_a_function() -> None:
    definition = compile_aggregate(Merged)
    assert definition.key_of(Merge("a", "b")) == "b"
    assert definition.key_of(Close("a/1")) == "a"
    assert definition.key_of(Deposit("c", 1)) == "c"


def test_a_key_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidKey, match=r"the key of 'account.close' for 'merged' is empty"):
        compile_aggregate(Merged).key_of(Close("/1"))


# Receivers.


class Teller(Gateway, name="account_teller"):
    async def deposit(self, command: Deposit, attempt: Attempt) -> Deposited:
        return Deposited(command.account_id, command.amount_cents)


class SecondAccount(Aggregate, name="second", key="account_id"):
    @decides
    def deposit(self, command: Deposit) -> None: ...


class Teller2(Teller, name="account"):
    """Has an aggregate's name."""

    async def deposit(self, command: Merge, attempt: Attempt) -> None: ...  # type: ignore[override]  # another command


class Account2(ProcessManager, name="account", key="transfer_id"):
    take = Transfer.take


def test_a_command_has_one_receiver() -> None:
    with pytest.raises(WiringError, match=r"Account.deposit .*takes Deposit, as Teller.deposit"):
        build_registry((), [Teller()], aggregates=[Account])
    with pytest.raises(WiringError, match=r"SecondAccount.deposit takes Deposit, as Account.deposit"):
        build_registry((), (), aggregates=[Account, SecondAccount])


def test_names_are_given_once() -> None:
    with pytest.raises(WiringError, match="have the stored name 'account'"):
        build_registry((), [Teller2()], aggregates=[Account])
    with pytest.raises(WiringError, match="two process or aggregate classes have the stored name 'account'"):
        build_registry([Account2], (), aggregates=[Account])


# What is stored.


def test_news_of_a_command_survive_being_stored() -> None:
    codec = build_registry([Transfer], (), aggregates=[Account]).codec
    for news in (
        CommandRefused(Withdraw("a", 5, "t"), "c1", "account", "a", TooLittleMoney(3)),
        CommandDecided(Deposit("a", 5, "t"), "account", "a", "deposit", 1),
    ):
        assert codec.decode(type(news), codec.encode(news)) == news


def test_a_refusal_that_does_not_fit_is_not_stored() -> None:
    class Unheard(Refusal, name="aggregates.unheard"):
        cents: int

    class Happened(Event, name="aggregates.happened"):
        cents: int

    codec = build_registry((), (), aggregates=[Account]).codec
    stored = codec.encode(CommandRefused(Withdraw("a", 5, "t"), "c1", "account", "a", TooLittleMoney(3)))
    with pytest.raises(InvalidPayload, match=r"the refusal type 'account.too_little' is not registered"):
        codec.decode(CommandRefused, stored.replace(b"account.too_little_money", b"account.too_little"))
    with pytest.raises(InvalidPayload, match="missing_cents is str"):
        codec.encode(CommandRefused(Withdraw("a", 5), "c1", "account", "a", TooLittleMoney("3")))  # type: ignore[arg-type]  # what is to be refused
