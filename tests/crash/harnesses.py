"""The harnesses of a night, in the order in which they run: each with its promises, its share, and its arguments.

What can't stop in time comes first: the others share what it left. A new harness is one line here. Numbers of promises
are those of docs/crash_lab.md.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

EXAMINING = "tests.crash.examining"
_MANY = "1000000"
"""More than fit: the minutes end it."""

Arguments = Callable[[float], list[str]]


def _by_seed(seed: int) -> list[str]:
    return ["--seed", str(seed)]


def _by_nothing(_: int) -> list[str]:
    """Chance has no part in it, or can't be repeated."""
    return []


def _by_first(seed: int) -> list[str]:
    """A swarm has many seeds: another night has others."""
    return ["--first", str(1_000_000 * seed)]


@attrs.frozen
class Harness:
    """One command that tries some promises, and hands out its counts with `--json`."""

    name: str
    promises: tuple[str, ...]
    share: float
    """About so many minutes of an hour."""
    module: str
    arguments: Arguments
    """By the minutes that it may take."""
    seeded: Callable[[int], list[str]] = _by_seed
    """By the seed of the night."""

    def command(self, minutes: float, seed: int) -> list[str]:
        """Without interpreter and file: what the report tells, and anyone can run again."""
        return [self.module, *self.arguments(minutes), *self.seeded(seed)]


def scaled(low: float, value: float, high: float) -> str:
    """A whole number within bounds."""
    return f"{max(low, min(value, high)):.0f}"


def _until(*arguments: str) -> Arguments:
    """For one that takes `--minutes`: most of its share, because what it left is judged after that."""
    return lambda minutes: [*arguments, "--minutes", f"{0.9 * minutes:.2f}"]


def _tests(path: str, examples_per_minute: float = 0, examples_max: int = 5_000) -> Arguments:
    return lambda minutes: [path, "--examples", scaled(50, examples_per_minute * minutes, examples_max)]


def _recover(minutes: float) -> list[str]:
    return ["recovery", "--flows", scaled(10_000, 70_000 * minutes, 100_000)]


def _flood(minutes: float) -> list[str]:
    return ["--seconds", scaled(8, 20 * minutes, 60), "--waiting", scaled(1_000, 34_000 * minutes, 100_000)]


def _follow(minutes: float) -> list[str]:
    return ["--clients", scaled(50, 500 * minutes, 500), "--seconds", scaled(8, 20 * minutes, 20)]


def _isolate(minutes: float) -> list[str]:
    return ["--flows", scaled(900, 3_500 * minutes, 10_000)]


def _crowd(minutes: float) -> list[str]:
    return ["--kills", scaled(1, 3 * minutes, 20), "--seconds", scaled(1, 20 * minutes, 60)]


def _archive(minutes: float) -> list[str]:
    kills = ["--kills", scaled(3, 10 * minutes, 20), "--lines-max", "2", "--moment-s-max", "0.04"]
    return ["--flows", scaled(2_000, 10_000 * minutes, 100_000), *kills, "--file-flows-max", "500"]


HARNESSES: tuple[Harness, ...] = (
    Harness("recovery", ("R9",), 1.5, "tests.bench.run", _recover, _by_nothing),
    Harness("flooding", ("R7",), 3, "tests.crash.flooding", _flood, _by_nothing),
    Harness("streaming", ("R7",), 1, "tests.crash.streaming", _follow, _by_nothing),
    Harness(
        "isolating",
        ("R6",),
        3,
        "tests.crash.isolating",
        _isolate,
    ),
    Harness(
        "slow disk", ("R15",), 2, "tests.crash.slow_disk", lambda minutes: ["--seconds", scaled(4, 8 * minutes, 20)]
    ),
    Harness(
        "bad input",
        ("R19",),
        2,
        "tests.crash.bad_input",
        lambda minutes: ["--requests", scaled(500, 10_000 * minutes, 20_000)],
    ),
    Harness(
        "deaf",
        ("R24",),
        1.5,
        "tests.crash.deaf",
        lambda minutes: ["--flows", scaled(100, 200 * minutes, 300)],
        _by_nothing,
    ),
    Harness("limits", ("R22",), 0.3, EXAMINING, _tests("tests/test_limits.py")),
    Harness("secrets", ("R23",), 0.7, EXAMINING, _tests("tests/secrecy/test_sweep.py")),
    Harness("archiving", ("R1",), 2, "tests.crash.archiving", _archive),
    Harness("turn watch", ("R6",), 0.3, EXAMINING, _tests("tests/engine/test_turn_watch.py")),
    Harness("full disk", ("R13",), 0.7, "tests.crash.full_disk", _until("--rounds", _MANY)),
    Harness("upgrades", ("R10",), 0.5, EXAMINING, _tests("tests/crash/test_upgrades.py")),
    Harness("clock jumps", ("R16",), 1.5, EXAMINING, _tests("tests/engine/test_clock_jumps.py", 400)),
    Harness("bad bytes", ("R19",), 1.5, EXAMINING, _tests("tests/crash/test_bad_bytes.py", 1_000)),
    Harness("fuzz", ("R19",), 2, "tests.daemon.http.fuzz", _until("--requests", _MANY)),
    Harness("deciding", ("R1", "R3"), 1, "tests.crash.deciding", _until("--kills", _MANY)),
    Harness("following", ("R1", "R3"), 1, "tests.crash.following", _until("--kills", _MANY)),
    Harness("crowding", ("R3", "R5"), 2, "tests.crash.crowding", _crowd),
    Harness("ending", ("R8",), 4, "tests.crash.ending", _until("--times", _MANY)),
    Harness("io faults", ("R14",), 2, "tests.crash.io_faults", _until("--runs", _MANY)),
    Harness("io sweep", ("R14",), 4, "tests.crash.io_sweep", _until("--step", "11")),
    Harness(
        "power loss",
        ("R2",),
        8,
        "tests.crash.power_loss",
        _until("--images", "500", "--lives", "2", "--failing", "turns", "--rounds", _MANY),
    ),
    Harness(
        "corrupting", ("R11",), 5, "tests.crash.corrupting", _until("--flips", "20", "--others", "2", "--rounds", _MANY)
    ),
    Harness("owning", ("R12",), 8, "tests.crash.owning", _until("--races", "1000", "--fences", "20")),
    Harness(
        "dying", ("R1", "R3", "R4", "R5"), 10, "tests.crash.dying", _until("--kills", "100000", "--writes", "100000")
    ),
    Harness(
        "swarm",
        ("R3", "R4", "R5", "R18"),
        8,
        "tests.simulation.swarm",
        _until("--seeds", "100000000", "--parts", "2"),
        _by_first,
    ),
)
