"""`procession salvage`: every whole flow of a damaged journal into a new one, and a list of what is lost."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterable

from procession.daemon.durations import human
from procession.daemon.exit_codes import ExitCode, NoSuchFile, UsageRefused
from procession.daemon.output import Output
from procession.daemon.progress import Progress
from procession.journal.salvage import Salvaged, Span, salvage
from procession.journal.salvage_judge import LeftOut

_SPANS_MAX = 1_000


def run(options: argparse.Namespace, output: Output) -> int:
    """Salvage; 1 where something was lost, whatever was kept."""
    if not os.path.lexists(options.source):
        raise NoSuchFile(options.source, "name the damaged journal")
    if os.path.lexists(options.target):
        raise UsageRefused(
            f"{options.target} exists, and a salvage overwrites nothing", "name a file that is not there"
        )
    source = os.path.realpath(options.source)
    began, progress = time.perf_counter(), Progress("salvage", "rows", output.stderr)
    try:
        found = salvage(source, options.target, lambda table, rows: progress.show(rows, rows, table))
    finally:
        progress.clear()
    seconds = time.perf_counter() - began
    if output.as_json:
        output.json(_json(options, found, seconds))
    else:
        _print(output, options.target, found, seconds)
    return ExitCode.DONE if found.whole else ExitCode.FAILED


def _json(options: argparse.Namespace, found: Salvaged, seconds: float) -> dict[str, object]:
    return {
        "journal": options.source,
        "target": options.target,
        "whole": found.whole,
        "events": found.events,
        "steps": found.steps,
        "flows": found.flows,
        "behind": found.behind or None,
        "events_lost": _spans_json(found.events_lost),
        "steps_lost": _spans_json(found.steps_lost),
        "flows_left_out": [
            {"flow": _name(flow), "process": flow.process, "key": flow.key, "reason": flow.reason}
            for flow in found.left_out
        ],
        "unreadable": {table: _spans_json(spans) for table, spans in found.unreadable.items()},
        "refused": found.refused,
        "rebuilt": found.rebuilt,
        "unaccounted": found.unaccounted,
        "archives": found.archives,
        "archives_lost": list(found.archives_lost),
        "faults": [{"code": fault.code, "found": fault.found, "cure": fault.cure} for fault in found.faults],
        "seconds": round(seconds, 3),
    }


def _spans_json(spans: Iterable[Span]) -> list[dict[str, int]]:
    return [{"first": first, "last": last} for first, last in spans][:_SPANS_MAX]


def _name(flow: LeftOut) -> str | None:
    return None if flow.process is None else f"{flow.process}/{flow.key}"


def _print(output: Output, target: str, found: Salvaged, seconds: float) -> None:
    output.line(target)
    rows = [("lost", "its last commits", found.behind)] if found.behind else []
    rows += [("lost", f"events {first} to {last}", "") for first, last in found.events_lost[:_SPANS_MAX]]
    rows += [("lost", f"steps {first} to {last}", "") for first, last in found.steps_lost[:_SPANS_MAX]]
    rows += [("left out", _name(flow) or f"flow {flow.flow}", flow.reason) for flow in found.left_out]
    rows += [("unreadable", table, f"{len(spans)} ranges") for table, spans in found.unreadable.items()]
    rows += [("refused", table, f"{number} rows") for table, number in found.refused.items()]
    rows += [("rebuilt", table, f"{number} rows") for table, number in found.rebuilt.items()]
    rows += [("archive lost", name, "put it back beside the new journal") for name in found.archives_lost]
    rows += [("fault", fault.code, fault.found) for fault in found.faults]
    if rows:
        output.table(("WHAT", "WHERE", "WHY"), rows)
    kept = f"{found.flows:,} flows, {found.events:,} events and {found.steps:,} steps are kept, in {human(seconds)}"
    output.say(f"{kept}; {'nothing is lost' if found.whole else f'{len(found.left_out):,} flows are left out'}")
