"""Whatever the wall clock does: no timer is lost, late, early, twice or out of order; and the checks can tell."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import hypothesis
import pytest
import trio
import trio.testing
from hypothesis import strategies as st

from tests.engine import clock_faults
from tests.engine.clock_acts import (
    AUTUMN,
    BERLIN,
    DAY_S,
    HOUR_S,
    SPRING,
    YEAR_S,
    Act,
    Arm,
    Jump,
    Restart,
    Suspend,
    Wait,
    played,
)
from tests.engine.clock_faults import Plant

SPANS = st.one_of(st.integers(0, 120), st.sampled_from([HOUR_S, DAY_S, YEAR_S]), st.integers(0, 40 * YEAR_S))
ACTS = st.one_of(
    st.builds(Arm, SPANS),
    st.builds(Jump, st.tuples(SPANS, st.sampled_from([-1, 1])).map(lambda drawn: drawn[0] * drawn[1])),
    st.builds(Suspend, SPANS),
    st.builds(Wait, st.floats(0, 90)),
    st.builds(Restart, SPANS),
)
OVERDUE = (Arm(3 * HOUR_S), Arm(2 * HOUR_S), Arm(DAY_S), Restart(YEAR_S), Arm(60))
"""Three timers come due while nobody runs."""
CASES: dict[str, tuple[Act, ...]] = {
    "set on by an hour": (Arm(HOUR_S), Arm(2 * HOUR_S), Jump(HOUR_S), Wait(2), Jump(HOUR_S), Wait(2)),
    "set back by an hour": (Arm(2), Jump(-HOUR_S), Arm(60), Wait(70), Jump(HOUR_S), Wait(2)),
    "set on by a year": (Arm(YEAR_S), Arm(2 * YEAR_S), Jump(YEAR_S), Wait(2), Arm(60), Wait(61)),
    "set back by a year": (Arm(DAY_S), Jump(-YEAR_S), Arm(DAY_S), Jump(DAY_S), Wait(2), Jump(YEAR_S), Wait(2)),
    "set on and back": (Arm(60), Jump(HOUR_S), Wait(2), Jump(-HOUR_S), Arm(60), Wait(90), Jump(HOUR_S), Wait(2)),
    "suspended for a night": (Arm(60), Arm(HOUR_S), Suspend(DAY_S // 3), Arm(60), Suspend(2 * HOUR_S)),
    "a day that is an hour shorter or longer": (Arm(HOUR_S), Arm(2 * HOUR_S), Arm(DAY_S), *[Suspend(HOUR_S)] * 26),
    "nobody ran when they came due": OVERDUE,
    "set back while nobody ran": (Arm(60), Arm(30), Restart(-HOUR_S), Wait(90), Restart(HOUR_S), Wait(2)),
}


@pytest.fixture(scope="module", autouse=True)
def place() -> Iterator[None]:
    """This process stands in Berlin, where the clock on the wall skips an hour, and has one twice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", BERLIN)
        time.tzset()
        yield
    time.tzset()


def breaches(acts: Sequence[Act], start_s: float) -> list[str]:
    return trio.run(played, acts, start_s, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.searches
@pytest.mark.parametrize("start_s", [SPRING, AUTUMN], ids=["spring", "autumn"])
@pytest.mark.parametrize("case", CASES)
def test_what_is_known_to_go_wrong_with_clocks_does_not(case: str, start_s: float) -> None:
    assert breaches(CASES[case], start_s) == []


@pytest.mark.searches
@pytest.mark.slow
@hypothesis.settings(max_examples=max(60, hypothesis.settings().max_examples))
@hypothesis.given(st.lists(ACTS, max_size=12), st.sampled_from([SPRING, AUTUMN]))
def test_each_timer_fires_once_in_order_and_not_before_its_time(acts: list[Act], start_s: float) -> None:
    assert breaches(acts, start_s) == []


@pytest.mark.parametrize(
    ("fault", "case", "found"),
    [
        (clock_faults.waits_by_the_loops_clock, "suspended for a night", "was due and had not fired a second later"),
        (clock_faults.takes_no_notice_of_a_clock_set_back, "set on and back", "before its time"),
        (clock_faults.keeps_what_it_fired, "nobody ran when they came due", "fired 2 times"),
        (clock_faults.drops_what_is_overdue_at_a_start, "nobody ran when they came due", "fired 0 times"),
        (clock_faults.fires_overdue_ones_as_they_were_armed, "nobody ran when they came due", "and fired after it"),
        (clock_faults.begins_before_it_has_caught_up, "nobody ran when they came due", "came after something newer"),
    ],
)
def test_a_planted_fault_is_found(fault: Plant, case: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault(monkeypatch)
    said = breaches(CASES[case], SPRING)
    assert any(found in breach for breach in said), said


@pytest.mark.parametrize(
    ("start_s", "found"), [(SPRING, "before its time"), (AUTUMN, "was due and had not fired a second later")]
)
def test_deadlines_in_local_time_are_found(start_s: float, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock_faults.reckons_in_local_time(monkeypatch)
    said = breaches(CASES["a day that is an hour shorter or longer"], start_s)
    assert any(found in breach for breach in said), said
