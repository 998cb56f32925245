"""Marks: what a swarm of seeds must have been through, or its cleanness says little. Each is counted by seeds.

Some are read off a run: that each fault struck, and what rows it left. Others are rare ways through the engine; they
are seen by wrapping the function that is taken there.
"""

# Rare ways are private.

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from procession.engine import careful
from procession.engine.aggregate_host import AggregateHost
from procession.engine.answers import Answers, Verdict
from procession.engine.command_window import CommandWindow
from procession.engine.decisions import Decisions
from procession.engine.flow_host import FlowHost
from procession.engine.gateway_host import GatewayHost
from procession.engine.intake import Intake
from procession.engine.ledger import Ledger
from procession.engine.operator import Operator
from procession.engine.quarantine import Quarantine
from procession.engine.rehydrate import Rehydrator
from procession.engine.solo import Solo
from procession.engine.state_snapshots import StateSnapshots
from procession.engine.timers import Timers
from procession.engine.turns import Turns
from procession.testing.simulation.fault import OF_GATEWAYS, Fault
from procession.testing.simulation.machine import Run

WAYS: tuple[tuple[type, str], ...] = (
    (AggregateHost, "_load"),
    (AggregateHost, "_run_alone"),
    (Answers, "_too_late"),
    (Answers, "cancelled"),
    (Answers, "gave_up"),
    (CommandWindow, "drop_far"),
    (CommandWindow, "drop_waiting"),
    (Decisions, "cancel"),
    (Decisions, "from_flow"),
    (Decisions, "from_outside"),
    (Decisions, "give_up"),
    (FlowHost, "_keep_back"),
    (FlowHost, "_read_on"),
    (FlowHost, "_run_alone"),
    (GatewayHost, "_interrupted"),
    (GatewayHost, "_unmake"),
    (Intake, "submit_again"),
    (Ledger, "abandon"),
    (Ledger, "withdraw"),
    (Operator, "_cancel"),
    (Operator, "_release"),
    (Operator, "_retry_command"),
    (Operator, "_skip"),
    (Quarantine, "keep_back"),
    (Quarantine, "set_aside"),
    (Rehydrator, "_restore"),
    (Rehydrator, "_take_short"),
    (Solo, "mark"),
    (Timers, "_refill"),
    (Timers, "_shrink"),
    (StateSnapshots, "take"),
    (Turns, "_take_waiting"),
    (Turns, "_withdraw"),
    (Verdict, "failed"),
    (Verdict, "withdraw"),
)
_STRUCK = {
    Fault.CRASH: "crash: at a moment",
    Fault.CRASH_BEFORE_COMMIT: "crash: before commit",
    Fault.CRASH_AFTER_COMMIT: "crash: after commit",
    Fault.COMMIT_LOST: "commit: fails",
    Fault.COMMIT_KEPT: "commit: what failed is there all the same",
    Fault.COMMIT_REJECTED: "commit: is rejected",
    Fault.READS_FAIL: "read: fails",
    Fault.REOPEN_FAILS: "reopen: fails",
    Fault.RESTART: "end: in order",
    Fault.CLOCK_JUMPS: "clock: jumps by",
    Fault.OPERATOR: "operator: ",
}
"""By fault: how the trace tells of it."""
_REASONS = ("after_end", "already_started", "late", "late_answer", "missing", "withdrawn")
_COMMANDS = ("answered", "refused", "given_up", "cancelled")
_STATES = ("pending", "waiting", "quarantined")

ALL = frozenset(
    {
        *(f"fault {fault}" for fault in Fault),
        *(f"unhandled {reason}" for reason in _REASONS),
        *(f"command {state}" for state in _COMMANDS),
        *(f"left {state}" for state in _STATES),
        "left a snapshot of an aggregate",
        "died at its start",
        "ended by a crash",
        "was calm after many lives",
        *(f"{cls.__name__}.{name.lstrip('_')}" for cls, name in WAYS),
        "careful start",
    }
)
"""Every mark that some seed must hit."""

RARE = frozenset(
    {
        "AggregateHost.run_alone",
        "Answers.too_late",
        "Decisions.cancel",
        "Operator.skip",
        "Verdict.withdraw",
        "unhandled late_answer",
    }
)
"""Of these, marks that one seed in some hundreds hits: the long form must, the quick one need not."""


class Marks:
    """Counts the seeds that hit each mark, while `watching`."""

    def __init__(self) -> None:
        self.hit: Counter[str] = Counter()
        self.crashes = 0
        self._now: set[str] = set()

    @property
    def missed(self) -> list[str]:
        """Marks that no seed hit."""
        return sorted(ALL - self.hit.keys())

    def seen(self, run: Run) -> None:
        """One run is over."""
        self.crashes += sum(what == "crash" for _, what, _ in run.trace.entries)
        self.hit.update((self._now | set(_of_run(run))) & ALL)
        self._now.clear()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Rare ways are seen inside of the block; what they do is as it was."""
        with contextlib.ExitStack() as stack:
            for cls, name in WAYS:
                stack.enter_context(self._wrapped(cls, name, f"{cls.__name__}.{name.lstrip('_')}"))
            stack.enter_context(self._wrapped(careful, "_write_one", "careful start"))
            yield

    @contextlib.contextmanager
    def _wrapped(self, place: Any, name: str, mark: str) -> Iterator[None]:  # noqa: ANN401 - a class or a module
        whole: Callable[..., Any] = getattr(place, name)

        @functools.wraps(whole)
        def seen(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever it takes and gives
            self._now.add(mark)
            return whole(*args, **kwargs)

        setattr(place, name, seen)
        try:
            yield
        finally:
            setattr(place, name, whole)


def _of_run(run: Run) -> Iterator[str]:
    told = {f"{what}: {detail}" for _, what, detail in run.trace.entries if isinstance(detail, str)}
    for fault, sentence in _STRUCK.items():
        kind, _, said = sentence.partition(": ")
        if any(line.startswith(kind) and said in line for line in told):
            yield f"fault {fault}"
    for fault in OF_GATEWAYS:
        if fault is not Fault.SLOW_GATEWAYS and any(line.startswith(f"trouble: {fault}") for line in told):
            yield f"fault {fault}"
    yield from _of_plan(run)
    if any(line.startswith("end: could not open") for line in told):
        yield "died at its start"
    for contents in (*run.left, run.past.contents):
        yield from (f"unhandled {row.reason}" for row in contents.unhandled)
        yield from (f"command {row.state}" for row in contents.commands)
        yield from (f"left {row.state}" for row in contents.deliveries)
        aggregates = {row.name for row in contents.types if row.kind == "aggregate"}
        decided = {row.id for row in contents.flows if row.process in aggregates}
        if any(row.flow in decided for row in contents.snapshots):
            yield "left a snapshot of an aggregate"


def _of_plan(run: Run) -> Iterator[str]:
    plan = run.plan
    for fault in plan.constant & {Fault.SLOW_GATEWAYS, Fault.SLOW_JOURNAL, Fault.OTHER_CODE, Fault.SMALL_BOUNDS}:
        yield f"fault {fault}"
    published = Counter(one.id for publish in plan.publishes for one in publish.events)
    if max(published.values(), default=0) > 1:
        yield f"fault {Fault.DUPLICATES}"
    if plan.ends_by_crash:
        yield "ended by a crash"
    if run.lives >= _MANY_LIVES and run.calm:
        yield "was calm after many lives"


_MANY_LIVES = 7
