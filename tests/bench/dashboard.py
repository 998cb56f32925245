"""What the dashboard costs: how soon a cold browser shows it over a large journal, and what twenty of them take.

Each visit is made by a Chromium that has just started, with a profile of its own: nothing is kept from the one before.
Times are the page's own, from the beginning of the navigation until the frame after what is waited for is there. The
floor of the first paint is that of a page of plain text from the same daemon.

Twenty dashboards ask the daemon what those of browsers ask; a load with them and one without take turns, and processor
time of the daemon is compared. They run in a process of their own, as browsers do.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
from playwright.sync_api import Playwright, sync_playwright

from procession.daemon.http.page import assets
from tests.bench import large, searching
from tests.bench.figures import Figures, Report, Row, at_most, medians, percentiles, ratio_at_most
from tests.browser.conftest import ARGUMENTS
from tests.daemon.command import ROOT

DASHBOARDS = 20
_VISITS = 3
"""Of each kind in a round."""
_LOAD_FLOWS = 10_000
_TURNS = ("alone", "watched", "watched", "alone", "alone", "watched", "watched", "alone")
"""What the machine does meanwhile meets both alike. The first load warms up, and is not counted."""
_ROW = "main table tbody tr a"
_FIGURE = "main .tile-value"
_TEXT = "pre"
_WATCH = """
(() => {
  const shown = () => {
    if (!document.querySelector("%s")) return requestAnimationFrame(shown);
    requestAnimationFrame(() => setTimeout(() => { window.shownAt = performance.now(); }));
  };
  requestAnimationFrame(shown);
})();
"""
_PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
_SENT = """
() => performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"))
  .reduce((sum, one) => sum + one.encodedBodySize, 0)
"""


@attrs.define(eq=False)
class _Beside:
    """A process beside us."""

    process: subprocess.Popen[str]
    told: str
    """Its first line."""

    def ask(self, line: str) -> str:
        """A line, and what it answers."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.heard()

    def heard(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> str:
        """Its last line."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.heard()


@contextlib.contextmanager
def _beside(*arguments: str) -> Iterator[_Beside]:
    command = [sys.executable, "-m", "tests.bench.dashboard_served", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        found = _Beside(process, "")
        found.told = found.heard()
        yield found
        assert process.stdin is not None
        process.stdin.close()


def report_dashboard(rounds: int, flows: int, load_flows: int | None, folder: Path | None) -> Report:
    """Milliseconds in the browser, kilobytes, and processor time of the daemon."""
    with ExitStack() as stack:
        there = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="procession-bench-")))
        journal = searching.journal_in(there, flows)
        with _beside("serve", str(journal)) as daemon:
            visited = _visits(daemon.told, flows, rounds * _VISITS)
        busy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="procession-bench-")))
        cost = medians([_cost(busy / f"{number}.db", load_flows or _LOAD_FLOWS) for number in range(rounds)])
    return Report(
        "dashboard",
        f"{flows:,} flows, {rounds * _VISITS} visits of each kind by a cold Chromium, medians;"
        f" {DASHBOARDS} dashboards beside a load, medians of {rounds} rounds",
        [
            _shown("Flows: its first row, ms", visited["row"], most=1000),
            _shown("Flows with a search: its first row, ms", visited["search"], most=1000),
            _shown("Overview: its first figure, ms", visited["overview"]),
            _first_paint(visited),
            Row("all files, gzipped, kB", sum(len(one.zipped) for one in assets().values()) / 1000, None, at_most(200)),
            Row("sent for the page Flows, kB", max(visit.sent_kb for visit in visited["row"])),
            Row("sent for the overview, kB", max(visit.sent_kb for visit in visited["overview"])),
            Row(
                f"processor time of a flow beside {DASHBOARDS} dashboards, us",
                cost["watched_cpu_us"],
                cost["alone_cpu_us"],
                ratio_at_most(1.03),
                f"each got {cost['seen']:.0f} overviews at least in a load",
                ratio=cost["ratio"],
            ),
        ],
    )


@attrs.frozen
class _Visit:
    """Times since the navigation began."""

    shown_ms: float
    painted_ms: float
    sent_kb: float


def _shown(what: str, visits: list[_Visit], *, most: float | None = None) -> Row:
    p50, _, worst = percentiles([visit.shown_ms for visit in visits])
    return Row(what, p50, None, None if most is None else at_most(most), f"the slowest {worst:.0f}")


def _first_paint(visited: dict[str, list[_Visit]]) -> Row:
    ours = [visit.painted_ms for name, visits in visited.items() if name != "text" for visit in visits]
    p50, _, worst = percentiles(ours)
    floor = percentiles([visit.painted_ms for visit in visited["text"]])[0]
    return Row("first contentful paint, ms", p50, floor, at_most(200), f"the slowest {worst:.0f}")


def _visits(address: str, flows: int, times: int) -> dict[str, list[_Visit]]:
    middle = large.key_of(flows // 2 + 1)
    kinds = {
        "text": ("/dashboard/THIRD_PARTY.txt", _TEXT),
        "row": ("/#/flows", _ROW),
        "search": (f"/#/flows?q=process:order key:{middle[:3]}*", _ROW),
        "overview": ("/", _FIGURE),
    }
    found: dict[str, list[_Visit]] = {name: [] for name in kinds}
    with sync_playwright() as playwright:
        for _ in range(times):
            for name, (path, waits_for) in kinds.items():
                found[name].append(_visit(playwright, address + path, waits_for))
    return found


def _visit(playwright: Playwright, url: str, waits_for: str) -> _Visit:
    path = shutil.which("chromium")
    assert path is not None, "install Chromium, on Debian: apt-get install chromium"
    with (
        tempfile.TemporaryDirectory(prefix="procession-bench-") as profile,
        contextlib.closing(
            playwright.chromium.launch_persistent_context(profile, executable_path=path, args=list(ARGUMENTS))
        ) as browser,
    ):
        page = browser.pages[0]
        page.add_init_script(_WATCH % waits_for)
        page.goto(url)
        for there in ("() => window.shownAt", _PAINTED):
            page.wait_for_function(there)
        measured: list[Any] = [page.evaluate(asked) for asked in ("() => window.shownAt", _PAINTED, _SENT)]
        return _Visit(measured[0], measured[1], measured[2] / 1000)


def _cost(journal: Path, flows: int) -> Figures:
    """Processor time of the daemon for a flow, with nobody who looks and with twenty."""
    costs: dict[str, list[float]] = {"alone": [], "watched": []}
    seen = []
    with _beside("serve", str(journal)) as daemon:
        daemon.ask(f"0 {flows}")
        for number, turn in enumerate(_TURNS, start=1):
            asked = f"{number * flows} {flows}"
            if turn == "alone":
                costs[turn].append(float(daemon.ask(asked)))
                continue
            with _beside("look", daemon.told, str(DASHBOARDS)) as looking:
                costs[turn].append(float(daemon.ask(asked)))
                seen.append(int(looking.end()))
    alone, watched = (sum(all_us) / len(all_us) for all_us in (costs["alone"], costs["watched"]))
    return {"alone_cpu_us": alone, "watched_cpu_us": watched, "ratio": watched / alone, "seen": min(seen)}


def figures(report: Report) -> Figures:
    """What a report found, by name."""
    return {row.figure: row.ours for row in report.rows}


def line_of(report: Report) -> str:
    """As a line of JSON."""
    return json.dumps({"bench": "dashboard", **figures(report)})
