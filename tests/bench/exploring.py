"""Explorations of the reference flows, in turns a second of this process's own time; beside it, the same kind of turns
in a bare loop: what `explore` could reach if it kept no account of what it has seen.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from flows import batch_settlement, user_provisioning
from flows.batch_settlement import Batch, BatchReceived, ItemAbandoned, ItemRejected, ItemSettled, SettleItem
from flows.user_provisioning import Provisioning, ProvisioningRequested
from procession import CommandGivenUp, Event, ProcessManager, Settings
from procession.engine.turn import run_turn
from procession.primitives.definition import compile_definition
from procession.primitives.envelope import Envelope
from procession.testing.exploring.explorer import explore
from procession.testing.lone_flow import EFFECTS_MAX
from tests.bench.figures import Figures

_BARE_TURNS = 100_000


def measure(items: int) -> Figures:
    """A batch of so many items, and a user in two systems less; then a bare loop."""
    settings = Settings()
    batch = BatchReceived("73", tuple((f"item-{number}", number) for number in range(items)))
    user = ProvisioningRequested("ann", tuple(f"system-{number}" for number in range(max(1, items - 2))))
    gateways = batch_settlement.wire_testing(settings).gateways + user_provisioning.wire_testing(settings).gateways
    found: Figures = {"bare_turns_per_s": _bare()}
    for name, process, start in (("batch", Batch, batch), ("user", Provisioning, user)):
        began_s = time.process_time()
        report = explore(process, gateways=gateways, start=[start])
        found[f"{name}_turns_per_s"] = report.turns / (time.process_time() - began_s)
        found[f"{name}_turns"], found[f"{name}_states"] = report.turns, report.states
        report.assert_clean()
    return found


def _bare() -> float:
    definition = compile_definition(Batch)
    state: ProcessManager = Batch(expected=_BARE_TURNS)
    given_up = CommandGivenUp(SettleItem("73", "item-1", 1), "explored", "unknown", 1, "no answer")
    events: Sequence[Event] = (
        ItemSettled("73", "item-1"),
        given_up,
        ItemAbandoned("73", "item-1", "no answer"),
        ItemRejected("73", "item-1"),
    )
    began_s = time.process_time()
    for number in range(_BARE_TURNS):
        state = run_turn(definition, state, events[number % 4], "active", _no_envelope, EFFECTS_MAX).state
    return _BARE_TURNS / (time.process_time() - began_s)


def _no_envelope() -> Envelope:
    raise AssertionError("nobody asks for it")
