"""Shadow replay of a history: what differs is named with its handler, and what can't run elsewhere is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from procession import Effects, Event, ProcessManager, starts
from procession.testing import shadow
from tests.engine.shadowed_flows import Allowed, Asked, Clocked, Counted, Ending, Honest, Ordered, Say


def test_a_pure_flow_is_the_same_elsewhere() -> None:
    seen = shadow(Honest, Asked("a"), Counted("a", 1, "ann"), Counted("a", 2, "bob"))
    seen.assert_clean()
    assert seen.turns == 4  # the question waited for the start, and the first count recorded a fact


def test_a_clock_is_found_with_its_handler() -> None:
    (difference,) = shadow(Clocked, Counted("a", 1), processes=1).differences
    assert difference.handler == "Clocked.counted"
    assert "has effect 0 (command shadowed.say) with text" in difference.found


def test_what_its_author_allowed_is_left_out() -> None:
    seen = shadow(Allowed, Counted("a", 1))
    assert (seen.turns, seen.differences) == (0, ())


def test_the_order_of_hashes_is_found() -> None:
    with pytest.raises(AssertionError, match=r"Ordered\.counted, when .*with text"):
        shadow(Ordered, Counted("a", 1, "ann"), processes=1).assert_clean()


def test_a_class_that_can_not_be_imported_is_told() -> None:
    class Local(ProcessManager, name="local", key="key"):
        @starts
        def counted(self, counted: Counted) -> Effects:
            yield Say(counted.key, "")

    with pytest.raises(AssertionError, match=r"Local can't be imported by its name; define it at the top"):
        shadow(Local, Counted("a", 1)).assert_clean()


def test_a_history_that_breaks_the_flow_is_refused() -> None:
    class Unlucky(Event, name="shadowed.unlucky"):
        key: str

    class Breaking(ProcessManager, name="breaking", key="key"):
        @starts
        def unlucky(self, unlucky: Unlucky) -> Effects:
            raise ValueError("unlucky")

    with pytest.raises(AssertionError, match=r"breaks the flow: unlucky: ValueError"):
        shadow(Breaking, Unlucky("a"))


def test_a_second_process_that_ends_is_told() -> None:
    with pytest.raises(AssertionError, match=r"ended with exit code 3 after 0 turns"):
        shadow(Ending, Counted("a", 2**40), processes=1)


def test_a_number_of_processes_out_of_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="give 1 to 16"):
        shadow(Honest, Counted("a", 1), processes=17)


def test_a_replay_leaves_this_process_as_it_is() -> None:
    before = dict(os.environ), Path.cwd()
    shadow(Honest, Counted("a", 1), processes=1).assert_clean()
    assert (dict(os.environ), Path.cwd()) == before
