"""`procession explore`: every order of what may happen to the configured flows, with nothing running."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import attrs

from procession.daemon.configuration import configured
from procession.daemon.exit_codes import ExitCode, UsageRefused
from procession.daemon.output import Output
from procession.daemon.progress import Progress
from procession.primitives.process import ProcessManager
from procession.primitives.wiring import Wiring
from procession.settings import Settings
from procession.testing.exploring.explorer import explore
from procession.testing.exploring.report import Exploration
from procession.testing.exploring.space import Tally
from procession.wiring import load_wiring


def run(options: argparse.Namespace, output: Output) -> int:
    """Explore; 1 where something was found, or where a bound left a part unseen."""
    settings = configured(options).settings
    targets = _targets(options.processes, settings)
    reports: list[Exploration] = []
    for process, wiring in targets:
        reports.append(_explore(process, wiring, options, output))
        if not output.as_json:
            _print(reports[-1], output)
    clean = all(report.clean for report in reports)
    if output.as_json:
        output.json({"clean": clean, "explorations": [report.json() for report in reports]})
    elif not clean:
        bad = [report.process for report in reports if not report.clean]
        output.say(f"procession: not clean: {', '.join(bad)}")
    return ExitCode.DONE if clean else ExitCode.FAILED


def _explore(process: type[ProcessManager], wiring: Wiring, options: argparse.Namespace, output: Output) -> Exploration:
    progress = Progress(f"explore {process.__name__}", "turns", output.stderr)

    def tell(tally: Tally) -> None:
        progress.show(tally.turns, tally.turns, f"{tally.states:,} states, {tally.waiting:,} to look at")

    report = explore(
        process,
        wiring=wiring,
        given_up=options.given_up,
        deadlines_at_end=options.deadlines_at_end,
        arrivals_max=options.arrivals_max,
        states_max=options.states_max,
        turns_max=options.turns_max,
        depth_max=options.depth_max,
        progress=tell,
    )
    progress.clear()
    return report


def _print(report: Exploration, output: Output) -> None:
    for line in str(report).splitlines():
        output.line(output.cell(line))
    output.line()


def _targets(names: Sequence[str], settings: Settings) -> list[tuple[type[ProcessManager], Wiring]]:
    """What to explore: all that is configured, or what is named.

    Raises:
        UsageRefused: a name is no process manager.
        WiringError: a module can't be used.
    """
    wiring = load_wiring(settings, "testing") if not names or any(":" not in name for name in names) else None
    if not names:
        assert wiring is not None, "it was loaded"
        return [(process, wiring) for process in wiring.processes]
    return [_by_path(name, settings) if wiring is None or ":" in name else _by_name(name, wiring) for name in names]


def _by_name(name: str, wiring: Wiring) -> tuple[type[ProcessManager], Wiring]:
    for process in wiring.processes:
        if name in (process.__process__.name, process.__name__):
            return process, wiring
    known = ", ".join(process.__process__.name for process in wiring.processes)
    raise UsageRefused(f"{name!r} is no process of the configured modules", f"name one of {known}, or MODULE:CLASS")


def _by_path(name: str, settings: Settings) -> tuple[type[ProcessManager], Wiring]:
    module_name, _, class_name = name.partition(":")
    wiring = load_wiring(attrs.evolve(settings, modules=(module_name,)), "testing")
    found = getattr(sys.modules[module_name], class_name, None)
    known = ", ".join(process.__name__ for process in wiring.processes) or "none"
    if found is None:
        raise UsageRefused(f"{module_name} has no class {class_name!r}", f"its processes are {known}")
    if not isinstance(found, type) or "__process__" not in vars(found):
        raise UsageRefused(f"{name} is no process manager", f"name a process of {module_name}: {known}")
    return found, wiring
