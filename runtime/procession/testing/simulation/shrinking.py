"""Shrinking: take out of a failing plan what it does not need to fail, as long as there is something."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import attrs

from procession.testing.simulation.plan import Plan

T = TypeVar("T")
RUNS_MAX = 400


def shrunk(plan: Plan, fails: Callable[[Plan], bool]) -> tuple[Plan, int]:
    """A plan that still fails and from which nothing can be taken, and how many runs that took; bounded."""
    runs = 0
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(plan):
            if runs >= RUNS_MAX:
                return plan, runs
            runs += 1
            if fails(candidate):
                plan, smaller = candidate, True
                break
    return plan, runs


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with less in them, those with much less first."""
    if plan.constant:
        yield attrs.evolve(plan, constant=frozenset())
    yield from _halves(plan)
    for index in range(len(plan.publishes)):
        yield attrs.evolve(plan, publishes=_without(plan.publishes, index))
    yield from (attrs.evolve(plan, sendings=_without(plan.sendings, index)) for index in range(len(plan.sendings)))
    for index in range(len(plan.at_times)):
        yield attrs.evolve(plan, at_times=_without(plan.at_times, index))
    for index in range(len(plan.at_commits)):
        yield attrs.evolve(plan, at_commits=_without(plan.at_commits, index))
    for number in sorted(plan.at_reads):
        yield attrs.evolve(plan, at_reads=plan.at_reads - {number})
    for fault in sorted(plan.constant):
        yield attrs.evolve(plan, constant=plan.constant - {fault})
    if plan.ends_by_crash:
        yield attrs.evolve(plan, ends_by_crash=False)
    for index, publish in enumerate(plan.publishes):
        for which in range(len(publish.events) if len(publish.events) > 1 else 0):
            less = attrs.evolve(publish, events=_without(publish.events, which))
            yield attrs.evolve(plan, publishes=(*plan.publishes[:index], less, *plan.publishes[index + 1 :]))


def _halves(plan: Plan) -> Iterator[Plan]:
    size = len(plan.publishes)
    if size > 3:  # noqa: PLR2004 - below, one by one is as quick
        yield attrs.evolve(plan, publishes=plan.publishes[: size // 2])
        yield attrs.evolve(plan, publishes=plan.publishes[size // 2 :])


def _without(items: tuple[T, ...], index: int) -> tuple[T, ...]:
    return (*items[:index], *items[index + 1 :])
