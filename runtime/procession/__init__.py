"""procession: an embeddable, actor-based runtime for process managers.

The layers, each importing only from those above it in this list:

    errors                              every error, one tree
    telemetry  settings                 names of counters and spans; every knob
    primitives                          events, commands, process managers, gateways; pure
    actors  journal                     structured concurrency; the durable record
    laws  engine                        flows that survive
    reading                             what happened, why, and what would happen
    injectors                           ready-made ways in: a followed file, a schedule, CloudEvents
    facade                              Runtime
    gateways  human                     ready-made: HTTP, programs; tasks for people
    embed                               Runtime for asyncio and for threads
    wiring  testing                     settings and flows to a Runtime; the testing kit
    daemon                              doors for people and machines
"""

import importlib

_HOMES = {
    "Aggregate": "procession.primitives.aggregate",
    "AggregateHandle": "procession.aggregate_handle",
    "Attempt": "procession.primitives.gateway",
    "AttemptFailed": "procession.primitives.gateway",
    "CancelRequested": "procession.primitives.event",
    "CloudEvents": "procession.injectors.cloud_events",
    "Command": "procession.primitives.command",
    "CommandFacade": "procession.facades",
    "CommandGivenUp": "procession.primitives.event",
    "CommandRefused": "procession.primitives.event",
    "Cron": "procession.injectors.cron",
    "Document": "procession.injectors.cloud_events",
    "Effects": "procession.primitives.effects",
    "Envelope": "procession.primitives.envelope",
    "Escalation": "procession.human.task",
    "Event": "procession.primitives.event",
    "FailureEvent": "procession.primitives.event",
    "FlowHandle": "procession.flow_handle",
    "FlowSummary": "procession.flow_handle",
    "Gateway": "procession.primitives.gateway",
    "History": "procession.primitives.history",
    "HttpGateway": "procession.gateways.http",
    "HttpPolicy": "procession.gateways.http",
    "HttpResponse": "procession.gateways.http",
    "HumanTasks": "procession.human.gateway",
    "Injector": "procession.primitives.injector",
    "Intake": "procession.primitives.injector",
    "Invariant": "procession.primitives.invariant",
    "JsonLines": "procession.injectors.json_lines",
    "Lift": "procession.primitives.lifts",
    "Outside": "procession.primitives.outside",
    "Position": "procession.primitives.outside",
    "ProcessManager": "procession.primitives.process",
    "ProcessionError": "procession.errors",
    "ProgramOutput": "procession.gateways.subprocess",
    "ProgramPolicy": "procession.gateways.subprocess",
    "ProjectionInfo": "procession.projections.view",
    "Projector": "procession.primitives.projector",
    "QueryFacade": "procession.facades",
    "Question": "procession.human.question",
    "Reading": "procession.projections.view",
    "Recorded": "procession.primitives.envelope",
    "Refusal": "procession.primitives.refusal",
    "Refused": "procession.errors",
    "Reply": "procession.sending",
    "RetryLater": "procession.primitives.gateway",
    "Rows": "procession.primitives.projector",
    "Runtime": "procession.facade",
    "SendRefused": "procession.send_errors",
    "Settings": "procession.settings",
    "Store": "procession.primitives.projector",
    "SubprocessGateway": "procession.gateways.subprocess",
    "TaskView": "procession.human.listing",
    "Tasks": "procession.human.desk",
    "Why": "procession.reading.why",
    "WhyNot": "procession.reading.why_not",
    "Wiring": "procession.primitives.wiring",
    "after": "procession.primitives.effects",
    "allows": "procession.primitives.allowance",
    "applies": "procession.primitives.handlers",
    "asks": "procession.human.gateway",
    "at": "procession.primitives.effects",
    "cancel": "procession.primitives.effects",
    "decides": "procession.primitives.handlers",
    "end": "procession.primitives.effects",
    "ends": "procession.primitives.handlers",
    "folds": "procession.primitives.handlers",
    "invariant": "procession.primitives.invariant",
    "lifts": "procession.primitives.lifts",
    "on": "procession.primitives.handlers",
    "open_runtime": "procession.hosting",
    "projects": "procession.primitives.projector",
    "projects_columns": "procession.primitives.projector",
    "record": "procession.primitives.effects",
    "secret": "procession.primitives.secrecy",
    "starts": "procession.primitives.handlers",
}
"""Where each public name lives. Names are imported when they are first used, so that `procession --help` is quick."""


def __getattr__(name: str) -> object:
    """A public name, imported from its home.

    Raises:
        AttributeError: there is no such name.
    """
    home = _HOMES.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value: object = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


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
