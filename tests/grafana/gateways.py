"""The dashboard of gateways and their commands."""

from __future__ import annotations

from procession.telemetry import names
from tests.grafana.panels import Json, Panel, Query, Variable, dashboard
from tests.grafana.queries import at, heat, instances, more, quantile, rate, share


def gateways() -> Json:
    """By gateway."""
    return dashboard(
        "procession-gateways",
        "procession: gateways",
        "Each gateway: attempts, how long, breaker, what waits.",
        [instances(), Variable("gateway", names.COMMANDS_SENT.in_prometheus)],
        [
            Panel(
                "Breaker",
                "0 closed, 1 half open, 2 open.",
                (Query(f"max by (gateway) ({at(names.GATEWAY_BREAKER)})", "{{gateway}}"),),
                kind="stat",
                width=12,
                at_stake=((1.0, "orange"), (2.0, "red")),
            ),
            Panel(
                "Paused",
                "1 while an operator holds its attempts back.",
                (Query(f"max by (gateway) ({at(names.GATEWAY_PAUSED)})", "{{gateway}}"),),
                kind="stat",
                width=6,
                at_stake=((1.0, "orange"),),
            ),
            Panel(
                "Up",
                "0 while its breaker is open.",
                (Query(f"min by (gateway) ({at(names.GATEWAY_UP)})", "{{gateway}}"),),
                kind="stat",
                width=6,
            ),
            Panel(
                "Commands sent", "Once each.", (Query(rate(at(names.COMMANDS_SENT), "gateway"), "{{gateway}}"),), "ops"
            ),
            Panel(
                "Commands ended",
                "Answered, given up, cancelled.",
                (Query(rate(at(names.COMMANDS_ENDED), "gateway, outcome"), "{{gateway}} {{outcome}}"),),
                "ops",
            ),
            Panel(
                "Attempts",
                "By what they ended with.",
                (Query(rate(at(names.ATTEMPTS_ENDED), "gateway, outcome"), "{{gateway}} {{outcome}}"),),
                "ops",
            ),
            Panel("An attempt", "Whatever it ended with.", heat(at(names.ATTEMPT)), "s", "heatmap", 16),
            Panel(
                "An attempt (p99)",
                "Whatever it ended with.",
                (Query(quantile(0.99, at(names.ATTEMPT), "gateway"), "{{gateway}}"),),
                "s",
            ),
            Panel("A command", "From asked for to answered.", heat(at(names.COMMAND)), "s", "heatmap", 16),
            Panel(
                "A command (p99)",
                "From asked for to answered.",
                (Query(quantile(0.99, at(names.COMMAND), "gateway"), "{{gateway}}"),),
                "s",
            ),
            Panel(
                "Share of attempts that fail",
                "By gateway.",
                (
                    Query(
                        share(at(names.ATTEMPTS_ENDED, 'outcome="failed"'), at(names.ATTEMPTS_ENDED), "gateway"),
                        "{{gateway}}",
                    ),
                ),
                "percentunit",
            ),
            Panel(
                "Under way",
                "Attempts; beside them, commands in memory that wait for one.",
                (
                    Query(f"sum by (gateway) ({at(names.GATEWAY_RUNNING)})", "{{gateway}} under way"),
                    Query(f"sum by (gateway) ({at(names.GATEWAY_QUEUE)})", "{{gateway}} waiting"),
                ),
            ),
            Panel(
                "Open commands",
                "In the journal.",
                (Query(f"sum by (gateway) ({at(names.COMMANDS_PENDING)})", "{{gateway}}"),),
            ),
            Panel(
                "Attempts for a command",
                "More than one means retries.",
                (
                    Query(
                        share(at(names.ATTEMPTS_STARTED), at(names.COMMANDS_SENT), "gateway"),
                        "{{gateway}}",
                    ),
                ),
            ),
            Panel(
                "Breakers opened",
                "In the time that is shown.",
                (Query(more(at(names.BREAKERS_OPENED), "gateway"), "{{gateway}}"),),
            ),
            Panel(
                "Given up",
                "In the time that is shown.",
                (Query(more(at(names.COMMANDS_ENDED, 'outcome="given_up"'), "gateway"), "{{gateway}}"),),
            ),
        ],
    )
