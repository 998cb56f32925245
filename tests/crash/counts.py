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


def add_arguments(parser: argparse.ArgumentParser, *, minutes: bool = True) -> None:
    """`--json`; and `--minutes` where the harness can stop in time."""
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
    breaches = Counter(counts.breaches)
    for breach, number in [*breaches.items()][:_SHOWN_MAX] if shown else ():
        print(f"  {breach}" if number == 1 else f"  {number} x {breach}")
    if given.json:
        written = {"figures": dict(counts.figures), "breaches": [*counts.breaches]}
        given.json.write_text(json.dumps(written, indent=1) + "\n", "utf-8")
    return 1 if counts.breaches else 0


def read_counts(file: Path) -> Counts:
    """What another process counted."""
    found = json.loads(file.read_text("utf-8"))
    return Counts(found["figures"], found["breaches"])
