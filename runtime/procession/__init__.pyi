# The front door, as type checkers read it; `__init__.py` opens it lazily.

from procession.aggregate_handle import AggregateHandle as AggregateHandle
from procession.errors import ProcessionError as ProcessionError
from procession.errors import Refused as Refused
from procession.facade import Runtime as Runtime
from procession.facades import CommandFacade as CommandFacade
from procession.facades import QueryFacade as QueryFacade
from procession.flow_handle import FlowHandle as FlowHandle
from procession.flow_handle import FlowSummary as FlowSummary
from procession.gateways.http import HttpGateway as HttpGateway
from procession.gateways.http import HttpPolicy as HttpPolicy
from procession.gateways.http import HttpResponse as HttpResponse
from procession.gateways.subprocess import ProgramOutput as ProgramOutput
from procession.gateways.subprocess import ProgramPolicy as ProgramPolicy
from procession.gateways.subprocess import SubprocessGateway as SubprocessGateway
from procession.hosting import open_runtime as open_runtime
from procession.human.desk import Tasks as Tasks
from procession.human.gateway import HumanTasks as HumanTasks
from procession.human.gateway import asks as asks
from procession.human.listing import TaskView as TaskView
from procession.human.question import Question as Question
from procession.human.task import Escalation as Escalation
from procession.injectors.cloud_events import CloudEvents as CloudEvents
from procession.injectors.cloud_events import Document as Document
from procession.injectors.cron import Cron as Cron
from procession.injectors.json_lines import JsonLines as JsonLines
from procession.primitives.aggregate import Aggregate as Aggregate
from procession.primitives.allowance import allows as allows
from procession.primitives.command import Command as Command
from procession.primitives.effects import (
    Effects as Effects,
)
from procession.primitives.effects import (
    after as after,
)
from procession.primitives.effects import (
    at as at,
)
from procession.primitives.effects import (
    cancel as cancel,
)
from procession.primitives.effects import (
    end as end,
)
from procession.primitives.effects import (
    record as record,
)
from procession.primitives.envelope import Envelope as Envelope
from procession.primitives.envelope import Recorded as Recorded
from procession.primitives.event import (
    CancelRequested as CancelRequested,
)
from procession.primitives.event import (
    CommandGivenUp as CommandGivenUp,
)
from procession.primitives.event import CommandRefused as CommandRefused
from procession.primitives.event import (
    Event as Event,
)
from procession.primitives.event import (
    FailureEvent as FailureEvent,
)
from procession.primitives.gateway import Attempt as Attempt
from procession.primitives.gateway import AttemptFailed as AttemptFailed
from procession.primitives.gateway import Gateway as Gateway
from procession.primitives.gateway import RetryLater as RetryLater
from procession.primitives.handlers import applies as applies
from procession.primitives.handlers import decides as decides
from procession.primitives.handlers import ends as ends
from procession.primitives.handlers import folds as folds
from procession.primitives.handlers import on as on
from procession.primitives.handlers import starts as starts
from procession.primitives.history import History as History
from procession.primitives.injector import Injector as Injector
from procession.primitives.injector import Intake as Intake
from procession.primitives.invariant import Invariant as Invariant
from procession.primitives.invariant import invariant as invariant
from procession.primitives.lifts import Lift as Lift
from procession.primitives.lifts import lifts as lifts
from procession.primitives.outside import Outside as Outside
from procession.primitives.outside import Position as Position
from procession.primitives.process import ProcessManager as ProcessManager
from procession.primitives.projector import Projector as Projector
from procession.primitives.projector import Rows as Rows
from procession.primitives.projector import Store as Store
from procession.primitives.projector import projects as projects
from procession.primitives.projector import projects_columns as projects_columns
from procession.primitives.refusal import Refusal as Refusal
from procession.primitives.secrecy import secret as secret
from procession.primitives.wiring import Wiring as Wiring
from procession.projections.view import ProjectionInfo as ProjectionInfo
from procession.projections.view import Reading as Reading
from procession.reading.why import Why as Why
from procession.reading.why_not import WhyNot as WhyNot
from procession.send_errors import SendRefused as SendRefused
from procession.sending import Reply as Reply
from procession.settings import Settings as Settings

__all__ = [
    "Aggregate",
    "AggregateHandle",
    "Attempt",
    "AttemptFailed",
    "CancelRequested",
    "CloudEvents",
    "Command",
    "CommandFacade",
    "CommandGivenUp",
    "CommandRefused",
    "Cron",
    "Document",
    "Effects",
    "Envelope",
    "Escalation",
    "Event",
    "FailureEvent",
    "FlowHandle",
    "FlowSummary",
    "Gateway",
    "History",
    "HttpGateway",
    "HttpPolicy",
    "HttpResponse",
    "HumanTasks",
    "Injector",
    "Intake",
    "Invariant",
    "JsonLines",
    "Lift",
    "Outside",
    "Position",
    "ProcessManager",
    "ProcessionError",
    "ProgramOutput",
    "ProgramPolicy",
    "ProjectionInfo",
    "Projector",
    "QueryFacade",
    "Question",
    "Reading",
    "Recorded",
    "Refusal",
    "Refused",
    "Reply",
    "RetryLater",
    "Rows",
    "Runtime",
    "SendRefused",
    "Settings",
    "Store",
    "SubprocessGateway",
    "TaskView",
    "Tasks",
    "Why",
    "WhyNot",
    "Wiring",
    "after",
    "allows",
    "applies",
    "asks",
    "at",
    "cancel",
    "decides",
    "end",
    "ends",
    "folds",
    "invariant",
    "lifts",
    "on",
    "open_runtime",
    "projects",
    "projects_columns",
    "record",
    "secret",
    "starts",
]
