"""What a journal holds, in figures: for the summaries of `publish` and `demo`."""

from __future__ import annotations

from procession.daemon.output import Output
from procession.journal.rows import JournalCounts


def figures_json(counts: JournalCounts) -> dict[str, object]:
    """The figures as JSON holds them."""
    return {
        "events": counts.events,
        "events_by_type": counts.events_by_type,
        "steps": counts.steps,
        "flows": counts.flows,
        "aggregates": counts.aggregates,
        "outcomes": counts.outcomes,
        "commands": counts.commands,
        "timers": counts.timers,
        "deliveries": counts.deliveries,
        "unhandled": counts.unhandled,
    }


def print_figures(output: Output, counts: JournalCounts) -> None:
    """Flows by process, status and outcome; then what is still to come, and what no turn handled."""
    rows: list[tuple[str, str, str, str]] = []
    for process, statuses in sorted(counts.flows.items()):
        outcomes = counts.outcomes.get(process, {})
        rows += [(process, "ended", outcome, output.number(number)) for outcome, number in sorted(outcomes.items())]
        # A cancelled flow has the outcome of that name: it stands among the outcomes already.
        statuses_left = {status: number for status, number in statuses.items() if status not in ("ended", "cancelled")}
        rows += [(process, status, "", output.number(number)) for status, number in sorted(statuses_left.items())]
    if rows:
        output.table(("PROCESS", "STATUS", "OUTCOME", "FLOWS"), rows, status_column=1)
    else:
        output.say("no flow has started")


def late(counts: JournalCounts) -> int:
    """Events that came after the end of their flow."""
    return sum(reasons.get("late", 0) for reasons in counts.unhandled.values())


def remarks(output: Output, counts: JournalCounts) -> list[tuple[str, str]]:
    """What else is worth a line."""
    found = [("events in the journal", output.number(counts.events))]
    for aggregate, statuses in sorted(counts.aggregates.items()):
        found.append((f"aggregates {aggregate}", _listed(output, statuses)))
    if counts.commands:
        found.append(("commands", _listed(output, counts.commands)))
    for process, reasons in sorted(counts.unhandled.items()):
        found.append((f"no turn of {process}", _listed(output, reasons)))
    if counts.timers:
        found.append(("deadlines to come", output.number(counts.timers)))
    if counts.deliveries:
        found.append(("events that wait", _listed(output, counts.deliveries)))
    return found


def _listed(output: Output, numbers: dict[str, int]) -> str:
    return ", ".join(f"{output.number(number)} {name.replace('_', ' ')}" for name, number in sorted(numbers.items()))
