"""The dashboard to look at first."""

from __future__ import annotations

from collections.abc import Iterator

from procession.telemetry import names
from tests.grafana.panels import Json, Panel, Query, dashboard
from tests.grafana.queries import every, instances, more, quantiles, rate


def overview() -> Json:
    """All at one glance."""
    red = ((1.0, "red"),)
    return dashboard(
        "procession-overview",
        "procession: overview",
        "What comes in, what goes out, and whether anything stands still.",
        [instances()],
        [
            Panel(
                "Held",
                "1 while nothing is accepted.",
                (Query(f"max({every(names.HELD)})"),),
                kind="stat",
                width=4,
                at_stake=red,
            ),
            Panel(
                "Gateways up",
                "Whose breaker lets attempts through.",
                (Query(f"sum({every(names.GATEWAY_UP)})"),),
                kind="stat",
                width=4,
            ),
            Panel(
                "Flows in quarantine",
                "Set aside until somebody repairs them.",
                (Query(f"""sum({every(names.FLOWS, 'status="quarantined"')})"""),),
                kind="stat",
                width=4,
                at_stake=red,
            ),
            Panel(
                "Active flows",
                "Started, and not ended.",
                (Query(f"""sum({every(names.FLOWS, 'status="active"')})"""),),
                kind="stat",
                width=4,
            ),
            Panel(
                "Oldest pending event",
                "No turn has handled it; it should be seconds.",
                (Query(f"""max({every(names.OLDEST_EVENT, 'state="pending"')})"""),),
                "s",
                "stat",
                4,
                ((60.0, "orange"), (300.0, "red")),
            ),
            Panel(
                "Commands pending",
                "Open in the journal.",
                (Query(f"sum({every(names.COMMANDS_PENDING)})"),),
                kind="stat",
                width=4,
            ),
            Panel(
                "Events in",
                "Outside events, by what became of them.",
                (Query(rate(every("events_published"), "outcome"), "{{outcome}}"),),
                "eps",
            ),
            Panel(
                "Turns",
                "One flow handled one event; one that fails is counted at each try.",
                (Query(rate(every("turns"), "outcome"), "{{outcome}}"),),
                "ops",
            ),
            Panel(
                "Commands out",
                "Commands that ended, by gateway.",
                (Query(rate(every(names.COMMANDS_ENDED), "gateway"), "{{gateway}}"),),
                "ops",
            ),
            Panel("Wait", "From accepted to the start of the turn.", quantiles(every(names.EVENT_WAIT)), "s"),
            Panel(
                "Accept",
                "From the intake to durable, as a publisher sees it.",
                quantiles(every(names.EVENT_ACCEPT)),
                "s",
            ),
            Panel(
                "Flows",
                "Started and ended.",
                (Query(rate(every(names.FLOWS_STARTED)), "started"), Query(rate(every(names.FLOWS_ENDED)), "ended")),
                "ops",
            ),
            Panel(
                "From within",
                "Answers, deadlines, facts, acts.",
                (Query(rate(every("events_recorded"), "kind"), "{{kind}}"),),
                "eps",
            ),
            Panel(
                "Not handled by a turn",
                "By reason; late and ignored are often by design.",
                (Query(more(every("events_unhandled"), "reason"), "{{reason}}"),),
            ),
            Panel(
                "Large messages",
                "With more data than intake.payload_bytes_warn, by type, since the start.",
                (Query(f"sum by (type) ({every(names.PAYLOADS_LARGE)})", "{{type}}"),),
            ),
            Panel("What failed", "In the time that is shown.", tuple(_failures()), at_stake=red),
        ],
    )


def _failures() -> Iterator[Query]:
    yield Query(more(every("turns", 'outcome="failed"')), "turns")
    yield Query(more(every(names.FLOWS_QUARANTINED)), "flows set aside")
    yield Query(more(every(names.COMMANDS_ENDED, 'outcome="given_up"')), "commands given up")
    yield Query(more(every("commits", 'outcome="failed"')), "commits")
    yield Query(more(every("invariants_broken")), "invariants")
    yield Query(more(every("actors_restarted")), "parts restarted")
    yield Query(more(every("processes_paused")), "processes paused")
    yield Query(more(every("projections", 'what="failed"')), "projectors")
    yield Query(more(every("injectors_given_up")), "injectors given up")
    yield Query(more(every("facts_refused")), "injected facts refused")
    yield Query(more(every("telemetry_dropped")), "telemetry dropped")
