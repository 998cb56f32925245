"""Every single call of two short lives fails, one in each run: by EIO, by ENOSPC, by writing nothing or a part.

    python -m tests.crash.io_sweep [--minutes 30] [--workers 4] [--state FILE] [--only pwrite64 left ...]
    python -m tests.crash.io_sweep --step 7 --seed 3

A kind is a life (`new` or `left`, see `short_life`), a system call on a file of the journal, an error, and whether it
passes or lasts. Of each kind the first call of a thread fails, in the next run the second, and so on, until three runs
in a row had no such call any more: then the end of that life was reached. A fault that passes must be survived by the
process, once its runtime is open; where it lasts, the process is killed. A life without a fault follows, and everything
must be as if nothing had happened.

`--state` keeps what was done in a file, and goes on from it. `--step` tries each so-manieth call only, beginning at one
that the seed says.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import product
from pathlib import Path

import attrs

from tests.crash.counts import Counts, add_arguments, hand_out
from tests.crash.io_one import Fault, Kind, Outcome, Prepared, prepare, run_one
from tests.crash.short_life import LIVES

ERRORS = {
    "fdatasync": ("EIO", "ENOSPC"),
    "ftruncate": ("EIO", "ENOSPC"),
    "openat": ("EIO", "ENOSPC"),
    "unlink": ("EIO",),
    "size": ("EFBIG",),
    "pwrite64": ("EIO", "ENOSPC", "short"),
    "pread64": ("EIO",),
}
"""By call; `size` is a limit of the size of files, which makes the write that crosses it a short one."""
KINDS = tuple(
    Kind(life, call, error, lasting)
    for (call, errors), life in product(ERRORS.items(), LIVES)
    for error, lasting in product(errors, (False, True))
)
_BEYOND = 3
_TELL_S = 15.0


@attrs.define
class Progress:
    """How far one kind was tried."""

    kind: Kind
    first: int
    step: int
    last: int | None
    """The last number that there is, where that is known before."""
    met: set[int] = attrs.field(factory=set)
    unmet: set[int] = attrs.field(factory=set)
    survived: int = 0
    asked: int = 0
    """How many numbers were handed out."""

    @property
    def beyond(self) -> int:
        """How many runs without the call show that there is none any more."""
        return _BEYOND if self.step == 1 else 1

    @property
    def over(self) -> bool:
        """Whether the end of the life was reached."""
        if self.last is not None:
            return self._number(len(self.met | self.unmet)) > self.last
        return sum(number > self._far for number in self.unmet) >= self.beyond

    @property
    def _far(self) -> int:
        return max(self.met, default=0)

    def _number(self, index: int) -> int:
        return self.first + index * self.step

    def next(self) -> int | None:
        """The next number to try; None where none is to be tried for now."""
        known = self.met | self.unmet
        while self._number(self.asked) in known:
            self.asked += 1
        number = self._number(self.asked)
        near = number <= self._far + self.beyond * self.step if self.last is None else number <= self.last
        if self.over or not near:
            return None
        self.asked += 1
        return number

    def add(self, number: int, outcome: Outcome) -> None:
        (self.met if outcome.met else self.unmet).add(number)
        self.survived += outcome.met and outcome.ended == 0

    def __str__(self) -> str:
        reached = "to the end" if self.over else "not to the end"
        return f"{self.kind}: {len(self.met)} met, up to number {self._far}, {reached}"


@attrs.define
class Sweep:
    """All kinds, and what was found."""

    kinds: list[Progress]
    breaches: list[str] = attrs.field(factory=list)
    ends: Counter[str] = attrs.field(factory=Counter)

    @property
    def counts(self) -> Counts:
        """As figures."""
        met = sum(len(one.met) for one in self.kinds)
        figures = {
            "runs": met + sum(len(one.unmet) for one in self.kinds),
            "of them met the fault": met,
            "of these survived it without a restart": sum(one.survived for one in self.kinds),
            "kinds of faults": len(self.kinds),
            "of them tried to the end of the life": sum(one.over for one in self.kinds),
        }
        calls = Counter[str]()
        for one in self.kinds:
            if one.step > 1:
                continue  # some calls are left out: that says nothing of how many there are
            call = f"times {one.kind.call} in the life {one.kind.life}"
            calls[call] = max(calls[call], max(one.met, default=0))
        return Counts({**figures, **calls}, self.breaches)

    def next(self) -> Fault | None:
        """What to try next: the first kind first."""
        for one in self.kinds:
            number = one.next()
            if number is not None:
                return Fault(one.kind, number)
        return None

    def add(self, fault: Fault, outcome: Outcome) -> None:
        """What became of it."""
        next(one for one in self.kinds if one.kind == fault.kind).add(fault.number, outcome)
        self.breaches += [f"{fault}: {breach}" for breach in outcome.breaches]
        if outcome.met:
            self.ends[outcome.said] += 1

    @property
    def over(self) -> bool:
        """Nothing is left to try."""
        return all(one.over for one in self.kinds)

    def save(self, file: Path) -> None:
        """For `load`."""
        kinds = {str(one.kind): [sorted(one.met), sorted(one.unmet), one.survived] for one in self.kinds}
        content = {"kinds": kinds, "breaches": self.breaches, "ends": self.ends}
        file.write_text(json.dumps(content, indent=1) + "\n", "utf-8")

    def load(self, file: Path) -> None:
        """Go on from there."""
        found = json.loads(file.read_text("utf-8"))
        self.breaches += found["breaches"]
        self.ends.update(found["ends"])
        for one in self.kinds:
            met, unmet, one.survived = found["kinds"].get(str(one.kind), ([], [], 0))
            one.met.update(met)
            one.unmet.update(unmet)


def sweep_of(kinds: Sequence[Kind], prepared: Prepared, step: int = 1, seed: int = 0) -> Sweep:
    """Of these kinds, each so-manieth call."""
    sizes = {life: len(prepared.limits[life]) for life in LIVES}
    first = 1 + seed % step
    return Sweep([Progress(kind, first, step, sizes[kind.life] if kind.call == "size" else None) for kind in kinds])


def _forkers(number: int) -> ProcessPoolExecutor:
    """Processes that fork lives, and so must have no threads themselves."""
    return ProcessPoolExecutor(number, mp_context=multiprocessing.get_context("spawn"))


def begun(work: Path) -> Prepared:
    """What all runs begin with, made in this folder."""
    with _forkers(1) as pool:
        return pool.submit(prepare, work).result()


def run(sweep: Sweep, prepared: Prepared, workers: int, until: float, options: Sequence[str] = ()) -> Iterator[Fault]:
    """Try until all is over, or that time has come; yields what was tried."""
    with _forkers(workers) as pool:
        trying: dict[Future[Outcome], Fault] = {}
        while True:
            while len(trying) < workers and time.monotonic() < until and (fault := sweep.next()) is not None:
                trying[pool.submit(run_one, prepared, fault, tuple(options))] = fault
            if not trying:
                return
            for done in wait(trying, return_when=FIRST_COMPLETED).done:
                fault = trying.pop(done)
                sweep.add(fault, done.result())
                yield fault


def chosen(words: Sequence[str]) -> list[Kind]:
    """Those kinds that have all these words in their names."""
    return [kind for kind in KINDS if all(word in str(kind).split() for word in words)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.io_sweep", description=__doc__)
    parser.add_argument("--workers", type=int, default=4, help="runs side by side; each mostly waits")
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep what was done here, and go on from it")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="kinds that have all these words")
    parser.add_argument("--step", type=int, default=1, help="each so-manieth call only")
    parser.add_argument("--seed", type=int, default=0, help="with which to begin then")
    add_arguments(parser)
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes if options.minutes else float("inf")
    work = Path(tempfile.mkdtemp(prefix="io-sweep-"))
    try:
        prepared = begun(work)
        sweep = sweep_of(chosen(options.only), prepared, options.step, options.seed)
        if options.state and options.state.exists():
            sweep.load(options.state)
        tell_at = time.monotonic()
        for fault in run(sweep, prepared, options.workers, until):
            if options.state:
                sweep.save(options.state)
            if time.monotonic() >= tell_at:
                tell_at = time.monotonic() + _TELL_S
                runs = sweep.counts.figures["runs"]
                print(f"{runs:,} runs, {len(sweep.breaches)} breaches; {fault}", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(work)
    for one in sweep.kinds:
        print(one)
    for said, number in sweep.ends.most_common():
        print(f"{number:6} x {said}")
    counted = "; ".join(f"{number:,} {name}" for name, number in sweep.counts.figures.items())
    print(f"{counted}; {len(sweep.breaches)} breaches")
    return hand_out(options, sweep.counts)


if __name__ == "__main__":
    sys.exit(main())
