"""All names that are counted or traced, with what they mean. Plain integers: an increment costs 40 ns."""

from __future__ import annotations

import attrs

from procession.telemetry.metric import PREFIX, Metric


def _counter(help_text: str) -> int:
    return attrs.field(default=0, metadata={"help": help_text})


@attrs.define(eq=False)
class Counters:
    """Counts since this runtime was opened; each only grows."""

    events_accepted: int = _counter("Outside events accepted.")
    events_duplicate: int = _counter("Outside events that were here before, under the same id.")
    events_refused: int = _counter("Outside events refused; nothing of them was written.")
    answers_recorded: int = _counter("Events that gateways answered with.")
    deadlines_fired: int = _counter("Timers that became their event.")
    acts_recorded: int = _counter("Operator acts recorded.")
    facts_recorded: int = _counter("Events that flows recorded themselves.")
    turns_handled: int = _counter("Turns: one flow handled one event.")
    turns_failed: int = _counter("Turns that raised, counted at each try.")
    events_late: int = _counter("Events for a flow that had ended.")
    events_missing: int = _counter("Events for a flow that had not started.")
    events_already_started: int = _counter("Start events for a flow that had started.")
    events_after_end: int = _counter("Answers and deadlines for a flow that had ended.")
    events_unroutable: int = _counter("Answers and deadlines whose key could not be computed.")
    events_withdrawn: int = _counter("Fired deadlines that were cancelled before they were handled.")
    events_ignored: int = _counter("Events that a process ignores by declaration or has no handler for.")
    answers_late: int = _counter("Answers to a command that was given up or cancelled.")
    flows_started: int = _counter("Flows started.")
    flows_ended: int = _counter("Flows ended, with whatever outcome.")
    flows_cancelled: int = _counter("Flows cancelled by an operator.")
    flows_quarantined: int = _counter("Flows set aside.")
    flows_released: int = _counter("Flows that left quarantine.")
    flows_loaded: int = _counter("Flows folded from the journal.")
    flows_evicted: int = _counter("Flows that left memory.")
    processes_paused: int = _counter("Processes paused because too many of their flows failed.")
    commands_sent: int = _counter("Commands handed to a gateway, once each.")
    commands_answered: int = _counter("Commands answered.")
    commands_given_up: int = _counter("Commands given up.")
    commands_cancelled: int = _counter("Commands cancelled.")
    commands_decided: int = _counter("Commands that aggregates decided, into events or into nothing.")
    commands_refused: int = _counter("Commands that aggregates refused.")
    events_decided: int = _counter("Events that aggregates decided.")
    decisions_failed: int = _counter("Decisions that raised, counted at each try.")
    aggregates_set_aside: int = _counter("Aggregates whose past could not be folded.")
    aggregates_evicted: int = _counter("Aggregates that left memory.")
    attempts_started: int = _counter("Attempts at commands.")
    attempts_failed: int = _counter("Attempts that raised, timed out or answered wrongly.")
    attempts_cancelled: int = _counter("Attempts cancelled at shutdown or with their flow; outcome unknown.")
    breakers_opened: int = _counter("Times that a circuit breaker opened.")
    timers_armed: int = _counter("Timers set.")
    timers_cancelled: int = _counter("Timers disarmed.")
    commits: int = _counter("Transactions.")
    commits_failed: int = _counter("Transactions that failed by I/O.")
    rows_written: int = _counter("Events and steps written.")
    snapshots_taken: int = _counter("Snapshots written.")
    snapshots_unwritable: int = _counter("Snapshots that JSON could not hold; nothing but time is lost.")
    histories_judged: int = _counter("Histories judged by the invariants of their process, after one or more steps.")
    histories_not_judged: int = _counter("Histories too long to be judged, or not readable.")
    invariants_broken: int = _counter("Alerts: invariants found broken, once for each flow.")
    actors_restarted: int = _counter("Infrastructure actors started again after a failure.")
    turns_impure: int = _counter("Turns in which the guard found work, counted at each try.")
    turns_shadowed: int = _counter("Turns that ran again in a second process.")
    turns_differing: int = _counter("Turns that came out differently in the second process.")
    turns_unshadowed: int = _counter("Sampled turns that no second process ran: no room, no class, or no answer.")
    facts_refused: int = _counter("Facts that injectors brought and that were refused: malformed lines and the like.")
    injectors_given_up: int = _counter("Injectors that failed more often than supervision allows.")
    projection_batches: int = _counter("Batches of events folded into projections.")
    projectors_failed: int = _counter("Times that a projector failed and was started again, or stopped.")
    projections_rebuilt: int = _counter("Projections rebuilt and swapped.")
    watchers_overtaken: int = _counter("Followers that read on from the journal because they were slow.")
    metrics_dropped: int = _counter("Times that metrics were not delivered to their receiver.")
    telemetry_dropped: int = _counter("Spans that were not delivered: no room for them, or a receiver that took none.")
    log_dropped: int = _counter("Lines of the log that were not written: nobody read them, or there was no room.")

    def as_dict(self) -> dict[str, int]:
        """Every counter by its full name, `procession_events_accepted`."""
        return {f"{PREFIX}{field.name}": getattr(self, field.name) for field in attrs.fields(Counters)}


class Operation:
    """What a span tells of: the first word of its name, before what it was done to."""

    PUBLISH = "publish"
    """An event was accepted: until it was durable."""
    HANDLE = "handle"
    """A turn: one flow handled one event."""
    COMMIT = "commit"
    """The transaction that holds what a turn left."""
    SEND = "send"
    """A turn asked a gateway or an aggregate for something: until that was durable."""
    ARM = "arm"
    """A turn set a timer."""
    ATTEMPT = "attempt"
    """One call of a gateway."""
    DECIDE = "decide"
    """An aggregate decided a command."""


class Attribute:
    """Attributes of spans: by the conventions for messaging and CloudEvents where they have a name for it."""

    SYSTEM = "messaging.system"
    OPERATION = "messaging.operation.name"
    OPERATION_TYPE = "messaging.operation.type"
    DESTINATION = "messaging.destination.name"
    MESSAGE_ID = "messaging.message.id"
    FLOW = "messaging.message.conversation_id"
    BATCH = "messaging.batch.message_count"
    EVENT_ID = "cloudevents.event_id"
    EVENT_SOURCE = "cloudevents.event_source"
    EVENT_TYPE = "cloudevents.event_type"
    ERROR = "error.type"
    HANDLER = "procession.handler"
    VERSION = "procession.flow.version"
    POSITION = "procession.position"
    COMMAND = "procession.command"
    ATTEMPT = "procession.attempt"


@attrs.define(eq=False)
class HttpCounters:
    """What the HTTP facade refused since it was opened, before it looked at what was asked: exported by reason."""

    strangers: int = _counter("For want of a token that is known and valid.")
    roles: int = _counter("Because the role of their token may not.")
    rates: int = _counter("Because too many came from one token or one address.")
    connections: int = _counter("Because all connections that may be open were.")


def counter_help() -> dict[str, str]:
    """What each counter means, by full name; documentation and exporters read it."""
    return {f"{PREFIX}{field.name}": field.metadata["help"] for field in attrs.fields(Counters)}


# What is exported. One row is one name, in Prometheus and in OpenTelemetry; docs/telemetry.md has the same table.


def _count(name: str, unit: str, about: str, *labels: str) -> Metric:
    return Metric(name, "counter", unit, about, labels)


def _gauge(name: str, unit: str, about: str, *labels: str) -> Metric:
    return Metric(name, "gauge", unit, about, labels)


def _spread(name: str, unit: str, about: str, bounds: tuple[float, ...], *labels: str) -> Metric:
    return Metric(name, "histogram", unit, about, labels, bounds)


_TURN_S = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1)
_WAIT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 5, 60)
_CALL_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600)
_FLOW_S = (0.01, 0.1, 1, 10, 60, 300, 1_800, 3_600, 21_600, 86_400, 604_800, 2_592_000)
_COMMIT_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_ROWS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000)
_LATE_S = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600, 3_600)
_LAG_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
_RECOVERY_S = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300)

EVENT_ACCEPT = _spread("event_accept_duration", "s", "From the intake to durable, of one publish or send.", _WAIT_S)
EVENT_WAIT = _spread("event_wait", "s", "From accepted to the start of the turn that handles it.", _WAIT_S, "process")
TURN = _spread("turn_duration", "s", "One turn: fold, reaction, and its effects as rows.", _TURN_S, "process")
FLOW = _spread("flow_duration", "s", "From the start of a flow to its end.", _FLOW_S, "process")
COMMAND = _spread(
    "command_duration", "s", "From asked for, or read again after a start, to answered.", _CALL_S, "gateway"
)
ATTEMPT = _spread("attempt_duration", "s", "One attempt at a command, whatever it ended with.", _CALL_S, "gateway")
COMMIT = _spread("commit_duration", "s", "One transaction of the journal.", _COMMIT_S)
COMMITTING = _gauge("commit_running", "s", "How long the commit that runs now has taken; 0 where none does.")
COMMIT_ROWS = _spread("commit_rows", "{row}", "Events and steps in one transaction.", _ROWS)
TIMER_LATENESS = _spread("timer_lateness", "s", "From a deadline to its event.", _LATE_S)
LOOP_LAG = _spread(
    "loop_lag", "s", "How much later than asked for the loop would wake a task, at each 50 ms of the time.", _LAG_S
)
RECOVERY = _spread(
    "recovery_duration", "s", "From reading the journal until all that was undone is taken up.", _RECOVERY_S
)

FLOWS_STARTED = _count("flows_started", "{flow}", "Flows started.", "process")
FLOWS_ENDED = _count(
    "flows_ended", "{flow}", "Flows ended; an outcome that is not written in its code is other.", "process", "outcome"
)
FLOWS_QUARANTINED = _count("flows_quarantined", "{flow}", "Flows set aside.", "process")
COMMANDS_SENT = _count("commands_sent", "{command}", "Commands handed to a gateway, once each.", "gateway")
COMMANDS_ENDED = _count("commands_ended", "{command}", "Commands of gateways that ended.", "gateway", "outcome")
ATTEMPTS_STARTED = _count("attempts_started", "{attempt}", "Attempts at commands.", "gateway")
ATTEMPTS_ENDED = _count("attempts_ended", "{attempt}", "Attempts that ended.", "gateway", "outcome")
BREAKERS_OPENED = _count("breakers_opened", "{time}", "Times that a circuit breaker opened.", "gateway")

FLOWS = _gauge("flows", "{flow}", "Flows in the journal that have not ended.", "process", "status")
FLOWS_IN_MEMORY = _gauge("flows_in_memory", "{flow}", "Flows at work, and others whose state is cached.", "state")
EVENTS_UNDONE = _gauge("events_undone", "{event}", "Deliveries in the journal that no turn has handled.", "state")
OLDEST_EVENT = _gauge("oldest_event_age", "s", "Age of the oldest event that no turn has handled.", "state")
COMMANDS_PENDING = _gauge("commands_pending", "{command}", "Open commands in the journal.", "gateway")
TIMERS_PENDING = _gauge("timers_pending", "{timer}", "Deadlines armed in the journal.")
GATEWAY_UP = _gauge("gateway_up", "{gateway}", "0 while its breaker lets no attempt through.", "gateway")
GATEWAY_BREAKER = _gauge("gateway_breaker_state", "{state}", "0 closed, 1 half open, 2 open.", "gateway")
GATEWAY_PAUSED = _gauge("gateway_paused", "{gateway}", "1 while an operator holds its attempts back.", "gateway")
GATEWAY_QUEUE = _gauge("gateway_queue", "{command}", "Commands in memory that wait for an attempt.", "gateway")
GATEWAY_RUNNING = _gauge("gateway_running", "{attempt}", "Attempts under way.", "gateway")
HELD = _gauge("held", "{runtime}", "1 while nothing is accepted and no attempt begins.")
JOURNAL_SIZE = _gauge("journal_size", "By", "The journal's file, and its write-ahead log.", "file")
JOURNAL_DISK = _gauge("journal_disk", "By", "The disk that the journal lies on: what is free, and all.", "space")
HTTP_REFUSED = _count(
    "http_refused", "{request}", "Requests and connections refused before it was looked at what is asked.", "reason"
)
PAYLOADS_LARGE = _count("payloads_large", "{message}", "Messages with more data than payload_bytes_warn.", "type")
TASKS = _gauge("tasks", "{task}", "Tasks that live in this loop, those of the host too.")
BUILD = _gauge("build_info", "{build}", "1, with what runs.", "version", "schema", "python")

_COUNTED: dict[str, tuple[Metric, str]] = {}


def _of_counters(metric: Metric, **values: str) -> Metric:
    """A metric that is read from counters: the value of its one label, or `only`, with the counter."""
    for value, counter in values.items():
        _COUNTED[counter] = metric, value if metric.labels else ""
    return metric


METRICS: tuple[Metric, ...] = (
    _of_counters(
        _count("events_published", "{event}", "Outside events, by what became of them.", "outcome"),
        accepted="events_accepted",
        duplicate="events_duplicate",
        refused="events_refused",
    ),
    _of_counters(
        _count("events_recorded", "{event}", "Events that came from within.", "kind"),
        answer="answers_recorded",
        deadline="deadlines_fired",
        act="acts_recorded",
        fact="facts_recorded",
        decided="events_decided",
    ),
    _of_counters(
        _count("events_unhandled", "{event}", "Events that a process saw and no turn handled.", "reason"),
        late="events_late",
        missing="events_missing",
        already_started="events_already_started",
        after_end="events_after_end",
        unroutable="events_unroutable",
        withdrawn="events_withdrawn",
        ignored="events_ignored",
        late_answer="answers_late",
    ),
    EVENT_ACCEPT,
    PAYLOADS_LARGE,
    EVENT_WAIT,
    EVENTS_UNDONE,
    OLDEST_EVENT,
    _of_counters(
        _count("turns", "{turn}", "Turns; one that fails is counted at each try.", "outcome"),
        handled="turns_handled",
        failed="turns_failed",
    ),
    TURN,
    _of_counters(
        _count("turns_watched", "{turn}", "Turns that guard or shadow replay say something of.", "finding"),
        impure="turns_impure",
        shadowed="turns_shadowed",
        differing="turns_differing",
        unshadowed="turns_unshadowed",
    ),
    FLOWS_STARTED,
    FLOWS_ENDED,
    FLOWS_QUARANTINED,
    _of_counters(_count("flows_released", "{flow}", "Flows that left quarantine."), only="flows_released"),
    _of_counters(
        _count("flows_moved", "{flow}", "Flows folded from the journal, and flows that left memory.", "move"),
        loaded="flows_loaded",
        evicted="flows_evicted",
    ),
    FLOW,
    FLOWS,
    FLOWS_IN_MEMORY,
    _of_counters(
        _count("processes_paused", "{process}", "Processes paused because too many of their flows failed."),
        only="processes_paused",
    ),
    _of_counters(
        _count("decisions", "{decision}", "Commands of aggregates; a decision that raises, at each try.", "outcome"),
        decided="commands_decided",
        refused="commands_refused",
        failed="decisions_failed",
    ),
    _of_counters(
        _count("aggregates_moved", "{aggregate}", "Aggregates set aside, and those that left memory.", "move"),
        set_aside="aggregates_set_aside",
        evicted="aggregates_evicted",
    ),
    COMMANDS_SENT,
    COMMANDS_ENDED,
    COMMAND,
    COMMANDS_PENDING,
    ATTEMPTS_STARTED,
    ATTEMPTS_ENDED,
    ATTEMPT,
    BREAKERS_OPENED,
    GATEWAY_UP,
    GATEWAY_BREAKER,
    GATEWAY_PAUSED,
    GATEWAY_QUEUE,
    GATEWAY_RUNNING,
    _of_counters(
        _count("timers_set", "{timer}", "Timers set, and timers disarmed.", "act"),
        armed="timers_armed",
        cancelled="timers_cancelled",
    ),
    TIMERS_PENDING,
    TIMER_LATENESS,
    _of_counters(
        _count("commits", "{commit}", "Transactions; failed are those that failed by I/O.", "outcome"),
        done="commits",
        failed="commits_failed",
    ),
    _of_counters(_count("rows_written", "{row}", "Events and steps written."), only="rows_written"),
    COMMIT,
    COMMITTING,
    COMMIT_ROWS,
    _of_counters(
        _count("snapshots", "{snapshot}", "Snapshots written, and those that JSON could not hold.", "outcome"),
        taken="snapshots_taken",
        unwritable="snapshots_unwritable",
    ),
    _of_counters(
        _count("histories", "{history}", "Histories that invariants judged, or could not.", "outcome"),
        judged="histories_judged",
        not_judged="histories_not_judged",
    ),
    _of_counters(
        _count("invariants_broken", "{invariant}", "Invariants found broken, once for each flow."),
        only="invariants_broken",
    ),
    _of_counters(
        _count("actors_restarted", "{restart}", "Infrastructure actors started again after a failure."),
        only="actors_restarted",
    ),
    _of_counters(
        _count("facts_refused", "{fact}", "Facts that injectors brought and that were refused."), only="facts_refused"
    ),
    _of_counters(
        _count("injectors_given_up", "{injector}", "Injectors that failed more often than supervision allows."),
        only="injectors_given_up",
    ),
    _of_counters(
        _count("projections", "{time}", "What happened to projections: batches folded, failures, rebuilds.", "what"),
        batch="projection_batches",
        failed="projectors_failed",
        rebuilt="projections_rebuilt",
    ),
    _of_counters(
        _count("watchers_overtaken", "{watcher}", "Followers that read on from the journal: they were slow."),
        only="watchers_overtaken",
    ),
    _of_counters(
        _count("telemetry_dropped", "{item}", "What was not taken by a receiver or a log, or had no room.", "signal"),
        spans="telemetry_dropped",
        metrics="metrics_dropped",
        log="log_dropped",
    ),
    HTTP_REFUSED,
    HELD,
    RECOVERY,
    JOURNAL_SIZE,
    JOURNAL_DISK,
    LOOP_LAG,
    TASKS,
    BUILD,
)
"""Every name that leaves the process."""

COUNTED = dict(_COUNTED)
"""Counter -> the metric that it is exported under, and the value of its label."""

COUNTED_BY_OWNER: dict[str, Metric] = {
    "flows_started": FLOWS_STARTED,
    "flows_ended": FLOWS_ENDED,
    "flows_cancelled": FLOWS_ENDED,
    "flows_quarantined": FLOWS_QUARANTINED,
    "commands_sent": COMMANDS_SENT,
    "commands_answered": COMMANDS_ENDED,
    "commands_given_up": COMMANDS_ENDED,
    "commands_cancelled": COMMANDS_ENDED,
    "attempts_started": ATTEMPTS_STARTED,
    "attempts_failed": ATTEMPTS_ENDED,
    "attempts_cancelled": ATTEMPTS_ENDED,
    "breakers_opened": BREAKERS_OPENED,
}
"""Counters that are exported by process or gateway instead, each from where it is counted beside."""
