"""Isolation: bad flows and bad calls of every kind among many that are well; each is set aside by name, no other waits.

    python -m tests.crash.isolating --seed 1 --seconds 30

First under load: windows with bad flows and without take turns in one run, and the latencies of those that are well are
compared. Then, one by one, what stops the loop or ends the process: it must be named, and its flow set aside.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import attrs
import trio

from procession.engine.turn_watch import SUFFIX
from procession.journal.rows import FlowQuery
from procession.journal.sqlite_reader import read_sqlite
from tests.crash.counts import Counts, add_arguments, hand_out
from tests.crash.isolating_child import FAULTS, WELL_BEFORE
from tests.crash.isolating_flows import FATAL, IN_GATEWAYS, IN_THREADS, IN_TURNS, LOOPS, TIME_IS_UP
from tests.crash.lab import verified
from tests.daemon.command import ROOT, environment

LATENCY_TIMES_MAX, LATENCY_MORE_MS_MAX = 1.05, 50.0
"""The p99 of those that are well: by a share more beside bad ones, or by so much on a machine that has other work."""
LIVES_MAX = 12
LOAD_S_MAX, LIFE_S_MAX = 120, 15
_LOOK_S = 0.01
_KINDS = (*IN_TURNS, *IN_GATEWAYS, *IN_THREADS)
_SHOWN_MAX = 20


@attrs.define
class Report:
    """What was seen."""

    well: int = 0
    bad: Counter[str] = attrs.field(factory=Counter)
    """By kind: flows that were set aside for it."""
    p99_ms: float = 0.0
    """Of those that are well, while no other is bad."""
    p99_beside_ms: float = 0.0
    """And while others are."""
    lives: dict[str, int] = attrs.field(factory=dict)
    """By what ends the process: starts until one came to rest."""
    named_s: float = 0.0
    """The longest from the start of a process to the name of the flow that blocks it."""
    breaches: list[str] = attrs.field(factory=list)

    @property
    def counts(self) -> Counts:
        """As figures."""
        figures = {
            "flows well, all ended": self.well,
            "bad ones set aside by name": self.bad.total(),
            "kinds of them": len(self.bad),
            "ms p99 of the well without": self.p99_ms,
            "ms beside bad ones": self.p99_beside_ms,
            "starts at most until all was at rest": max(self.lives.values(), default=0),
            "s until a turn that blocks was named": self.named_s,
        }
        return Counts(figures, self.breaches)

    def __str__(self) -> str:
        lives = ", ".join(f"{kind}: {count}" for kind, count in self.lives.items())
        return (
            f"{self.well} flows well, {self.bad.total()} bad ones of {len(self.bad)} kinds set aside by name; p99 of"
            f" the well {self.p99_ms:.1f} ms, beside bad ones {self.p99_beside_ms:.1f} ms; starts until all was at"
            f" rest: {lives or 'not tried'}; {len(self.breaches)} breaches"
        )


def command(folder: Path, fault: str, *given: str) -> list[str]:
    """A process in which bad flows live."""
    return [sys.executable, "-m", "tests.crash.isolating_child", str(folder), fault, *given]


def under_load(folder: Path, report: Report, *, seed: int, seconds: float, fault: str) -> None:
    """Bad flows of every kind, again and again, beside a steady load."""
    folder.mkdir(parents=True)
    ended = subprocess.run(
        command(folder, fault, "load", str(seed), str(seconds)),
        cwd=ROOT, env=environment({"PYTHONPATH": str(ROOT)}), capture_output=True, text=True, timeout=LOAD_S_MAX,
        check=False,
    )  # fmt: skip
    if ended.returncode != 0:
        report.breaches.append(f"the process ended with {ended.returncode}: {ended.stderr[-1_000:]}")
        return
    told = json.loads(ended.stdout)
    judge_flows(report, told["flows"], told["well"], told["kinds"])
    report.p99_ms = p99([latency for beside, latency in told["latencies"] if not beside]) * 1000
    report.p99_beside_ms = p99([latency for beside, latency in told["latencies"] if beside]) * 1000
    if report.p99_beside_ms > report.p99_ms * LATENCY_TIMES_MAX + LATENCY_MORE_MS_MAX:
        found = f"{report.p99_beside_ms:.1f} ms beside bad ones, and {report.p99_ms:.1f} ms without"
        report.breaches.append(f"the p99 of those that are well is {found}")
    report.breaches += verified(folder / "journal.db")


def judge_flows(report: Report, flows: dict[str, list[str | None]], well: list[str], kinds: dict[str, str]) -> None:
    """Each flow that is well has ended, each bad one waits in quarantine with a reason."""
    lost = [key for key in well if flows.get(key, [None])[0] != "ended"]
    report.breaches += [f"{key} is well, and is {flows.get(key)}" for key in lost[:_SHOWN_MAX]]
    report.well += len(well) - len(lost)
    for key, kind in kinds.items():
        status, reason = flows.get(key, [None, None])
        if status == "quarantined" and reason:
            report.bad[kind] += 1
        else:
            report.breaches.append(f"{key} ({kind}) is {status}, with the reason {reason!r}")
    if missing := set(kinds.values()) ^ set(_KINDS):
        report.breaches.append(f"of these kinds there was none: {sorted(missing)}")


def p99(latencies: list[float]) -> float:
    """Of a hundred, one takes longer."""
    return sorted(latencies)[len(latencies) * 99 // 100] if latencies else float("inf")


def ended_by(folder: Path, report: Report, kind: str, *, fault: str) -> None:
    """Start the process until it comes to rest; one that loops is killed as soon as it has named its flow."""
    folder.mkdir(parents=True)
    suspect = folder / f"journal.db{SUFFIX}"
    for life in range(1, LIVES_MAX + 1):
        began = time.monotonic()
        with subprocess.Popen(
            command(folder, fault, "fatal", kind),
            cwd=ROOT, env=environment({"PYTHONPATH": str(ROOT)}), stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            try:
                if kind in LOOPS and life == 1:
                    _wait_named(process, suspect)
                    report.named_s = max(report.named_s, time.monotonic() - began)
                    if kind != TIME_IS_UP:
                        process.kill()
                code = process.wait(LIFE_S_MAX)
            except (subprocess.TimeoutExpired, TimeoutError):
                report.breaches.append(f"{kind}: start {life} neither ended nor was at rest in {LIFE_S_MAX} s")
                return
            finally:
                process.kill()
        if code == 0:
            break
    report.lives[kind] = life
    if kind in LOOPS and life > _LIVES_OF_LOOPS:
        report.breaches.append(f"{kind}: it was named, and set aside only at start {life}")
    flows = trio.run(_flows, folder / "journal.db")
    status, reason = flows.get("bad", [None, None])
    if status != "quarantined" or not reason:
        report.breaches.append(f"{kind}: after {life} starts its flow is {status}, with the reason {reason!r}")
    lost = [key for key, (status, _) in flows.items() if key != "bad" and status != "ended"]
    if lost or len(flows) != WELL_BEFORE + 1:
        report.breaches.append(f"{kind}: of {len(flows)} flows these are well, and have not ended: {lost}")
    report.well += len(flows) - 1 - len(lost)
    report.bad[kind] += 1
    report.breaches += verified(folder / "journal.db")


def _wait_named(process: subprocess.Popen[bytes], suspect: Path) -> None:
    until = time.monotonic() + LIFE_S_MAX
    while not suspect.exists() and process.poll() is None:
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(_LOOK_S)


async def _flows(journal: Path) -> dict[str, list[str | None]]:
    reader = await read_sqlite(journal)
    try:
        return {row.key: [row.status, row.reason] for row in await reader.flows(FlowQuery(), 0, 1_000)}
    finally:
        await reader.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="Bad flows and bad calls of every kind, among many that are well.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=30, help="under load")
    parser.add_argument("--fault", choices=["-", *FAULTS], default="-", help="planted in the process")
    add_arguments(parser, minutes=False)
    given = parser.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        under_load(Path(folder) / "load", report, seed=given.seed, seconds=given.seconds, fault=given.fault)
        for number, kind in enumerate(FATAL):
            ended_by(Path(folder) / f"fatal-{number}", report, kind, fault=given.fault)
    print(f"fault {given.fault}, seed {given.seed}: {report}")
    return hand_out(given, report.counts)


_LIVES_OF_LOOPS = 2
"""One that is killed, and one that sets its flow aside."""

if __name__ == "__main__":
    sys.exit(main())
