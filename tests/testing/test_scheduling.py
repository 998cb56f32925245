"""A seed decides the order of tasks. This file is where a new trio that changed its hook is noticed.

If `test_trio_still_has_the_hook` fails: trio's private names in `trio._core._run` have moved. Look there for what
`_hypothesis_plugin_setup` sets now (hypothesis needs the same hook), write those names into
`procession.testing.scheduling`, and see the other tests of this file pass. Until then keep the upper bound of trio in
`pyproject.toml`.
"""

# ruff: noqa: SLF001

from __future__ import annotations

import random

import pytest
import trio
import trio._core._run as hooked
from trio.testing import MockClock

from procession.testing.scheduling import run_seeded


async def order_of_tasks() -> list[int]:
    """In which order tasks came to their turn that all were ready at once."""
    found: list[int] = []

    async def step(number: int) -> None:
        for _ in range(3):
            await trio.lowlevel.checkpoint()
            found.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(step, number)
    return found


def test_trio_still_has_the_hook() -> None:
    assert isinstance(hooked._ALLOW_DETERMINISTIC_SCHEDULING, bool)
    assert isinstance(hooked._r, random.Random)


def test_a_seed_gives_the_same_order_again_and_another_seed_another() -> None:
    orders = [run_seeded(order_of_tasks, seed) for seed in (1, 2, 1, 2)]
    assert orders[0] == orders[2]
    assert orders[1] == orders[3]
    assert orders[0] != orders[1]


def test_trio_is_left_as_it_was_found_also_after_a_failure() -> None:
    async def fail() -> None:
        raise LookupError

    before = hooked._ALLOW_DETERMINISTIC_SCHEDULING, hooked._r
    with pytest.raises(LookupError):
        run_seeded(fail, 1)
    assert (hooked._ALLOW_DETERMINISTIC_SCHEDULING, hooked._r) == before


def test_a_seeded_run_inside_of_a_run_is_refused_with_the_cure() -> None:
    async def inner() -> None:
        run_seeded(order_of_tasks, 1)

    with pytest.raises(RuntimeError, match="plain `def test`"):
        trio.run(inner, clock=MockClock())


def test_a_trio_without_the_hook_is_refused_with_the_place_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(hooked, "_r")
    with pytest.raises(RuntimeError, match=r"procession\.testing\.scheduling"):
        run_seeded(order_of_tasks, 1)
