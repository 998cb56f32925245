"""What all harnesses share on their command line: how long they begin anew, and a file for what they counted.

The name of a figure is what follows the number in a sentence: `{"kills": 12, "of them at a named write": 7}`.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import attrs

T = TypeVar("T")
Figures = dict[str, float]
_SHOWN_MAX = 20


@attrs.frozen
class Counts:
    """What a harness found."""

    figures: Mapping[str, float]
    breaches: Sequence[str] = ()
    tried: Sequence[str] = ()
    """Names of figures that must not be 0: what was not tried is not kept, however clean it looks."""

    @property
    def found(self) -> list[str]:
        """What was broken; where nothing was, what was not tried."""
        untried = [f"0 {name}: what was not tried is not kept" for name in self.tried if not self.figures.get(name)]
        return [*self.breaches] or untried


def add_arguments(parser: argparse.ArgumentParser, *, minutes: bool = True, faults: Iterable[str] = ()) -> None:
    """`--json`; `--minutes` where the harness can stop in time; `--fault` where it has some to plant."""
    if names := sorted(faults):
        parser.add_argument("--fault", choices=["-", *names], default="-", help="plant one; it must be found")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was counted to this file")
    if minutes:
        parser.add_argument("--minutes", type=float, help="nothing new begins after so long")


def within(minutes: float | None, things: Iterable[T]) -> Iterator[T]:
    """The first of them, and those that begin before so long is over; all where nothing is said."""
    until = None if minutes is None else time.monotonic() + 60 * minutes
    for thing in things:
        yield thing
        if until is not None and time.monotonic() >= until:
            return


def hand_out(given: argparse.Namespace, counts: Counts, *, shown: bool = True) -> int:
    """Print the breaches, write the file that was asked for: the exit code, 1 where something was broken."""
    breaches = Counter(counts.found)
    for breach, number in [*breaches.items()][:_SHOWN_MAX] if shown else ():
        print(f"  {breach}" if number == 1 else f"  {number} x {breach}")
    if given.json:
        written = {"figures": dict(counts.figures), "breaches": counts.found}
        given.json.write_text(json.dumps(written, indent=1) + "\n", "utf-8")
    return 1 if counts.found else 0


def read_counts(file: Path) -> Counts:
    """What another process counted."""
    found = json.loads(file.read_text("utf-8"))
    return Counts(found["figures"], found["breaches"])
