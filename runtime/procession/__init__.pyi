"""The front door, as type checkers read it; `__init__.py` opens it lazily."""

from procession.errors import ProcessionError as ProcessionError, Refused as Refused
from procession.facade import open_runtime as open_runtime, Runtime as Runtime
from procession.flow_handle import FlowHandle as FlowHandle, FlowSummary as FlowSummary
from procession.primitives.command import Command as Command
from procession.primitives.effects import (
    after as after,
    at as at,
    cancel as cancel,
    Effects as Effects,
    end as end,
    record as record,
)
from procession.primitives.envelope import Envelope as Envelope, Recorded as Recorded
from procession.primitives.event import (
    CancelRequested as CancelRequested,
    CommandGivenUp as CommandGivenUp,
    Event as Event,
    FailureEvent as FailureEvent,
)
from procession.primitives.gateway import Attempt as Attempt, Gateway as Gateway
from procession.primitives.handlers import ends as ends, folds as folds, on as on, starts as starts
from procession.primitives.process import ProcessManager as ProcessManager
from procession.primitives.wiring import Wiring as Wiring
from procession.publishing import Outside as Outside, Position as Position
from procession.settings import Settings as Settings

__all__ = [
    "Attempt",
    "CancelRequested",
    "Command",
    "CommandGivenUp",
    "Effects",
    "Envelope",
    "Event",
    "FailureEvent",
    "FlowHandle",
    "FlowSummary",
    "Gateway",
    "Outside",
    "Position",
    "ProcessManager",
    "ProcessionError",
    "Recorded",
    "Refused",
    "Runtime",
    "Settings",
    "Wiring",
    "after",
    "at",
    "cancel",
    "end",
    "ends",
    "folds",
    "on",
    "open_runtime",
    "record",
    "starts",
]
