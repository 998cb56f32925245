"""The dashboard of processes and their flows."""

from __future__ import annotations

from procession.telemetry import names
from tests.grafana.panels import Json, Panel, Query, Variable, dashboard
from tests.grafana.queries import at, every, heat, instances, more, quantile, quantiles, rate


def flows() -> Json:
    """By process."""
    return dashboard(
        "procession-flows",
        "procession: flows",
        "Each process: how many flows, how long, how they end.",
        [instances(), Variable("process", names.FLOWS_STARTED.in_prometheus)],
        [
            Panel(
                "Flows that have not ended",
                "By process and status.",
                (Query(f"sum by (process, status) ({at(names.FLOWS)})", "{{process}} {{status}}"),),
            ),
            Panel("Started", "By process.", (Query(rate(at(names.FLOWS_STARTED), "process"), "{{process}}"),), "ops"),
            Panel(
                "Ended",
                "By process and outcome.",
                (Query(rate(at(names.FLOWS_ENDED), "process, outcome"), "{{process}} {{outcome}}"),),
                "ops",
            ),
            Panel(
                "How flows end",
                "In the time that is shown.",
                (Query(more(at(names.FLOWS_ENDED), "process, outcome"), "{{process}} {{outcome}}"),),
            ),
            Panel("How long flows live", "From start to end.", heat(at(names.FLOW)), "s", "heatmap", 16),
            Panel(
                "Wait (p99)",
                "From accepted to the start of the turn.",
                (Query(quantile(0.99, at(names.EVENT_WAIT), "process"), "{{process}}"),),
                "s",
            ),
            Panel("Wait", "From accepted to the start of the turn.", heat(at(names.EVENT_WAIT)), "s", "heatmap", 16),
            Panel(
                "Turns",
                "By process.",
                (Query(rate(at(names.TURN).replace("{", "_count{", 1), "process"), "{{process}}"),),
                "ops",
            ),
            Panel(
                "A turn (p99)",
                "Fold, reaction, and its effects as rows.",
                (Query(quantile(0.99, at(names.TURN), "process"), "{{process}}"),),
                "s",
            ),
            Panel("A turn", "Fold, reaction, and its effects as rows.", heat(at(names.TURN)), "s", "heatmap"),
            Panel(
                "Set aside and released",
                "Flows that went to quarantine, by process, and that left it.",
                (
                    Query(more(at(names.FLOWS_QUARANTINED), "process"), "{{process}}"),
                    Query(more(every("flows_released")), "released"),
                ),
            ),
            Panel(
                "Events that wait",
                "Deliveries in the journal that no turn has handled.",
                (Query(f"sum by (state) ({every(names.EVENTS_UNDONE)})", "{{state}}"),),
            ),
            Panel(
                "Age of the oldest",
                "Of an event that no turn has handled.",
                (Query(f"max by (state) ({every(names.OLDEST_EVENT)})", "{{state}}"),),
                "s",
            ),
            Panel(
                "In memory",
                "At work, and cached.",
                (Query(f"sum by (state) ({every(names.FLOWS_IN_MEMORY)})", "{{state}}"),),
            ),
            Panel(
                "Loaded and evicted",
                "Many mean that the cache is too small.",
                (Query(rate(every("flows_moved"), "move"), "{{move}}"),),
                "ops",
            ),
            Panel(
                "Deadlines", "Set and disarmed a second.", (Query(rate(every("timers_set"), "act"), "{{act}}"),), "ops"
            ),
            Panel("Deadlines armed", "In the journal.", (Query(f"sum({every(names.TIMERS_PENDING)})", "armed"),)),
            Panel("How late deadlines come", "From due to its event.", quantiles(every(names.TIMER_LATENESS)), "s"),
            Panel(
                "Decisions of aggregates",
                "By what became of them.",
                (Query(rate(every("decisions"), "outcome"), "{{outcome}}"),),
                "ops",
            ),
            Panel(
                "Invariants",
                "Histories judged; those found broken.",
                (
                    Query(rate(every("histories"), "outcome"), "{{outcome}}"),
                    Query(more(every("invariants_broken")), "broken"),
                ),
            ),
            Panel(
                "What guards found",
                "Turns that are not pure, or differ elsewhere.",
                (Query(more(every("turns_watched"), "finding"), "{{finding}}"),),
            ),
        ],
    )
