"""The measurements: each in interleaved rounds, as JSON lines of every round and tables of medians; last, the goals.

python -m tests.bench.run                      all but growth, search and dashboard
python -m tests.bench.run saga --flows 2000    one of them, smaller
python -m tests.bench.run growth               as the journal grows to a million flows: minutes, and 3 GB of disk
python -m tests.bench.run search               in a journal of a million flows: minutes, and 2 GB of disk
python -m tests.bench.run dashboard            the same journal in a cold Chromium, and what twenty dashboards cost

Ends with 0 where every goal is met, with 1 where one is not. Goals are stated for the sizes that it takes by itself.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.bench import dashboard, growth, reports, searching
from tests.bench.figures import Figures, Report, Row, goals, medians, ratio_at_most
from tests.crash.counts import Counts, add_arguments, hand_out

MEASUREMENTS: dict[str, Callable[[int, int | None], Report]] = {
    "saga": reports.report_saga,
    "idle": reports.report_idle,
    "in_flight": reports.report_in_flight,
    "memory": reports.report_memory,
    "disk": reports.report_disk,
    "recovery": reports.report_recovery,
    "replay": reports.report_replay,
    "startup": reports.report_startup,
    "isolation": reports.report_isolation,
    "invariants": reports.report_invariants,
    "scenarios": reports.report_scenarios,
    "explore": reports.report_explore,
    "guard": reports.report_guard,
    "telemetry": reports.report_telemetry,
    "scrape": reports.report_scrape,
    "portal": reports.report_portal,
    "project": reports.report_project,
    "http": reports.report_http,
}
GROWTH, SEARCH, DASHBOARD = "growth", "search", "dashboard"
_GROWN_TO = 1_000_000
_COSTS = (
    ("a flow", "wall_us_per_flow"),
    ("its processor time", "cpu_us_per_flow"),
    ("a flow of a random key", "scattered_wall_us_per_flow"),
    ("its processor time, random key", "scattered_cpu_us_per_flow"),
)
_SHOWN = ("open the runtime", "ls", "ls --outcome that is rare", "load", "look_up", "show")


def report_growth(given: argparse.Namespace) -> Report:
    """What a flow, and what questions cost by the number of flows that a journal holds already."""
    sizes = growth.sizes_upto(given.flows or _GROWN_TO)
    saga_flows = min(growth.SAGA_FLOWS, sizes[-1])
    with ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="procession-bench-")))
        lines = None if given.lines is None else stack.enter_context(given.lines.open("w", encoding="utf-8"))
        found = []
        for figures in growth.rounds(folder, sizes, given.rounds, saga_flows):
            found.append(figures)
            line = json.dumps({"bench": GROWTH, **figures})
            print(line, flush=True)
            if lines is not None:
                lines.write(line + "\n")
    by_size = {size: [figures for figures in found if figures["flows"] == size] for size in sizes}
    print("\n" + growth.text([medians(by_size[size]) for size in sizes]) + "\n")
    return Report(
        GROWTH,
        f"medians of {given.rounds} rounds; floor: the same with {sizes[0]:,} flows in the journal",
        [
            *(
                _grown(f"{what} with {size:,}, us", name, by_size[sizes[0]], by_size[size], judged=size == sizes[-1])
                for size in sizes[1:] or sizes
                for what, name in _COSTS
            ),
            *(
                _grown(f"{name} with {sizes[-1]:,}, ms", f"{name}, ms", by_size[sizes[0]], by_size[sizes[-1]])
                for name in _SHOWN
            ),
        ],
    )


def _grown(figure: str, name: str, small: list[Figures], large: list[Figures], *, judged: bool = False) -> Row:
    """Medians, and the median of the rounds' ratios."""
    ratios = [{"ratio": one[name] / other[name]} for one, other in zip(large, small, strict=True)]
    goal = ratio_at_most(1.2) if judged else None
    return Row(figure, medians(large)[name], medians(small)[name], goal, ratio=medians(ratios)["ratio"])


def report_search(given: argparse.Namespace) -> Report:
    """What a search costs in a large journal."""
    found = searching.report_search(given.rounds, given.flows or searching.FLOWS, given.folder)
    print(json.dumps({"bench": SEARCH, **searching.figures(found)}), flush=True)
    return found


def report_dashboard(given: argparse.Namespace) -> Report:
    """How soon a browser shows it over a large journal, and what those who look cost."""
    found = dashboard.report_dashboard(given.rounds, given.flows or searching.FLOWS, given.flows, given.folder)
    print(dashboard.line_of(found), flush=True)
    return found


def _measured(name: str, given: argparse.Namespace) -> Report:
    alone = {GROWTH: report_growth, SEARCH: report_search, DASHBOARD: report_dashboard}
    return alone[name](given) if name in alone else MEASUREMENTS[name](given.rounds, given.flows)


def main(arguments: list[str] | None = None) -> int:
    """Measure; 0 where every goal is met."""
    parser = argparse.ArgumentParser(description="Measure, and print JSON lines and tables.")
    parser.add_argument(
        "names",
        nargs="*",
        choices=[*MEASUREMENTS, GROWTH, SEARCH, DASHBOARD, []],
        help="which; all but these three if none",
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--flows", type=int, help="how many; as the goals are stated if left out")
    parser.add_argument(
        "--folder",
        type=Path,
        help="growth, search, dashboard: where their journals are, and stay; else they are made anew",
    )
    parser.add_argument("--lines", type=Path, help="growth: a file for its JSON lines")
    add_arguments(parser, minutes=False)
    given = parser.parse_args(arguments)
    found = [_measured(name, given) for name in given.names or MEASUREMENTS]
    for report in found:
        print(f"\n{report}")
    print("\n" + goals(found))
    rows = [row for report in found for row in report.rows]
    unmet = [f"{row.figure}: {row.ours:,.3g}, and the goal is {row.goal}" for row in rows if row.met is False]
    return hand_out(given, Counts({_in_words(row): row.ours for row in rows}, unmet), shown=False)


def _in_words(row: Row) -> str:
    """What follows the number: its unit first."""
    name, _, unit = row.figure.strip().rpartition(", ")
    return f"{unit} ({name})" if name else unit


if __name__ == "__main__":
    sys.exit(main())
