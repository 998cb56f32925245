"""Promises that are tried by tests, in their long form: more examples of hypothesis, slow tests too, and a seed.

    python -m tests.crash.examining tests/engine/test_clock_jumps.py --examples 2000 --seed 1

A test that is skipped is a breach: a night that tried less than it says would say too much.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from tests.crash.counts import Counts, add_arguments, hand_out
from tests.daemon.command import ROOT, environment

TIMEOUT_S = 900
"""Of one test, where it names none."""
_EXAMPLES = re.compile(r"- (\d+) passing")


def counts_of(junit: Path, printed: str) -> Counts:
    """What a run of pytest came to."""
    cases = [*ElementTree.parse(junit).iter("testcase")]
    breaches = []
    for case in cases:
        for what in ("failure", "error", "skipped"):
            if (found := case.find(what)) is not None:
                first, *_ = (found.get("message") or "").splitlines() or ["nothing said"]
                breaches.append(f"{case.get('name')}: {what}: {first}")
    figures = {"tests": len(cases), "passed": len(cases) - len(breaches)}
    if examples := sum(map(int, _EXAMPLES.findall(printed))):
        figures["examples of hypothesis"] = examples
    return Counts(figures, breaches, ("passed",))


def examine(paths: list[str], *, examples: int, seed: int) -> Counts:
    """Run them, and count."""
    with tempfile.TemporaryDirectory(prefix="examining-") as folder:
        junit = Path(folder) / "junit.xml"
        options = ["-m", "slow or not slow", "-q", f"--timeout={TIMEOUT_S}", f"--junitxml={junit}"]
        of_hypothesis = ["--hypothesis-show-statistics", f"--hypothesis-seed={seed}"]
        command = [sys.executable, "-m", "pytest", *options, *of_hypothesis, *paths]
        environ = environment({"HYPOTHESIS_PROFILE": "nightly", "HYPOTHESIS_EXAMPLES": str(examples)})
        done = subprocess.run(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True, check=False)
        sys.stdout.write(done.stdout)
        if not junit.exists():
            return Counts({}, [f"pytest ended with {done.returncode}, and ran nothing"])
        counts = counts_of(junit, done.stdout)
    if done.returncode and not counts.breaches:
        return Counts(counts.figures, [f"pytest ended with {done.returncode}"])
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description="Run tests in their long form.")
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--examples", type=int, default=5_000, help="of hypothesis, for each property")
    parser.add_argument("--seed", type=int, default=1)
    add_arguments(parser, minutes=False)
    given = parser.parse_args()
    return hand_out(given, examine(given.paths, examples=given.examples, seed=given.seed))


if __name__ == "__main__":
    sys.exit(main())
