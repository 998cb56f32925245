"""Runs of trio that are the same again by their seed: the one place that knows trio's private scheduling hook.

trio shuffles the tasks that are ready, so that nobody counts on their order. For hypothesis it has a hook that makes
the shuffling repeatable: a flag, and the random numbers that it draws from. The hook is private. If trio changes it,
`tests/testing/test_scheduling.py` fails and says what to do; only this file must change.
"""

from __future__ import annotations

import contextlib
import importlib
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import trio
from trio.testing import MockClock

T = TypeVar("T")

_FLAG = "_ALLOW_DETERMINISTIC_SCHEDULING"
_NUMBERS = "_r"


def run_seeded(main: Callable[[], Awaitable[T]], seed: int | str) -> T:
    """Run `main` in a trio run of its own, in virtual time that jumps ahead when all wait, its tasks as seeded.

    Raises:
        RuntimeError: it is called from inside of a trio run, or trio's hook is not where it was.
    """
    if trio.lowlevel.in_trio_run():
        msg = "a seeded run is a trio run of its own: call it from a plain `def test`, not from an `async def`"
        raise RuntimeError(msg)
    with _scheduled_by(random.Random(f"schedule {seed}")):  # noqa: S311 - the same numbers again are what is wanted
        return trio.run(main, clock=MockClock(autojump_threshold=0))


@contextlib.contextmanager
def _scheduled_by(numbers: random.Random) -> Iterator[None]:
    """Have trio shuffle by these numbers, and as it was before when the block ends."""
    hooked: Any = importlib.import_module("trio._core._run")
    was = getattr(hooked, _FLAG, None), getattr(hooked, _NUMBERS, None)
    if not isinstance(was[0], bool) or not isinstance(was[1], random.Random):
        msg = (
            f"trio {trio.__version__} has no {_FLAG} and {_NUMBERS} in trio._core._run any more; a seed can't decide"
            " the order of tasks: mend procession.testing.scheduling, or install a trio that pyproject.toml allows"
        )
        raise RuntimeError(msg)  # noqa: TRY004 - trio's fault, not that of an argument
    setattr(hooked, _FLAG, True)
    setattr(hooked, _NUMBERS, numbers)
    try:
        yield
    finally:
        setattr(hooked, _FLAG, was[0])
        setattr(hooked, _NUMBERS, was[1])
