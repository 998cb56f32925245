"""`procession demo`: generated traffic through the configured flows, on a journal that stays to be looked at."""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import shlex
import tempfile
from pathlib import Path

import attrs
import trio

from procession.daemon.configuration import configured
from procession.daemon.durations import human, now_us
from procession.daemon.exit_codes import UsageRefused
from procession.daemon.figures import figures_json, print_figures, remarks
from procession.daemon.output import Output
from procession.daemon.progress import Progress
from procession.daemon.rough_gateways import quick_to_retry, roughened
from procession.daemon.stopping import Stop, run_stoppable
from procession.daemon.traffic import plans_of, traffic
from procession.daemon.verb_new import STARTER
from procession.facade import Runtime
from procession.journal.rows import FlowQuery, JournalCounts
from procession.primitives.wiring import Wiring
from procession.settings import Settings
from procession.settings_file import load_settings
from procession.wiring import load_wiring, open_wired, registry_of

_BATCH = 100
_TICK_S = 0.1
_DEADLINES_S_MAX = 3.0
"""Deadlines that are so near are waited for; the others are shown as what is still to come."""


def run(options: argparse.Namespace, output: Output) -> int:
    """Run the demo, and show what came of it."""
    settings = configured(options).settings
    if not settings.modules:
        output.say("no configuration names flows: this is the starter flow, see `procession new`")
        settings = load_settings(STARTER / "config" / "procession.toml", os.environ)
    journal: str = options.journal or str(Path(tempfile.mkdtemp(prefix="procession-demo-")) / "demo.db")
    # Failing is what the gateways of a demo are made to do: the summary tells, a line for each would bury it.
    logger = logging.getLogger("procession")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        return run_stoppable(lambda stop: _Demo(options, output, settings, journal, stop).run())
    finally:
        logger.setLevel(level)


@attrs.define
class _Result:
    """What the runtime itself counted; the journal tells the rest."""

    seconds: float
    counters: dict[str, int]
    counts: JournalCounts
    quarantined: str | None
    any_flow: str | None


class _Demo:
    """One run of the verb."""

    def __init__(
        self, options: argparse.Namespace, output: Output, settings: Settings, journal: str, stop: Stop
    ) -> None:
        self._output = output
        self._journal = journal
        self._stop = stop
        self._flows: int = options.flows
        self._seed: int = options.seed
        # Never the gateways of production: a demo must not touch the outside world.
        wiring = load_wiring(settings, "testing")
        rough = tuple(roughened(gateway, self._seed, fast=options.fast) for gateway in wiring.gateways)
        self._wiring: Wiring = attrs.evolve(wiring, gateways=rough)
        # Nor may its projections: they lie beside its journal, wherever those of production do.
        aside = attrs.evolve(settings, projectors=attrs.evolve(settings.projectors, folder=None))
        self._settings = quick_to_retry(aside, self._wiring.gateways)
        self._plans = plans_of(registry_of(self._wiring))
        if not self._plans:
            raise UsageRefused("none of the flows is started by an event from outside", "configure one that is")

    async def run(self) -> int:
        """Publish all, wait until all has come to rest, and tell."""
        progress = Progress("demo", "flows", self._output.stderr, self._flows)
        async with open_wired(self._wiring, self._settings, journal=self._journal, injecting=False) as runtime:
            async with trio.open_nursery() as ticking:
                ticking.start_soon(self._tick, runtime, progress)
                await self._stop.race(lambda: self._drive(runtime))
                ticking.cancel_scope.cancel()
            seconds = progress.elapsed_s
            result = _Result(
                seconds,
                runtime.counters(),
                await runtime.journal.counts(),
                await _one(runtime, FlowQuery(status=("quarantined",))),
                await _one(runtime, FlowQuery()),
            )
        progress.clear()
        self._report(result)
        return self._stop.exit_code or 0

    async def _drive(self, runtime: Runtime) -> None:
        events = traffic(self._plans, self._flows, self._seed)
        while batch := list(itertools.islice(events, _BATCH)):
            await runtime.publish(batch)
        while True:
            await runtime.drain()
            next_timers = await runtime.journal.timers((0, 0, ""), 1)
            if not next_timers:
                return
            due_s = (next_timers[0].row.due_us - now_us()) / 1_000_000
            if due_s > _DEADLINES_S_MAX:
                return
            await trio.sleep(max(0.0, due_s) + _TICK_S)

    async def _tick(self, runtime: Runtime, progress: Progress) -> None:
        while True:
            counters = runtime.counters()
            names = ("flows_ended", "flows_quarantined", "flows_cancelled")
            done = sum(counters[f"procession_{name}"] for name in names)
            progress.show(done, done, f"{counters['procession_attempts_failed']:,} attempts failed")
            await trio.sleep(_TICK_S)

    def _report(self, result: _Result) -> None:
        output = self._output
        counters = {name.removeprefix("procession_"): number for name, number in result.counters.items()}
        rate = counters["flows_started"] / result.seconds if result.seconds else 0.0
        commands = result.counts.commands
        quarantined = sum(statuses.get("quarantined", 0) for statuses in result.counts.flows.values())
        if self._stop.signal is not None:
            output.say(f"procession: stopped by {self._stop.signal.name}; run it again on this journal to go on")
        if output.as_json:
            output.json(
                {
                    "flows": self._flows,
                    "seed": self._seed,
                    "seconds": round(result.seconds, 3),
                    "flows_per_s": round(rate, 1),
                    "attempts_failed": counters["attempts_failed"],
                    "quarantined": quarantined,
                    "counters": counters,
                    "stopped_by": None if self._stop.signal is None else self._stop.signal.name,
                    "journal": {"path": self._journal, **figures_json(result.counts)},
                }
            )
            return
        print_figures(output, result.counts)
        if output.on_terminal:
            output.line()
        attempts = f"{output.number(counters['attempts_failed'])} of {output.number(counters['attempts_started'])}"
        lines = [
            ("flows", f"{output.number(counters['flows_started'])} in {human(result.seconds)}, {rate:.0f} a second"),
            ("attempts that failed", f"{attempts}; each was tried again, or given up"),
            ("commands given up", output.number(commands.get("given_up", 0))),
            ("flows in quarantine", output.number(quarantined)),
            *remarks(output, result.counts),
            ("journal", self._journal),
        ]
        output.pairs(lines)
        self._suggest(result)

    def _suggest(self, result: _Result) -> None:
        at = f"--journal {shlex.quote(self._journal)}"
        self._output.say(f"next:  procession ls {at}{' --status quarantined' if result.quarantined else ''}")
        named = result.quarantined or result.any_flow
        if named is not None:
            self._output.say(f"       procession show {shlex.quote(named)} {at}")
        if self._stop.signal is not None:
            self._output.say(f"       procession demo --flows {self._flows} --seed {self._seed} {at}")


async def _one(runtime: Runtime, query: FlowQuery) -> str | None:
    rows = await runtime.journal.flows(query, 0, 1)
    return f"{rows[0].process}/{rows[0].key}" if rows else None
