"""Tests that look into a flow (law 10), each in a function of its own; their twins are in behaviour_tests.py.

They are never run: the check reads them.
"""

from __future__ import annotations

from procession.engine.turn import fold
from procession.primitives.definition import compile_definition
from procession.testing import given
from tests.laws.planted.breach import placed_and_paid
from tests.laws.planted.elsewhere_tests import state_after
from tests.laws.planted.messages import Paid
from tests.laws.planted.shared import CountsInState as Counting
from tests.laws.planted.shared import FailureAnswered


def test_builds_the_state() -> None:
    assert FailureAnswered(paid_cents=5).paid_cents == 5


def test_calls_a_fold() -> None:
    assert FailureAnswered.was_paid(given, Paid("o1", 5)) is not None  # type: ignore[arg-type]  # never run


def test_folds_by_the_engine() -> None:
    reaction = compile_definition(FailureAnswered).reactions[Paid]
    assert fold(reaction, given, Paid("o1", 5)) is not None  # type: ignore[type-var]  # never run


def test_reaches_into_the_kit() -> None:
    scenario = given(FailureAnswered, *placed_and_paid())
    assert scenario._flow is not None  # noqa: SLF001 - what is to be found


def test_builds_the_state_by_another_name() -> None:
    make = Counting
    assert make().placed == 0


def test_asks_a_helper_for_the_state() -> None:
    assert state_after(placed_and_paid()) is not None
