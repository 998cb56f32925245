"""What may go wrong in a simulation, and the random numbers by which it does."""

from __future__ import annotations

import enum
import random


class Fault(enum.StrEnum):
    """One kind of trouble. `simulate(faults=...)` takes a set of them; `ALL` is the default."""

    CRASH = "crash"
    """The process dies at any moment, gateway calls running."""
    CRASH_BEFORE_COMMIT = "crash before commit"
    CRASH_AFTER_COMMIT = "crash after commit"
    COMMIT_LOST = "commit lost"
    """A commit fails, and nothing of it was written."""
    COMMIT_KEPT = "commit kept"
    """A commit fails, and is there all the same once the journal was reopened."""
    COMMIT_REJECTED = "commit rejected"
    """The journal refuses a commit for its data."""
    REOPEN_FAILS = "reopen fails"
    """After a failed commit the journal can't be opened again for a while."""
    READS_FAIL = "reads fail"
    """A read of the journal raises."""
    RESTART = "restart"
    """The process ends in order and starts again."""
    DUPLICATES = "duplicates"
    """Events are published again under their ids, alone and among others."""
    CLOCK_JUMPS = "clock jumps"
    """The wall clock jumps, forwards and backwards."""
    SLOW_JOURNAL = "slow journal"
    SLOW_GATEWAYS = "slow gateways"
    FAILING_GATEWAYS = "failing gateways"
    """Calls raise."""
    HANGING_GATEWAYS = "hanging gateways"
    """Calls never return: their time-out ends them."""
    REFUSING_GATEWAYS = "refusing gateways"
    """Calls raise `Refused`: no for good."""
    STUBBORN_GATEWAYS = "stubborn gateways"
    """Calls answer after they were cancelled or timed out."""
    OPERATOR = "operator"
    """Somebody cancels, retries, releases or skips."""
    OTHER_CODE = "other code"
    """A start finds the snapshots of another version of the code."""
    SMALL_BOUNDS = "small bounds"
    """Mailboxes, windows, caches and pages as low as they go."""


ALL = frozenset(Fault)
"""Every kind of trouble."""

AT_COMMITS = (
    Fault.CRASH_BEFORE_COMMIT,
    Fault.CRASH_AFTER_COMMIT,
    Fault.COMMIT_LOST,
    Fault.COMMIT_KEPT,
    Fault.COMMIT_REJECTED,
)
AT_TIMES = (Fault.CRASH, Fault.RESTART, Fault.CLOCK_JUMPS, Fault.OPERATOR)
OF_GATEWAYS = (
    Fault.SLOW_GATEWAYS,
    Fault.FAILING_GATEWAYS,
    Fault.HANGING_GATEWAYS,
    Fault.REFUSING_GATEWAYS,
    Fault.STUBBORN_GATEWAYS,
)


def numbers(*parts: object) -> random.Random:
    """Random numbers that only depend on these parts, in every process and under every hash seed."""
    return random.Random(" ".join(map(str, parts)))  # noqa: S311 - the same numbers again are what is wanted
