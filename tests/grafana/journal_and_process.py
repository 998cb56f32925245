"""The dashboard of what all stands on."""

from __future__ import annotations

from procession.telemetry import names
from tests.grafana.panels import Json, Panel, Query, dashboard
from tests.grafana.queries import every, heat, instances, more, part, quantiles, rate


def journal_and_process() -> Json:
    """What it all stands on."""
    process = 'job="procession", instance=~"$instance"'
    return dashboard(
        "procession-journal",
        "procession: journal and process",
        "Commits, disk, the loop, and the process around them.",
        [instances()],
        [
            Panel(
                "Version",
                "What runs.",
                (
                    Query(
                        f"max by (version, schema, python) ({every(names.BUILD)})",
                        "{{version}}, schema {{schema}}, Python {{python}}",
                    ),
                ),
                kind="stat",
                width=8,
            ),
            Panel(
                "Recovery",
                "Of the latest starts and reopenings, on average.",
                (Query(f"sum({part(names.RECOVERY, 'sum')}) / sum({part(names.RECOVERY, 'count')})"),),
                "s",
                "stat",
                8,
            ),
            Panel(
                "Up for",
                "Since the process was started.",
                (Query(f"max(time() - process_start_time_seconds{{{process}}})"),),
                "s",
                "stat",
                8,
            ),
            Panel("Commits", "Done and failed.", (Query(rate(every("commits"), "outcome"), "{{outcome}}"),), "ops"),
            Panel("A commit", "One transaction.", quantiles(every(names.COMMIT)), "s"),
            Panel("A commit, in buckets", "One transaction.", heat(every(names.COMMIT)), "s", "heatmap"),
            Panel(
                "The commit that runs now",
                "How long it has taken; one that does not end is in no other picture.",
                (Query(f"max by (instance) ({every(names.COMMITTING)})", "{{instance}}"),),
                "s",
            ),
            Panel(
                "Rows in a commit",
                "Events and steps; more under load, so that each costs less.",
                quantiles(every(names.COMMIT_ROWS)),
            ),
            Panel("Rows", "Events and steps written a second.", (Query(rate(every("rows_written")), "rows"),), "wps"),
            Panel(
                "Snapshots",
                "Written; unwritable costs time and nothing else.",
                (Query(rate(every("snapshots"), "outcome"), "{{outcome}}"),),
                "ops",
            ),
            Panel(
                "Size of the journal",
                "Its file, and its write-ahead log.",
                (Query(f"sum by (file) ({every(names.JOURNAL_SIZE)})", "{{file}}"),),
                "bytes",
            ),
            Panel(
                "Free on its disk",
                "What this user may take.",
                (Query(f"""min({every(names.JOURNAL_DISK, 'space="free"')})""", "free"),),
                "bytes",
            ),
            Panel(
                "Full in",
                "At the pace of the last hour; nothing is shown while it does not shrink.",
                (
                    Query(
                        f"""clamp_min(predict_linear({every(names.JOURNAL_DISK, 'space="free"')}[1h], 86400), 0)""",
                        "free in a day",
                    ),
                ),
                "bytes",
            ),
            Panel("Loop lag", "How much later than asked for the loop woke.", quantiles(every(names.LOOP_LAG)), "s"),
            Panel(
                "Loop lag, in buckets",
                "How much later than asked for the loop woke.",
                heat(every(names.LOOP_LAG)),
                "s",
                "heatmap",
            ),
            Panel(
                "Tasks", "That live in the loop.", (Query(f"sum by (instance) ({every(names.TASKS)})", "{{instance}}"),)
            ),
            Panel(
                "Processor",
                "Of one core.",
                (Query(f"rate(process_cpu_seconds_total{{{process}}}[$__rate_interval])", "{{instance}}"),),
                "percentunit",
            ),
            Panel(
                "Memory", "Resident.", (Query(f"process_resident_memory_bytes{{{process}}}", "{{instance}}"),), "bytes"
            ),
            Panel(
                "Open files",
                "Beside the limit of the process.",
                (
                    Query(f"process_open_fds{{{process}}}", "{{instance}}"),
                    Query(f"process_max_fds{{{process}}}", "limit"),
                ),
            ),
            Panel(
                "Projections",
                "Batches folded, failures, rebuilds.",
                (Query(rate(every("projections"), "what"), "{{what}}"),),
                "ops",
            ),
            Panel(
                "Aggregates",
                "Set aside, and those that left memory.",
                (Query(more(every("aggregates_moved"), "move"), "{{move}}"),),
            ),
            Panel(
                "Followers overtaken",
                "They were slow, and read on from the journal.",
                (Query(more(every("watchers_overtaken")), "overtaken"),),
            ),
            Panel(
                "Refused at the door",
                "Requests and connections over HTTP, before it was looked at what is asked.",
                (Query(rate(every("http_refused"), "reason"), "{{reason}}"),),
                "ops",
            ),
        ],
    )
