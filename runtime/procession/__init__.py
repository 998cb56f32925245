"""procession: an embeddable, actor-based runtime for process managers.

The layers, each importing only from those above it in this list:

    errors                              every error, one tree
    telemetry  settings                 names of counters and spans; every knob
    primitives                          events, commands, process managers, gateways; pure
    actors  journal                     structured concurrency; the durable record
    laws  engine                        flows that survive
    facade                              Runtime
    wiring  testing                     settings and flows to a Runtime; the testing kit
    daemon                              doors for people and machines
"""

from procession.errors import ProcessionError, Refused
from procession.primitives.command import Command
from procession.primitives.effects import Effects, after, at, cancel, end, record
from procession.primitives.envelope import Envelope, Recorded
from procession.primitives.event import CancelRequested, CommandGivenUp, Event, FailureEvent
from procession.primitives.gateway import Attempt, Gateway
from procession.primitives.handlers import ends, folds, on, starts
from procession.primitives.process import ProcessManager

__all__ = [
    "Attempt",
    "CancelRequested",
    "Command",
    "CommandGivenUp",
    "Effects",
    "Envelope",
    "Event",
    "FailureEvent",
    "Gateway",
    "ProcessManager",
    "ProcessionError",
    "Recorded",
    "Refused",
    "after",
    "at",
    "cancel",
    "end",
    "ends",
    "folds",
    "on",
    "record",
    "starts",
]
