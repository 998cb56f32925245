"""SIGTERM under full load: many clients publish over HTTP and the socket, and gateway calls are under way.

    python -m tests.crash.ending --times 100 --seed 1

Each life ends in order, quickly; what clients heard was accepted is there after the last start, and the whole history
is judged.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

import attrs

from tests.bench.figures import percentiles
from tests.crash.counts import Counts, add_arguments, hand_out, within
from tests.crash.judging import acknowledgements, calls_under_way, come_to_rest, judged
from tests.crash.lab import Load, lab, sending, stop
from tests.crash.served import FAULTS

_CLIENTS = Load(http=12, socket=4, pause_ms=0)
_AT_WORK_S = (0.1, 0.5)
TOOK_S_P99_MAX = 2.0
_SETTINGS = "[gateways]\nconcurrency = 64\n"


@attrs.frozen
class Report:
    """How lives ended."""

    codes: list[int]
    took_s: list[float]
    under_way: list[int]
    """By life: commands that were begun and not done when it was asked to end."""
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
            "acknowledged events": self.acknowledgements,
        }
        breaches = [*self.breaches, *(f"a life ended with exit code {code}" for code in self.codes if code)]
        if self.took_s_p99 > TOOK_S_P99_MAX:
            breaches.append(f"an end took {self.took_s_p99:.2f} s (p99), over {TOOK_S_P99_MAX:g}")
        return Counts(figures, breaches)

    def __str__(self) -> str:
        p50, p95, p99 = percentiles(self.took_s)
        return (
            f"{len(self.codes)} times SIGTERM, exit codes {sorted(set(self.codes))}; it took {p50:.2f} s (p50),"
            f" {p95:.2f} (p95), {p99:.2f} (p99), at most {max(self.took_s):.2f}; calls under way {min(self.under_way)}"
            f" to {max(self.under_way)}; {self.acknowledgements} acknowledged events; senders heard {self.told};"
            f" {len(self.breaches)} breaches"
        )


def run(folder: Path, *, seed: int, times: int, minutes: float | None = None, fault: str = "-") -> Report:
    """End so many lives, let one more come to rest, and judge everything."""
    chance = random.Random(seed)
    codes, took_s, under_way = [], [], []
    with (
        lab(folder, _SETTINGS, fault=fault, latency_ms=30) as loaded,
        sending(loaded, attrs.evolve(_CLIENTS, seed=seed)) as end,
    ):
        for _ in within(minutes, range(times)):
            with loaded.life() as process:
                assert loaded.wait_ready(process), loaded.said
                time.sleep(chance.uniform(*_AT_WORK_S))
                under_way.append(calls_under_way(folder))
                code, seconds = stop(process)
            codes.append(code)
            took_s.append(seconds)
        with loaded.life() as process:
            assert loaded.wait_ready(process), loaded.said
            told = end()
            come_to_rest(loaded)
            codes.append(stop(process)[0])
    return Report(codes, took_s, under_way, judged(folder), acknowledgements(folder), told)


def main() -> int:
    parser = argparse.ArgumentParser(description="End a daemon under full load, again and again.")
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", choices=["-", *FAULTS], default="-", help="planted in the daemon")
    add_arguments(parser)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        report = run(
            Path(folder) / "loaded", seed=given.seed, times=given.times, minutes=given.minutes, fault=given.fault
        )
    print(f"seed {given.seed}, fault {given.fault}: {report}")
    return hand_out(given, report.counts)


if __name__ == "__main__":
    sys.exit(main())
