"""A load that walks every way through the engine: flows that do whatever their events tell them to."""

from __future__ import annotations

import random

from procession import Event
from procession.testing.simulation.runs import Simulation
from tests.engine.tally import Armed, Asked, Audit, Closed, Counted, Desk, Disarmed, Noted, Opened, Shared, Tally

KEYS = "abc"
_OPENED_SHARE = 0.7


def torture(chance: random.Random) -> list[Event]:
    """Events of a few flows, most of them opened first, all of them told to end at last."""
    opened = [Opened(key) for key in KEYS if chance.random() < _OPENED_SHARE]
    events = [_event(chance) for _ in range(chance.randint(4, 22))]
    return [*opened, *events, *(Closed(key) for key in KEYS)]


def _event(chance: random.Random) -> Event:
    key, number, timer = chance.choice(KEYS), chance.randint(0, 9), chance.choice(("tea", "egg"))
    keys = tuple(sorted({chance.choice(KEYS) for _ in range(chance.randint(0, 3))}))
    numbers = tuple(chance.randint(0, 9) for _ in range(chance.randint(1, 4)))
    return chance.choice(
        (
            Opened(key),
            Counted(key, number),
            Asked(key, numbers),
            Asked(key, numbers),
            Armed(key, timer, chance.choice((0.0, 0.5, 5.0, 40.0))),
            Armed(key, timer, chance.choice((0.5, 5.0, 40.0))),
            Disarmed(key, timer),
            Noted(key, chance.randint(0, 3)),
            Closed(key, chance.choice(("well", "badly"))),
            Shared(keys, number),
        )
    )


def tortured() -> Simulation:
    """It; flows that are never opened wait for ever, and audits never end."""
    return Simulation(load=torture, processes=[Tally, Audit], gateways=[Desk], may_wait=[Tally, Audit])
