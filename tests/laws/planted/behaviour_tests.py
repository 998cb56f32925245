"""The same tests, of what a flow shows."""

from __future__ import annotations

from procession.testing import given
from tests.laws.planted.breach import placed_and_paid
from tests.laws.planted.elsewhere_tests import goes_on_after
from tests.laws.planted.messages import Declined, Note
from tests.laws.planted.shared import CountsInState as Counting
from tests.laws.planted.shared import FailureAnswered


def test_builds_the_state() -> None:
    given(FailureAnswered, *placed_and_paid()[:1]).when(Declined("o1", "no funds")).then(Note("o1", "no funds"))


def test_calls_a_fold() -> None:
    given(FailureAnswered, *placed_and_paid()[:1]).when(*placed_and_paid()[1:]).then_nothing()


def test_folds_by_the_engine() -> None:
    given(FailureAnswered, *placed_and_paid()).when(*placed_and_paid()[1:]).then_goes_on()


def test_reaches_into_the_kit() -> None:
    scenario = given(FailureAnswered, *placed_and_paid())
    scenario.when(*placed_and_paid()[1:]).then_unarmed()


def test_builds_the_state_by_another_name() -> None:
    of = Counting
    given(of).when(*placed_and_paid()[:1]).then(Note("o1", "1"))


def test_asks_a_helper_for_the_state() -> None:
    goes_on_after(placed_and_paid())
