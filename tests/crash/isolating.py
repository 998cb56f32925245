"""Isolation: bad flows and bad calls of every kind among many that are well; each is set aside by name, no other waits.

    python -m tests.crash.isolating --seed 1 --flows 10000

First under load: windows with bad flows and without take turns in one run, and the latencies of those that are well are
compared. Then, one by one, what stops the loop or ends the process: it must be named, and its flow set aside.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import json
import math
import select
import statistics
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
from tests.crash.isolating_child import FAULTS, WELL_BEFORE, WINDOWS, with_bad
from tests.crash.isolating_flows import FATAL, FATAL_DECISIONS, IN_GATEWAYS, IN_THREADS, IN_TURNS, LOOPS, TIME_IS_UP
from tests.crash.lab import verified
from tests.daemon.command import ROOT, environment

LATENCY_TIMES_MAX, LATENCY_MORE_MS_MAX = 1.05, 50.0
"""The p99 of those that are well: by a share more beside bad ones, or by so much on a machine that has other work."""
CHANCE_MAX = 0.02
"""So seldom would so many rounds be slower beside bad ones by chance alone."""
STALLS_MORE_MAX = 2
"""Windows with bad flows in which the loop stood still for 100 ms, beyond those without: a machine has its own."""
NAMED_S_MAX = 1.0
BAD_OF = 50
"""Of so many flows one more is bad, in every other window: one of a hundred in all."""
LIVES_MAX = 12
LOAD_S_MAX, LIFE_S_MAX = 300, 40
_LOOK_S = 0.01
_KINDS = (*IN_TURNS, *IN_GATEWAYS, *IN_THREADS)
_SHOWN_MAX = 20
_ENOUGH = 100
"""Flows of a round, with and without bad ones, of which there is a p99."""
_ENOUGH_AT_ONCE = 10
"""The same of one window."""


@attrs.define
class Report:
    """What was seen."""

    well: int = 0
    bad: Counter[str] = attrs.field(factory=Counter)
    """By kind: flows that were set aside for it."""
    p99_ms: float = 0.0
    """Of those that are well, while no other is bad: the median of windows, since a machine has its own stalls."""
    p99_beside_ms: float = 0.0
    """And while others are."""
    ratios: list[float] = attrs.field(factory=list)
    """By round: the p99 beside bad ones, of that without right before and after."""
    stalls: tuple[int, int] = (0, 0)
    """How often the loop stood still for 100 ms: while no other is bad, and while others are."""
    lives: dict[str, int] = attrs.field(factory=dict)
    """By what ends the process: starts until one came to rest."""
    named_s: float = 0.0
    """The longest that a turn looped until it was named."""
    breaches: list[str] = attrs.field(factory=list)

    def judge_latencies(self) -> None:
        """Compare what was measured beside bad flows with what was without; where nothing was, nothing is known."""
        if math.isinf(self.p99_ms) or math.isinf(self.p99_beside_ms):
            self.breaches.append("no flow was timed, with or without bad ones beside it")
        if self.p99_beside_ms > self.p99_ms * LATENCY_TIMES_MAX + LATENCY_MORE_MS_MAX:
            found = f"{self.p99_beside_ms:.1f} ms beside bad ones, and {self.p99_ms:.1f} ms without"
            self.breaches.append(f"the p99 of those that are well is {found}, by the median of windows")
        slower = sum(ratio > LATENCY_TIMES_MAX for ratio in self.ratios)
        if by_chance(slower, len(self.ratios)) < CHANCE_MAX:
            self.breaches.append(f"in {slower} of {len(self.ratios)} rounds the p99 of the well rose by over 5 %")
        calm, beside = self.stalls
        if beside > calm + STALLS_MORE_MAX:
            self.breaches.append(f"the loop stood still for over 100 ms {beside} times beside bad ones, {calm} without")

    @property
    def counts(self) -> Counts:
        """As figures."""
        figures = {
            "flows well, all ended": self.well,
            "bad ones set aside by name": self.bad.total(),
            "kinds of them": len(self.bad),
            "ms p99 of the well without, median of windows": self.p99_ms,
            "ms beside bad ones": self.p99_beside_ms,
            "times that, median of rounds": statistics.median(self.ratios or [0]),
            "rounds": len(self.ratios),
            "times the loop stood still beside them": self.stalls[1],
            "starts at most until all was at rest": max(self.lives.values(), default=0),
            "s until a turn that blocks was named": self.named_s,
        }
        tried = (
            "flows well, all ended",
            "bad ones set aside by name",
            "rounds",
            "s until a turn that blocks was named",
        )
        return Counts(figures, self.breaches, tried)

    def __str__(self) -> str:
        ratio = f"{statistics.median(self.ratios):.2f} (median of {len(self.ratios)} rounds)" if self.ratios else "none"
        lives = ", ".join(f"{kind}: {count}" for kind, count in self.lives.items())
        return (
            f"{self.well} flows well, {self.bad.total()} bad ones of {len(self.bad)} kinds set aside by name; p99 of"
            f" the well {self.p99_ms:.1f} ms, beside bad ones {self.p99_beside_ms:.1f} ms, ratio {ratio}; the loop"
            f" stood still for 100 ms {self.stalls[0]} and {self.stalls[1]} times; starts until all was at rest:"
            f" {lives or 'not tried'}; named after {self.named_s:.2f} s at most; {len(self.breaches)} breaches"
        )


def command(folder: Path, fault: str, *given: str) -> list[str]:
    """A process in which bad flows live."""
    return [sys.executable, "-m", "tests.crash.isolating_child", str(folder), fault, *given]


def by_chance(slower: int, rounds: int) -> float:
    """How likely so many or more rounds are slower where each is as likely slower as not."""
    return math.fsum(math.comb(rounds, one) for one in range(slower, rounds + 1)) / 2.0**rounds


def under_load(folder: Path, report: Report, *, seed: int, flows: int, fault: str, bad_of: int = BAD_OF) -> None:
    """Bad flows of every kind, again and again, beside a steady load."""
    folder.mkdir(parents=True)
    ended = subprocess.run(
        command(folder, fault, "load", str(seed), str(flows), str(bad_of)),
        cwd=ROOT, env=environment({"PYTHONPATH": str(ROOT)}), capture_output=True, text=True, timeout=LOAD_S_MAX,
        check=False,
    )  # fmt: skip
    if ended.returncode != 0:
        report.breaches.append(f"the process ended with {ended.returncode}: {ended.stderr[-1_000:]}")
        return
    told = json.loads(ended.stdout)
    judge_flows(report, told["flows"], told["well"], told["kinds"])
    measured: dict[int, dict[bool, list[float]]] = {}
    windows: dict[int, list[float]] = {}
    for window, latency in told["latencies"]:
        measured.setdefault(window // WINDOWS, {False: [], True: []})[with_bad(window)].append(latency * 1000)
        windows.setdefault(window, []).append(latency * 1000)
    report.p99_ms, report.p99_beside_ms = (
        statistics.median(
            [p99(one) for window, one in windows.items() if with_bad(window) is bad and len(one) >= _ENOUGH_AT_ONCE]
            or [math.inf]
        )
        for bad in (False, True)
    )
    report.ratios = [
        p99(one[True]) / p99(one[False]) for one in measured.values() if min(map(len, one.values())) >= _ENOUGH
    ]
    stalls = Counter(with_bad(window) for window, _ in told["stalls"])
    report.stalls = stalls[False], stalls[True]
    report.judge_latencies()
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


def ended_by(folder: Path, report: Report, kind: str, *, fault: str, named_s_max: float = NAMED_S_MAX) -> None:
    """Start the process until it comes to rest; one that loops is killed as soon as it has named its flow."""
    folder.mkdir(parents=True)
    for life in range(1, LIVES_MAX + 1):
        with subprocess.Popen(
            command(folder, fault, "fatal", kind),
            cwd=ROOT, env=environment({"PYTHONPATH": str(ROOT)}), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            code = _lived(process, report, kind, life, folder / f"journal.db{SUFFIX}")
        if code is None:
            return
        if code == 0:
            break
    report.lives[kind] = life
    if kind in LOOPS and life > _LIVES_OF_LOOPS:
        report.breaches.append(f"{kind}: it was named, and set aside only at start {life}")
    if report.named_s > named_s_max:
        report.breaches.append(f"{kind}: its flow was named after {report.named_s:.2f} s")
    flows = trio.run(_flows, folder / "journal.db")
    status, reason = flows.get("bad", [None, None])
    if status != "quarantined" or not reason:
        report.breaches.append(f"{kind}: after {life} starts its flow is {status}, with the reason {reason!r}")
    else:
        report.bad[kind] += 1
    lost = [key for key, (status, _) in flows.items() if key != "bad" and status != "ended"]
    if lost or len(flows) != WELL_BEFORE + 1:
        report.breaches.append(f"{kind}: of {len(flows)} flows these are well, and have not ended: {lost}")
    report.well += len(flows) - 1 - len(lost)
    report.breaches += verified(folder / "journal.db")


def _lived(process: subprocess.Popen[bytes], report: Report, kind: str, life: int, suspect: Path) -> int | None:
    """The exit code of one start; None where it did what none may do."""
    try:
        if kind in LOOPS and life == 1:
            report.named_s = max(report.named_s, _named_after_s(process, suspect))
            if kind != TIME_IS_UP:
                process.kill()
        elif kind in LOOPS and _begins_again(process):
            report.breaches.append(f"{kind}: what had been named before begins again at start {life}")
            return None
        return process.wait(LIFE_S_MAX)
    except (subprocess.TimeoutExpired, TimeoutError):
        report.breaches.append(f"{kind}: start {life} neither ended nor was at rest in {LIFE_S_MAX} s")
        return None
    finally:
        process.kill()


def _named_after_s(process: subprocess.Popen[bytes], suspect: Path) -> float:
    """Wait until a turn that loops, which says when it begins, is named: how long that took."""
    assert process.stdout is not None
    began = float(process.stdout.readline() or "inf")
    until = time.monotonic() + LIFE_S_MAX
    while not _names_the_bad_one(suspect) and process.poll() is None:
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(_LOOK_S)
    return suspect.stat().st_mtime - began if suspect.exists() else math.inf


def _begins_again(process: subprocess.Popen[bytes]) -> bool:
    """Wait for the end of a process, or for a turn that loops to say that it begins."""
    assert process.stdout is not None
    said, _, _ = select.select([process.stdout], [], [], LIFE_S_MAX)
    return bool(said and process.stdout.readline())


def _names_the_bad_one(suspect: Path) -> bool:
    """And not one that is well, and waits for a processor."""
    try:
        named = json.loads(suspect.read_text())
    except FileNotFoundError:  # none yet, or one that is well has returned meanwhile
        return False
    return any(one["key"] == "bad" for one in named)


async def _flows(journal: Path) -> dict[str, list[str | None]]:
    reader = await read_sqlite(journal)
    try:
        return {row.key: [row.status, row.reason] for row in await reader.flows(FlowQuery(), 0, 1_000)}
    finally:
        await reader.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="Bad flows and bad calls of every kind, among many that are well.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--flows", type=int, default=10_000, help="that are well, under load")
    add_arguments(parser, minutes=False, faults=FAULTS)
    given = parser.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        under_load(Path(folder) / "load", report, seed=given.seed, flows=given.flows, fault=given.fault)
        for number, kind in enumerate((*FATAL, *FATAL_DECISIONS)):
            ended_by(Path(folder) / f"fatal-{number}", report, kind, fault=given.fault)
    print(f"fault {given.fault}, seed {given.seed}: {report}")
    return hand_out(given, report.counts)


_LIVES_OF_LOOPS = 2
"""One that is killed, and one that sets its flow aside."""

if __name__ == "__main__":
    sys.exit(main())
