"""The flows that the lab's daemons run: the story, before a world whose pace the environment names, and a crowd."""

from __future__ import annotations

import os
import random

from procession import Wiring
from tests.crash.crowded_flows import Crowd
from tests.crash.lines import LineLog
from tests.crash.story import Bank, Batch, Order, Shop, World

EFFECTS = "LAB_EFFECTS"
"""The file that gateways log to."""
LATENCY_MS = "LAB_LATENCY_MS"
"""The longest that a gateway takes."""


def wire_production(settings: object) -> Wiring:
    outside = World(LineLog(os.environ[EFFECTS]), random.Random(os.getpid()), float(os.environ[LATENCY_MS]))
    return Wiring(processes=(Order, Batch, Crowd), gateways=(Shop(outside), Bank(outside)))


wire_testing = wire_production
