"""The verdict on a run: what was seen while it ran, laws over its rows and commits, replay, invariants, rest."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from typing import TypeVar

from procession.laws.commits import broken_commits
from procession.laws.histories import LAWS, Past
from procession.primitives.invariant import Invariant
from procession.primitives.registry import Registry
from procession.testing.simulation.decided_again import decided_again
from procession.testing.simulation.machine import Breach, Run
from procession.testing.simulation.replay import replayed

T = TypeVar("T")
_SHOWN_MAX = 5
"""Of one rule's breaches."""


def judge(
    run: Run, registry: Registry, invariants: Sequence[Invariant], may_wait: Collection[str], *, commits: bool = True
) -> list[Breach]:
    """Every breach; of each rule the first ones.

    Args:
        run: what is left of it.
        registry: its classes.
        invariants: what must hold of each flow.
        may_wait: names of processes whose flows may wait for an event that never comes.
        commits: judge each commit too, not only what is left in the end.
    """
    found = list(run.breaches)
    for past in (*map(Past, run.left), run.past):
        for law in LAWS:
            found += [(law.__name__, breach) for breach in _first(law(past))]
    if commits:
        found += _first(broken_commits(run.commits))
    found += _first(replayed(run.past.contents, registry, invariants))
    found += _first(decided_again(run.past.contents, registry))
    if run.calm:
        found += _first(at_rest(run, may_wait))
    return found


def at_rest(run: Run, may_wait: Collection[str]) -> Iterator[Breach]:
    """When nothing went wrong any more, all came to its end: nothing is open, and who still waits may wait."""
    contents, rule = run.past.contents, "all_comes_to_rest"
    armed = {row.flow for row in contents.timers}
    for command in contents.commands:
        if command.state == "open":
            yield rule, f"the command {command.type} of {run.past.name(command.flow)} is still open"
    for timer in contents.timers:
        if timer.due_us < run.now_us - _LATE_US:
            yield rule, f"the timer {timer.name} of {run.past.name(timer.flow)} was due and did not fire"
    for delivery in contents.deliveries:
        if delivery.state == "pending":
            yield rule, f"event {delivery.position} waits for {run.past.name(delivery.flow)} and is not handled"
    aggregates = {row.name for row in contents.types if row.kind == "aggregate"}
    for flow in contents.flows:
        called = f"{flow.process}/{flow.key}"
        if flow.status == "quarantined":
            yield rule, f"{called} is in quarantine and stays there: {flow.reason}"
        elif flow.status == "active" and not (
            flow.process in aggregates or flow.id in armed or flow.id in run.left_alone or flow.process in may_wait
        ):
            yield rule, f"{called} waits for nothing and has not ended"


def _first(breaches: Iterator[T]) -> list[T]:
    return list(itertools.islice(breaches, _SHOWN_MAX))


_LATE_US = 1_000_000
