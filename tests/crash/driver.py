"""Lives and kills: the child is ended with SIGKILL at random moments and started again, and the last life ends well."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import trio

from procession.journal.sqlite_reader import read_sqlite
from tests.crash.checker import Left, acknowledged, check, cohorts, left_by_kill, outcomes

ROOT = Path(__file__).parents[2]
READY_S_MAX = 30
LAST_LIFE_S_MAX = 120


@attrs.frozen
class Report:
    """What a run with kills left."""

    left: list[Left]
    """By kill: what it left undone."""
    breaches: list[str]
    acknowledgements: int
    effects: int
    """Commands that were begun, each time anew."""

    @property
    def kills_at_work(self) -> int:
        """Kills that left accepted events unhandled, and commands begun but not done."""
        return sum(left.deliveries > 0 and left.commands > 0 for left in self.left)

    def __str__(self) -> str:
        return (
            f"{len(self.left)} kills, {self.kills_at_work} of them at work; {self.acknowledgements} acknowledgements,"
            f" {self.effects} effects begun; left undone by a kill: events"
            f" {_spread([left.deliveries for left in self.left])}, commands"
            f" {_spread([left.commands for left in self.left])}; {len(self.breaches)} breaches"
        )


def run_with_kills(
    folder: Path, *, seed: int, kills: int, options: tuple[str, ...] = (), alive_s_max: float = 0.4
) -> Report:
    """Kill so many lives, let one more come to rest, and check everything, also against a run that nobody disturbed."""
    killed, calm = folder / "killed", folder / "calm"
    for made in (killed, calm):
        made.mkdir()
        for log in ("acknowledged.log", "effects.log"):
            (made / log).touch()
    chance = random.Random(seed)
    left = []
    for life in range(kills):
        with _child(killed, seed, life, "-", options) as child:
            _wait_ready(child)
            time.sleep(chance.uniform(0.02, alive_s_max))
            assert child.poll() is None, "the child ended before it was killed"
            child.send_signal(signal.SIGKILL)
            child.wait()
        left.append(left_by_kill(killed))
    last = cohorts(killed)
    live_to_the_end(killed, seed, kills, last, options)
    breaches = check(killed) + trio.run(_verified, killed / "journal.db")
    live_to_the_end(calm, seed, kills, last, ())
    breaches += differences(outcomes(killed), outcomes(calm))
    effects = (killed / "effects.log").read_text().count("begin ")
    return Report(left, breaches, len(acknowledged(killed)), effects)


@contextmanager
def _child(folder: Path, seed: int, life: int, until: str, options: tuple[str, ...]) -> Iterator[subprocess.Popen[str]]:
    arguments = [sys.executable, "-m", "tests.crash.child", str(folder), str(seed), str(life), until, *options]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with (
        (folder / "errors.log").open("a") as errors,
        subprocess.Popen(
            arguments, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as child,
    ):
        try:
            yield child
        finally:
            child.kill()


def _wait_ready(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    said = child.stdout.readline()
    assert said == "ready\n", f"the child said {said!r} and ended with {child.wait(READY_S_MAX)}"


def live_to_the_end(folder: Path, seed: int, life: int, cohort_last: int, options: tuple[str, ...]) -> None:
    """One more life, which publishes what is left and ends when all has come to rest."""
    with _child(folder, seed, life, str(cohort_last), options) as child:
        ended = child.wait(LAST_LIFE_S_MAX)
    assert ended == 0, f"the last life ended with {ended}: {(folder / 'errors.log').read_text()[-2000:]}"


async def _verified(path: Path) -> list[str]:
    reader = await read_sqlite(path)
    try:
        return [f"{fault.code}: {fault.found}" for fault in await reader.verify()]
    finally:
        await reader.close()


def differences(killed: dict[str, tuple[object, ...]], calm: dict[str, tuple[object, ...]]) -> list[str]:
    """How one run ended otherwise than another, flow by flow."""
    return [
        f"{name} ended as {killed.get(name)}, and undisturbed as {calm.get(name)}"
        for name in sorted(killed.keys() | calm.keys())
        if killed.get(name) != calm.get(name)
    ]


def _spread(counts: list[int]) -> str:
    ordered = sorted(counts)
    return f"{ordered[0]} to {ordered[-1]}, median {ordered[len(ordered) // 2]}" if ordered else "none"
