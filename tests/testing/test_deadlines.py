"""Which deadline may fire next is what some clock would allow, and nothing else."""

from __future__ import annotations

import itertools

import hypothesis
import hypothesis.strategies as st

from procession import Event
from procession.testing.exploring.deadlines import Deadlines


class Passed(Event, name="time.passed"):
    name: str


def armed(deadlines: Deadlines, *delays: tuple[str, int]) -> Deadlines:
    """One turn arms these."""
    fresh: dict[str, int] = {}
    for name, delay_us in delays:
        deadlines = deadlines.with_after(name, Passed(name), delay_us, fresh)
    return deadlines


def next_ones(deadlines: Deadlines) -> set[str]:
    return {deadlines.armed[index].name for index in deadlines.may_fire()}


def fired(deadlines: Deadlines, name: str) -> Deadlines:
    return deadlines.fired([one.name for one in deadlines.armed].index(name))


def test_of_two_that_one_turn_arms_the_shorter_fires_first() -> None:
    assert next_ones(armed(Deadlines(), ("long", 30), ("short", 10))) == {"short"}


def test_a_longer_one_that_a_later_turn_arms_fires_later() -> None:
    assert next_ones(armed(armed(Deadlines(), ("first", 30)), ("second", 40))) == {"first"}


def test_a_shorter_one_that_a_later_turn_arms_may_fire_before_or_after() -> None:
    assert next_ones(armed(armed(Deadlines(), ("first", 30)), ("second", 10))) == {"first", "second"}


def test_whatever_fires_its_time_has_passed_for_what_is_armed_after_it() -> None:
    left = fired(armed(Deadlines(), ("short", 20), ("long", 30)), "short")
    assert next_ones(armed(left, ("next", 15))) == {"long"}
    assert next_ones(armed(left, ("next", 5))) == {"long", "next"}


def test_the_order_in_which_deadlines_fired_tells_how_they_lay() -> None:
    both = armed(armed(Deadlines(), ("first", 30)), ("second", 10))
    assert next_ones(armed(fired(both, "second"), ("third", 31))) == {"first"}


def test_arming_a_name_again_replaces_it_and_disarming_forgets_it() -> None:
    again = armed(armed(Deadlines(), ("a", 10), ("b", 20)), ("a", 30))
    assert next_ones(again) == {"b"}
    assert again.disarmed("b").disarmed("a") == Deadlines()
    assert again.disarmed("c") is again


def test_absolute_times_are_compared_with_their_like_only() -> None:
    later = Deadlines().with_at("later", Passed("later"), 50, {}).with_at("sooner", Passed("sooner"), 40, {})
    assert next_ones(later) == {"sooner"}
    assert next_ones(armed(later, ("some", 1))) == {"sooner", "some"}


Turn = tuple[int, bool, list[tuple[str, int]]]
"""The time that has passed before it, whether the engine is late, and what the turn arms."""


@st.composite
def stories(draw: st.DrawFn) -> list[Turn]:
    delays = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4)), max_size=2)
    return draw(st.lists(st.tuples(st.integers(0, 3), st.booleans(), delays), min_size=1, max_size=6))


@hypothesis.given(stories())
def test_whatever_a_clock_lets_fire_next_may_fire_next(story: list[Turn]) -> None:
    now, due, deadlines = 0, dict[str, int](), Deadlines()
    for passed, late, arms in story:
        now += passed
        while not late and due and min(due.values()) <= now:
            first = min(due, key=lambda name: due[name])
            assert first in next_ones(deadlines)
            deadlines = fired(deadlines, first)
            del due[first]
        deadlines = armed(deadlines, *arms)
        due |= {name: now + delay for name, delay in arms}
    for name in sorted(due, key=lambda one: due[one]):
        assert name in next_ones(deadlines)
        deadlines = fired(deadlines, name)


def test_equal_futures_are_equal_values() -> None:
    ways = [armed(Deadlines(), *order) for order in itertools.permutations([("a", 10), ("b", 20), ("c", 30)])]
    assert set(ways) == {ways[0]}
