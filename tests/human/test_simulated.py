"""Tasks that nobody answers, in a world that crashes, fails and repeats itself: each lapses, and its flow is told."""

from __future__ import annotations

import pytest

from flows.expense_approval import ApproveExpense, ExpenseFiled, wire_testing
from procession import Settings
from procession.testing import simulate
from procession.testing.simulation.fault import ALL, Fault
from tests.human.asking import asked


@pytest.mark.parametrize("seeds", [range(4), pytest.param(range(40), marks=pytest.mark.slow)], ids=len)
def test_every_flow_hears_that_nobody_answered_whatever_goes_wrong(seeds: range) -> None:
    # An operator who ends a task's own flow by force means it: nobody is told then.
    report = simulate(
        wire_testing(Settings()),
        load=[ExpenseFiled(str(number), "ann", 42_000, "a train") for number in range(6)],
        seeds=seeds,
        faults=ALL - {Fault.OPERATOR},
        outcomes={ApproveExpense: [asked]},
    )
    assert report.seeds == len(seeds)
    assert report.attempts >= 6 * len(seeds), "each expense was put to somebody"
