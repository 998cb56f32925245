"""SIGTERM under full load: many clients publish over HTTP and the socket, and gateway calls are under way.

    python -m tests.crash.ending --times 100 --seed 1

Each life ends in order, quickly, and leaves a journal that was closed, with no log beside it; what clients heard was
accepted is there after the last start, and the whole history is judged. A few lives are ended while they start, over
what a kill left, and a few beside calls that do not return in the grace.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import contextlib
import random
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import attrs

from procession.journal.ownership import holder_of
from tests.bench.figures import percentiles
from tests.crash.counts import Counts, add_arguments, hand_out, within
from tests.crash.judging import acknowledgements, calls_of_last_life, calls_under_way, come_to_rest, judged
from tests.crash.lab import READY_S_MAX, Lab, Load, lab, sending, stop
from tests.crash.served import FAULTS
from tests.crash.served_flows import LATENCY_MS

_CLIENTS = Load(http=12, socket=4, pause_ms=0)
_AT_WORK_S = (0.1, 0.5)
TOOK_S_P99_MAX = 2.0
_SETTINGS = "[gateways]\nconcurrency = 64\n[shutdown]\ngrace_s = 5\n"
_STARTING_S = 0.1
_LOOK_S = 0.005
_NEVER = {LATENCY_MS: "60000"}
TOOK_S_MAX = 10.0
HELD_S_MAX = 15.0
"""From the signal to the end beside calls that do not return: the grace, and what is written after it."""


@attrs.frozen
class Report:
    """How lives ended."""

    codes: list[int]
    took_s: list[float]
    under_way: list[int]
    """By life: commands that were begun and not done when it was asked to end."""
    starting: list[int]
    """Exit codes of those that were asked to end while they started."""
    held_s: list[float]
    """How long those took beside which calls did not return."""
    breaches: list[str]
    acknowledgements: int
    told: dict[str, int]

    @property
    def took_s_p50(self) -> float:
        """The median."""
        return percentiles(self.took_s)[0]

    @property
    def took_s_p99(self) -> float:
        """Of a hundred ends the slowest but one; of ten the slowest."""
        return percentiles(self.took_s)[2]

    @property
    def counts(self) -> Counts:
        """As figures; it is a breach to end otherwise than in order, or late."""
        figures = {
            "times SIGTERM": len(self.codes),
            "s to the end (median)": self.took_s_p50,
            "s (p99)": self.took_s_p99,
            "s at most": max(self.took_s),
            "calls under way at most": max(self.under_way),
            "of them in the midst of a start": len(self.starting),
            "beside calls that do not return": len(self.held_s),
            "acknowledged events": self.acknowledgements,
        }
        others = ("of them in the midst of a start", "beside calls that do not return")
        tried = ("calls under way at most", "acknowledged events", *others * (len(self.took_s) > 1))
        breaches = [*self.breaches, *(f"a life ended with exit code {code}" for code in self.codes if code)]
        if self.took_s_p99 > TOOK_S_P99_MAX:
            breaches.append(f"an end took {self.took_s_p99:.2f} s (p99), over {TOOK_S_P99_MAX:g}")
        breaches += [f"an end took {took:.2f} s, over {TOOK_S_MAX:g}" for took in self.took_s if took > TOOK_S_MAX]
        return Counts(figures, breaches, tried)

    def __str__(self) -> str:
        p50, p95, p99 = percentiles(self.took_s)
        return (
            f"{len(self.codes)} times SIGTERM, exit codes {sorted(set(self.codes))}; it took {p50:.2f} s (p50),"
            f" {p95:.2f} (p95), {p99:.2f} (p99), at most {max(self.took_s):.2f}; calls under way {min(self.under_way)}"
            f" to {max(self.under_way)}; while they started {sorted(self.starting)}; beside calls that do not return at"
            f" most {max(self.held_s, default=0):.2f} s; {self.acknowledgements} acknowledged events; senders heard"
            f" {self.told}; {len(self.breaches)} breaches"
        )


def run(folder: Path, *, seed: int, times: int, minutes: float | None = None, fault: str = "-") -> Report:
    """End so many lives at work, and a few in other ways; let one more come to rest, and judge everything."""
    chance = random.Random(seed)
    codes, took_s, under_way, starting, held_s = [], [], [], [], []
    breaches: list[str] = []
    with (
        lab(folder, _SETTINGS, fault=fault, latency_ms=30) as loaded,
        sending(loaded, attrs.evolve(_CLIENTS, seed=seed)) as end,
    ):
        for number in within(minutes, range(times)):
            with loaded.life() as process:
                assert loaded.wait_ready(process), loaded.said
                time.sleep(chance.uniform(*_AT_WORK_S))
                under_way.append(calls_under_way(folder))
                code, seconds = stop(process)
            codes.append(code)
            took_s.append(seconds)
            breaches += left_open(loaded.journal)
            if number % _OTHER_EVERY == 1:
                _kill(loaded)
                starting.append(_end_at_start(loaded, chance))
                breaches += left_open(loaded.journal)
                code, seconds = _end_beside_calls(loaded)
                codes.append(code)
                held_s.append(seconds)
                breaches += left_open(loaded.journal)
        with loaded.life() as process:
            assert loaded.wait_ready(process), loaded.said
            told = end()
            come_to_rest(loaded)
            codes.append(stop(process)[0])
    breaches += left_open(loaded.journal)
    breaches += [f"asked to end while it started, it ended with {code}" for code in starting if code]
    breaches += [f"beside calls that do not return it took {took:.1f} s" for took in held_s if took > HELD_S_MAX]
    breaches += judged(folder)
    return Report(codes, took_s, under_way, starting, held_s, breaches, acknowledgements(folder), told)


def _kill(loaded: Lab) -> None:
    with loaded.life() as process:
        assert loaded.wait_ready(process), loaded.said
        time.sleep(_AT_WORK_S[0])
        loaded.kill(process)


def _end_at_start(loaded: Lab, chance: random.Random) -> int:
    """The exit code of one that is asked to end while it starts: it has the journal, and takes up what was left."""
    with loaded.life() as process:
        give_up_at = time.monotonic() + READY_S_MAX
        while (holder := holder_of(str(loaded.journal))) is None or holder.pid != process.pid:
            assert time.monotonic() < give_up_at, loaded.said
            time.sleep(_LOOK_S)
        time.sleep(chance.uniform(0, _STARTING_S))
        return stop(process)[0]


def _end_beside_calls(loaded: Lab) -> tuple[int, float]:
    """How one ends whose calls do not return."""
    with loaded.life(environ=_NEVER) as process:
        assert loaded.wait_ready(process), loaded.said
        give_up_at = time.monotonic() + READY_S_MAX
        while not calls_of_last_life(loaded.folder):
            assert time.monotonic() < give_up_at, loaded.said
            time.sleep(_LOOK_S)
        time.sleep(_AT_WORK_S[1])
        return stop(process)


def left_open(journal: Path) -> list[str]:
    """What the end of a process left for the next start to do."""
    log = journal.with_name(f"{journal.name}-wal")
    if log.exists() and log.stat().st_size:
        return [f"a log of {log.stat().st_size} bytes is left beside the journal"]
    with contextlib.closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as rows:
        ((clean, unclean),) = rows.execute("select clean, unclean_starts from owner").fetchall()
    return [] if clean else [f"the journal was not closed in order; {unclean} ends before it were not either"]


def main() -> int:
    parser = argparse.ArgumentParser(description="End a daemon under full load, again and again.")
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    add_arguments(parser, faults=FAULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        report = run(
            Path(folder) / "loaded", seed=given.seed, times=given.times, minutes=given.minutes, fault=given.fault
        )
    print(f"seed {given.seed}, fault {given.fault}: {report}")
    return hand_out(given, report.counts)


_OTHER_EVERY = 10

if __name__ == "__main__":
    sys.exit(main())
