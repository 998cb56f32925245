"""Disks that fail: the n-th write or sync of a real process is refused, once or from then on; and short writes.

    python -m tests.crash.io_faults [--seed 1] [--runs 100]

Each run begins with a fault: strace has a system call of SQLite's own fail with an error, or the size of files is
limited, so that a write comes out short and the next fails. A fault that passes must be survived without a restart;
one that lasts is lifted by the process's end. The last life has no fault; then everything must be as if nothing had
happened, and what was acknowledged must be there. Every single call of a shorter life: `io_sweep`.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import attrs

from tests.crash.checker import check, outcomes
from tests.crash.counts import Counts, add_arguments, hand_out, within
from tests.crash.driver import ROOT, differences, live_to_the_end
from tests.crash.power_loss import LOGS

CALLS = ("pwrite64", "fdatasync", "ftruncate")
ERRORS = ("ENOSPC", "EIO")
_COHORTS = 1
_LASTING_S = 4
_PASSING_S_MAX = 60
_NUMBER_MAX = 400
_LIMIT_BYTES = (150_000, 1_500_000)
_LAST_LINES = 3
_LOOK_S = 0.1
_CALLS_LOG = "calls.txt"


@attrs.frozen
class Refusal:
    """The n-th call of a thread fails; all later ones too where it lasts."""

    call: str
    error: str
    number: int
    lasting: bool

    @property
    def command(self) -> list[str]:
        """What runs the process so."""
        when = f"{self.number}{'+' if self.lasting else ''}"
        fault = f"inject={self.call}:error={self.error}:when={when}"
        return ["strace", "-f", "--seccomp-bpf", "-qq", "-e", f"trace={self.call}", "-e", fault, "-o"]

    def __str__(self) -> str:
        return f"{self.call} number {self.number} fails by {self.error}{' and all after it' if self.lasting else ''}"


@attrs.frozen
class Limit:
    """No file may be longer: a write that crosses it comes out short."""

    size_bytes: int
    lasting: bool

    def __str__(self) -> str:
        return f"files of at most {self.size_bytes:,} bytes{'' if self.lasting else ', for a while'}"


Fault = Refusal | Limit


@attrs.define
class Report:
    """What many runs found."""

    runs: int = 0
    struck: int = 0
    """Runs in which the fault was met."""
    survived: int = 0
    """Of them, those that went on to their end in the same process."""
    breaches: list[str] = attrs.field(factory=list)

    @property
    def counts(self) -> Counts:
        """As figures."""
        figures = {
            "runs": self.runs,
            "of them met the fault": self.struck,
            "of these survived it without a restart": self.survived,
        }
        return Counts(figures, self.breaches)

    def __str__(self) -> str:
        return (
            f"{self.runs} runs, the fault was met in {self.struck}, and survived without a restart in {self.survived};"
            f" {len(self.breaches)} breaches"
        )


def drawn(chance: random.Random, runs: int) -> Iterator[Fault]:
    """So many faults by chance."""
    for _ in range(runs):
        lasting = chance.random() < 1 / 3
        if chance.random() < 1 / 4:
            yield Limit(chance.randint(*_LIMIT_BYTES), lasting)
        else:
            number = int(_NUMBER_MAX ** chance.random())  # early calls more often: the journal is made there
            yield Refusal(chance.choice(CALLS), chance.choice(ERRORS), number, lasting)


def run(
    work: Path, faults: Iterable[Fault], seed: int, options: Sequence[str] = (), report: Report | None = None
) -> Report:
    """One run after the other, each in a folder of its own."""
    report = report or Report()
    calm = _folder(work, "calm")
    live_to_the_end(calm, seed, 0, _COHORTS, ())
    expected = outcomes(calm)
    for number, fault in enumerate(faults):
        folder = _folder(work, f"run-{number}")
        met, ended = _live_with(folder, seed, fault, options)
        report.runs += 1
        report.struck += met
        report.survived += met and ended == 0
        breaches = (
            [] if ended == 0 or not _must_survive(fault, folder) else [f"it ended with {ended}: {_last_words(folder)}"]
        )
        live_to_the_end(folder, seed, 1, _COHORTS, ())
        breaches += check(folder) + differences(outcomes(folder), expected)
        report.breaches += [f"{fault}: {breach}" for breach in breaches]
        shutil.rmtree(folder)
    return report


def _folder(work: Path, name: str) -> Path:
    folder = work / name
    folder.mkdir()
    for log in LOGS:
        (folder / log).touch()
    return folder


def _must_survive(fault: Fault, folder: Path) -> bool:
    """A fault that passes is survived by a process that is open; where it is opened or closed, it says so and ends."""
    closing = "the clean end is not recorded" in _last_words(folder)
    return not fault.lasting and not closing and bool((folder / LOGS[0]).read_text())


def _last_words(folder: Path) -> str:
    return " / ".join((folder / "errors.log").read_text().splitlines()[-_LAST_LINES:])


def _live_with(folder: Path, seed: int, fault: Fault, options: Sequence[str]) -> tuple[bool, int | None]:
    """Whether the fault was met, and how the process ended: None where it had to be ended."""
    child = [sys.executable, "-m", "tests.crash.child", str(folder), str(seed), "0", str(_COHORTS), *options]
    calls = folder / _CALLS_LOG
    command = [*fault.command, str(calls), *child] if isinstance(fault, Refusal) else child
    limit: Callable[[], None] | None = None
    if isinstance(fault, Limit):
        limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (fault.size_bytes, resource.RLIM_INFINITY))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with (
        (folder / "errors.log").open("a") as errors,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
            preexec_fn=limit,  # noqa: PLW1509 - this program has one thread
        ) as running,
    ):
        ended = None
        try:
            _wait_met(running, lambda: _is_met(fault, folder))
            ended = _waited(running, _LASTING_S if fault.lasting or isinstance(fault, Limit) else _PASSING_S_MAX)
            if ended is None and isinstance(fault, Limit) and not fault.lasting:
                resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                ended = _waited(running, _PASSING_S_MAX)
        finally:
            if ended is None:
                os.killpg(running.pid, 9)
    return _is_met(fault, folder), ended


def _is_met(fault: Fault, folder: Path) -> bool:
    calls = folder / _CALLS_LOG
    if isinstance(fault, Refusal):
        return calls.exists() and "(INJECTED)" in calls.read_text()
    return "the journal is held" in (folder / "errors.log").read_text()


def _wait_met(running: subprocess.Popen[bytes], is_met: Callable[[], bool]) -> None:
    """Until the fault was met, or the process ended; on a busy machine that takes its time."""
    give_up_at = time.monotonic() + _PASSING_S_MAX
    while not is_met() and time.monotonic() < give_up_at and _waited(running, _LOOK_S) is None:
        pass


def _waited(running: subprocess.Popen[bytes], patience_s: float) -> int | None:
    try:
        return running.wait(patience_s)
    except subprocess.TimeoutExpired:
        return None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.io_faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=100)
    add_arguments(parser)
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="io-faults-"))
    report = Report()
    faults = drawn(random.Random(options.seed), options.runs)
    try:
        run(work, within(options.minutes, faults), options.seed, report=report)
    finally:
        shutil.rmtree(work)
    sys.stdout.write(f"seed {options.seed}: {report}\n")
    return hand_out(options, report.counts)


if __name__ == "__main__":
    sys.exit(main())
