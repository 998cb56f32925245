"""What a night came to: the counts of each harness, and of which version, where and when. As JSON, it is kept."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import attrs

from tests.daemon.command import ROOT

_SHOWN_MAX = 20


def number(value: float) -> str:
    """As a sentence has it."""
    if isinstance(value, int) or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


@attrs.define
class Outcome:
    """What one harness came to."""

    name: str
    promises: Sequence[str]
    command: Sequence[str]
    """Which module, and its arguments."""
    seconds: float
    figures: dict[str, float] = attrs.field(factory=dict)
    breaches: list[str] = attrs.field(factory=list)

    @property
    def counted(self) -> str:
        """The figures, in words."""
        return "; ".join(f"{number(value)} {name}" for name, value in self.figures.items()) or "nothing"

    def __str__(self) -> str:
        return f"{len(self.breaches)} breaches in {self.seconds:.0f} s: {self.counted}"


@attrs.define
class Report:
    """What all of them came to."""

    minutes: float
    """How many were given."""
    seed: int
    began: str
    version: str
    commit: str
    """Of the source; with a plus where it was changed since."""
    python: str
    sqlite: str
    machine: str
    cores: int
    seconds: float = 0.0
    broken_off: bool = False
    outcomes: list[Outcome] = attrs.field(factory=list)

    @property
    def breaches(self) -> list[str]:
        """Of all."""
        return [f"{one.name}: {breach}" for one in self.outcomes for breach in one.breaches]

    def write(self, file: Path) -> None:
        """Keep it."""
        file.write_text(json.dumps(attrs.asdict(self), indent=1) + "\n", "utf-8")

    @property
    def about(self) -> str:
        """Of what it is."""
        day = datetime.fromisoformat(self.began)
        minutes = self.seconds / 60 if self.seconds < 600 else round(self.seconds / 60)
        return (
            f"procession {self.version} ({self.commit}), {day.day} {day:%B %Y}, seed {self.seed},"
            f" {number(minutes)} minutes on {self.cores} cores ({self.machine}), Python {self.python},"
            f" SQLite {self.sqlite}"
        )

    def __str__(self) -> str:
        wide = max((len(one.name) for one in self.outcomes), default=0)
        lines = [f"{self.about}{': broken off' if self.broken_off else ''}"]
        lines += [f"  {one.name:<{wide}}  {one}" for one in self.outcomes]
        lines.append(f"{len(self.breaches)} breaches")
        return "\n".join([*lines, *(f"  {breach}" for breach in self.breaches[:_SHOWN_MAX])])


def begun(minutes: float, seed: int) -> Report:
    """An empty one, of this machine and now."""
    return Report(
        minutes,
        seed,
        datetime.now(UTC).isoformat(timespec="seconds"),
        version("procession"),
        _commit(),
        platform.python_version(),
        sqlite3.sqlite_version,
        f"{platform.system()} {platform.machine()}",
        os.cpu_count() or 1,
    )


def _commit() -> str:
    """Of git; unknown where the source is none of its checkouts."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else "unknown"


def read_report(file: Path) -> Report:
    """What was kept."""
    found = json.loads(file.read_text("utf-8"))
    return Report(**found | {"outcomes": [Outcome(**one) for one in found["outcomes"]]})
