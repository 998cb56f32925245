"""The whole crash lab by one command: every harness, one after another, each for its share of the time.

    python -m tests.crash.night --minutes 60 --seed 1
    python -m tests.crash.night --minutes 2 --only swarm corrupting
    python -m tests.crash.night --page docs/crash_lab.json --into docs/crash_lab.md

Each runs in a process of its own, its output in a log of its own; one that fails is counted, and the next one runs.
Last come a table and a report; it ends with 1 where anything was broken, with 130 where it was broken off. `--page`
makes the table of the docs of such a report.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs

from tests.crash.counts import read_counts
from tests.crash.harnesses import HARNESSES, Harness
from tests.crash.page import put_in, table
from tests.crash.report import Outcome, Report, begun, read_report
from tests.daemon.command import ROOT, environment

MINUTES_MIN = 0.05
"""What each has at least, however late it is."""
_LOOK_S, _TELL_S = 0.1, 60.0
_END_S_MAX = 15.0
_LAST_LINES = 3
BROKEN_OFF = 128 + signal.SIGINT

Tell = Callable[[str], None]


def told(line: str) -> None:
    """Progress."""
    print(line, file=sys.stderr, flush=True)


def patience_s(minutes: float) -> float:
    """After how long one that has so many minutes is ended."""
    return 120 * minutes + 180


@attrs.define
class Night:
    """A run of harnesses, one after another."""

    harnesses: Sequence[Harness]
    minutes: float
    seed: int
    folder: Path
    """Where the logs are."""
    report: Report
    tell: Tell = told
    patience_s: Callable[[float], float] = patience_s

    def run(self) -> None:
        """Run them all; KeyboardInterrupt ends the one that runs, and leaves the report of those before it."""
        until = time.monotonic() + 60 * self.minutes
        for number, harness in enumerate(self.harnesses):
            left = (until - time.monotonic()) / 60
            share = harness.share / sum(one.share for one in self.harnesses[number:])
            minutes = max(MINUTES_MIN, left * share)
            place = f"[{number + 1}/{len(self.harnesses)}]"
            self.tell(f"{place} {harness.name}: {minutes:.1f} of the {max(0.0, left):.1f} minutes that are left")
            outcome = self._run(harness, minutes)
            self.report.outcomes.append(outcome)
            self.tell(f"    {outcome}")
            self.report.write(self.folder / "report.json")

    def _run(self, harness: Harness, minutes: float) -> Outcome:
        command = harness.command(minutes, self.seed)
        stem = harness.name.replace(" ", "_")
        log, counts = self.folder / f"{stem}.log", self.folder / f"{stem}.json"
        began = time.monotonic()
        code = self._ended(command, log, counts, until=began + self.patience_s(minutes))
        seconds = time.monotonic() - began
        outcome = Outcome(harness.name, harness.promises, command, round(seconds, 1))
        if counts.exists():
            found = read_counts(counts)
            outcome.figures.update(found.figures)
            outcome.breaches += found.breaches
        if code is None:
            outcome.breaches.append(f"it did not end within {seconds:.0f} s, and was ended: {last_words(log)}")
        elif (code or not counts.exists()) and not outcome.breaches:
            outcome.breaches.append(f"it ended with {code}: {last_words(log)}")
        elif not any(outcome.figures.values()) and not outcome.breaches:
            outcome.breaches.append("it counted nothing: what was not tried is not kept")
        return outcome

    def _ended(self, command: Sequence[str], log: Path, counts: Path, until: float) -> int | None:
        """The exit code; None where it had to be ended."""
        tell_at = time.monotonic() + _TELL_S
        with log.open("wb") as output, group([*command, "--json", str(counts)], output.fileno()) as process:
            while (code := process.poll()) is None and time.monotonic() < until:
                if time.monotonic() > tell_at:
                    self.tell(f"    {command[0]} goes on; its log is {log}")
                    tell_at += _TELL_S
                time.sleep(_LOOK_S)
            return code


@contextlib.contextmanager
def group(command: Sequence[str], output: int, end_s_max: float = _END_S_MAX) -> Iterator[subprocess.Popen[bytes]]:
    """A process and those that it starts, in a group of their own: asked to end, then killed, when the block ends."""
    paths = os.pathsep.join([str(ROOT), environment()["PYTHONPATH"]])
    with subprocess.Popen(
        [sys.executable, "-u", "-m", *command],
        cwd=ROOT, env=environment({"PYTHONPATH": paths}), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            try:
                if process.poll() is None:
                    # As Ctrl-C does: it ends its daemons, and takes its files away.
                    process.send_signal(signal.SIGINT)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(end_s_max)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def last_words(log: Path) -> str:
    """The end of what it said."""
    return " / ".join(log.read_text("utf-8", "replace").splitlines()[-_LAST_LINES:]) or "it said nothing"


def run(given: argparse.Namespace, harnesses: Sequence[Harness]) -> int:
    """Run, and tell."""
    folder: Path = given.folder or Path(tempfile.mkdtemp(prefix="night-"))
    folder.mkdir(parents=True, exist_ok=True)
    report = begun(given.minutes, given.seed)
    told(f"seed {given.seed}, {given.minutes:g} minutes, {len(harnesses)} harnesses; logs in {folder}")
    began, code = time.monotonic(), 0
    try:
        Night(harnesses, given.minutes, given.seed, folder, report).run()
    except KeyboardInterrupt:
        report.broken_off = True
        code = BROKEN_OFF
    report.seconds = round(time.monotonic() - began, 1)
    report.write(given.report or folder / "report.json")
    print(report)
    print(f"the report is {given.report or folder / 'report.json'}, the logs are in {folder}")
    return code or (1 if report.breaches else 0)


def main(arguments: Sequence[str] | None = None) -> int:
    names = {harness.name.replace(" ", "_"): harness for harness in HARNESSES}
    parser = argparse.ArgumentParser(prog="python -m tests.crash.night", description="Run the whole crash lab.")
    parser.add_argument("--minutes", type=float, default=60, help="for all of them together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, help=f"of {', '.join(names)}")
    parser.add_argument("--report", type=Path, metavar="FILE", help="for the report, as JSON; else it is with the logs")
    parser.add_argument("--folder", type=Path, help="for the logs; else a new one")
    parser.add_argument("--page", type=Path, metavar="REPORT", help="run nothing: print the table of the docs")
    parser.add_argument("--into", type=Path, metavar="PAGE", help="with --page: put it into this page")
    given = parser.parse_args(arguments)
    if given.page:
        text = table(read_report(given.page))
        print(text)
        if given.into:
            given.into.write_text(put_in(given.into.read_text("utf-8"), text), "utf-8")
        return 0
    # A shell may have had them ignored, for it and for all that it starts; to be told to end is to be broken off.
    for told_to_end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(told_to_end, signal.default_int_handler)
    return run(given, [harness for name, harness in names.items() if not given.only or name in given.only])


if __name__ == "__main__":
    sys.exit(main())
