"""All names that are counted or traced, with what they mean. Plain integers: an increment costs 40 ns."""

from __future__ import annotations

import attrs

PREFIX = "procession_"


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

    def as_dict(self) -> dict[str, int]:
        """Every counter by its full name, `procession_events_accepted`."""
        return {f"{PREFIX}{field.name}": getattr(self, field.name) for field in attrs.fields(Counters)}


@attrs.define(eq=False)
class HttpCounters:
    """What the HTTP facade refused since it was opened, before it looked at what was asked."""

    http_strangers_refused: int = _counter("Requests refused for want of a token that is known and valid.")
    http_roles_refused: int = _counter("Requests refused because the role of their token may not.")
    http_rates_refused: int = _counter("Requests refused because too many came from one token or one address.")
    http_connections_refused: int = _counter("Connections closed because all that may be open were.")

    def as_dict(self) -> dict[str, int]:
        """As `Counters.as_dict`."""
        return {f"{PREFIX}{field.name}": getattr(self, field.name) for field in attrs.fields(HttpCounters)}


def counter_help(of: type[Counters | HttpCounters] = Counters) -> dict[str, str]:
    """What each counter means, by full name; documentation and exporters read it."""
    return {f"{PREFIX}{field.name}": field.metadata["help"] for field in attrs.fields(of)}
