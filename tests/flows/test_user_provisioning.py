"""User provisioning, by what it asks for."""

from __future__ import annotations

from itertools import permutations
from typing import Literal

import pytest

from flows.user_provisioning import (
    AccountCreated,
    AccountLost,
    AccountRefused,
    AccountRemoved,
    CreateAccount,
    Provisioning,
    ProvisioningRequested,
    RemoveAccount,
)
from procession import CommandGivenUp
from procession.testing.scenario import given

requested = given(Provisioning, ProvisioningRequested("abc", ("mail", "chat", "payroll")))
mail, chat, payroll = (AccountCreated("abc", system) for system in ("mail", "chat", "payroll"))


def given_up(system: str, reason: Literal["refused", "unknown"]) -> CommandGivenUp[CreateAccount]:
    return CommandGivenUp(CreateAccount("abc", system), "c1", reason, 5, "OutsideError: no answer")


def test_all_systems_are_asked_at_once() -> None:
    asked = (CreateAccount("abc", "chat"), CreateAccount("abc", "mail"), CreateAccount("abc", "payroll"))
    given(Provisioning).when(ProvisioningRequested("abc", ("payroll", "mail", "chat"))).then(*asked)


def test_a_system_named_twice_is_asked_once() -> None:
    given(Provisioning).when(ProvisioningRequested("abc", ("mail", "mail"))).then(CreateAccount("abc", "mail"))


def test_a_user_without_systems_is_provisioned_at_once() -> None:
    given(Provisioning).when(ProvisioningRequested("abc", ())).then_ends("provisioned")


@pytest.mark.parametrize("answers", list(permutations((mail, chat, payroll))), ids=str)
def test_the_last_account_ends_the_flow_in_any_order(answers: tuple[AccountCreated, ...]) -> None:
    requested.when(*answers[:-1]).then_goes_on().when(answers[-1]).then_ends("provisioned")


def test_the_first_refusal_removes_what_was_created() -> None:
    refused = requested.when(mail, chat).when(AccountRefused("abc", "payroll"))
    refused.then(RemoveAccount("abc", "chat"), RemoveAccount("abc", "mail"))


def test_an_account_created_after_a_refusal_is_removed() -> None:
    requested.when(AccountRefused("abc", "payroll")).when(mail).then(RemoveAccount("abc", "mail"))


def test_a_second_refusal_removes_nothing_twice() -> None:
    requested.when(mail, AccountRefused("abc", "payroll")).when(AccountRefused("abc", "chat")).then_nothing()


def test_a_rollback_waits_for_systems_that_have_not_answered() -> None:
    refused = requested.when(mail, AccountRefused("abc", "payroll"))
    refused.when(AccountRemoved("abc", "mail")).then_goes_on()


def test_a_rollback_ends_when_nothing_is_left() -> None:
    refused = requested.when(mail, AccountRefused("abc", "payroll"), AccountRefused("abc", "chat"))
    refused.when(AccountRemoved("abc", "mail")).then_ends("rolled_back")


def test_a_user_refused_everywhere_is_rolled_back_without_a_removal() -> None:
    refused = requested.when(AccountRefused("abc", "mail"), AccountRefused("abc", "chat"))
    refused.when(AccountRefused("abc", "payroll")).then_ends("rolled_back")


def test_an_account_that_may_exist_is_removed() -> None:
    outcome = requested.when(mail).when(given_up("chat", "unknown"))
    outcome.then_recorded(AccountLost("abc", "chat", perhaps_created=True))
    outcome.then(RemoveAccount("abc", "chat"), RemoveAccount("abc", "mail"))


def test_a_second_account_that_may_exist_is_removed_alone() -> None:
    requested.when(mail, given_up("chat", "unknown")).when(given_up("payroll", "unknown")).then(
        RemoveAccount("abc", "payroll")
    )


def test_an_account_that_was_refused_for_good_is_not_removed() -> None:
    requested.when(mail).when(given_up("chat", "refused")).then(RemoveAccount("abc", "mail"))


def test_a_removal_given_up_needs_a_person() -> None:
    refused = requested.when(mail, AccountRefused("abc", "payroll"))
    lost = CommandGivenUp(RemoveAccount("abc", "mail"), "c2", "unknown", 5, "OutsideError: no answer")
    refused.when(lost).then_quarantined("RemoveAccount")


def test_an_answer_after_the_end_is_late() -> None:
    requested.when(mail, chat, payroll).when(mail).then_refused("late")
