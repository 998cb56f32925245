"""The process that is killed: an embedded runtime on a real file, publishing its script for as long as it lives.

    python -m tests.crash.child FOLDER SEED LIFE COHORT_LAST [split|deaf] [early] [trusting] [careful] [normal]

Prints `ready` once the runtime is open and the first burst is acknowledged. With a COHORT_LAST that is not `-` it is
the last life: it publishes all that is left of these cohorts, lets everything come to rest, and ends in order.

`split`, `deaf`, `early` and `trusting` plant a fault. `normal` commits without waiting for the disk. `careful` leaves
it to the runtime when to start carefully; else it never does, for what runs alone leaves little undone when it is
killed.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

import attrs
import trio

from procession import Outside, Position, Runtime, Settings, open_runtime
from procession.engine.clock import SystemClock
from procession.errors import NotAccepted, OutcomeUnknown
from procession.journal import log_again
from procession.journal.head_file import HeadFile
from procession.journal.rows import Commit
from procession.journal.sqlite import SqliteJournal, open_sqlite
from procession.journal.sqlite_write import Tail
from procession.journal_errors import CommitFailed
from procession.settings import FlowsSettings, GatewaysSettings, JournalSettings, TimersSettings
from tests.crash.lines import LineLog, lines_of
from tests.crash.planting import plant
from tests.crash.story import BURSTS_BACK, Bank, Batch, Order, Shop, World, burst, bursts_of

_SOON_US = 60_000_000
_FOREVER = 10**9


class SplitOutbox:
    """A journal with a planted fault: it writes commands in a commit of their own, after that of their step.

    It waits a little in between, so that few kills are needed to find it.
    """

    def __init__(self, journal: SqliteJournal) -> None:
        self._journal = journal

    def __getattr__(self, name: str) -> object:
        return getattr(self._journal, name)

    async def commit(self, commit: Commit) -> None:
        """Two commits, where there must be one."""
        commands, commit = commit.commands, attrs.evolve(commit, commands=[])
        if commit:
            await self._journal.commit(commit)
        if commands:
            await trio.sleep(_BETWEEN_S)
            await self._journal.commit(Commit(commands=commands))


class DeafJournal:
    """A journal with a planted fault: it does not hear that a commit failed."""

    def __init__(self, journal: SqliteJournal) -> None:
        self._journal = journal

    def __getattr__(self, name: str) -> object:
        return getattr(self._journal, name)

    async def commit(self, commit: Commit) -> None:
        """As if it had been written."""
        with contextlib.suppress(CommitFailed):
            await self._journal.commit(commit)


def tell_early() -> None:
    """Plant a fault: the head file tells of a commit when it is only about to be made."""
    stamp, note = HeadFile.stamp, HeadFile.note
    last: list[Tail] = []

    def noting(head: HeadFile, tail: Tail) -> None:
        last[:] = [tail]
        note(head, tail)

    def early(head: HeadFile) -> int:
        stamp_us = stamp(head)
        note(head, last[0])
        return stamp_us

    plant(HeadFile, "note", noting)
    plant(HeadFile, "stamp", early)


def trust_the_log() -> None:
    """Plant a fault: what the log has is taken for durable, whatever became of its syncs."""
    plant(log_again, "write_again", lambda connection, path: None)  # noqa: ARG005 - as it is called


PLANTED = {"split": SplitOutbox, "deaf": DeafJournal}


def settings_of(life: int, *, careful: bool = False) -> Settings:
    """Small caches, windows and pages, another choice in each life: so all ways through the engine are walked."""
    chance = random.Random(life)
    return Settings(
        journal=JournalSettings(
            careful_after=2 if careful else 1_000_000, wal_pages_max=chance.choice([100, 400, 4000])
        ),
        flows=FlowsSettings(
            awake_max=chance.choice([2, 3, 4]),
            cached_max=chance.choice([1, 8, 32]),
            mailbox_max=chance.choice([1, 2, 256]),
            snapshot_every_steps=chance.choice([2, 3, 200]),
            load_slice_steps=chance.choice([1, 3, 256]),
        ),
        timers=TimersSettings(loaded_max=chance.choice([2, 20, 10_000])),
        gateways=GatewaysSettings(commands_loaded_max=chance.choice([16, 40, 2000])),
    )


async def main(folder: Path, seed: int, life: int, cohort_last: int | None, options: Collection[str]) -> None:
    settings = settings_of(life, careful="careful" in options)
    outside = World(LineLog(folder / "effects.log"), random.Random(f"{seed} {life}"), 40)
    if "early" in options:
        tell_early()
    if "trusting" in options:
        trust_the_log()
    journal = await open_sqlite(
        folder / "journal.db",
        clock_us=SystemClock().now_us,
        wal_pages_max=settings.journal.wal_pages_max,
        synchronous="NORMAL" if "normal" in options else "FULL",
    )
    faults = [PLANTED[option] for option in options if option in PLANTED]
    async with open_runtime(
        faults[0](journal) if faults else journal,  # type: ignore[arg-type]  # it passes on what it does not have
        processes=[Order, Batch],
        gateways=[Shop(outside), Bank(outside)],
        settings=settings,
    ) as runtime:
        await publish(runtime, folder, seed, cohort_last)
        await come_to_rest(runtime)


async def publish(runtime: Runtime, folder: Path, seed: int, cohort_last: int | None) -> None:
    """Burst after burst, from a bit before where the last life was; each acknowledgement is logged at once."""
    path = folder / "acknowledged.log"
    log = LineLog(path)
    done = max((int(line.split()[0]) for line in lines_of(path)), default=-1)
    first = max(0, done + 1 - BURSTS_BACK)
    last = _FOREVER if cohort_last is None else bursts_of(cohort_last)
    for number in range(first, last):
        outside = burst(seed, number, _FOREVER if cohort_last is None else cohort_last)
        if outside:
            positions = await publish_until_accepted(runtime, outside)
            ids = (f"{one.id}={position}" for one, position in zip(outside, positions, strict=True))
            log.write(f"{number} {' '.join(ids)}")
        if number == first:
            os.write(1, b"ready\n")
        if cohort_last is None:
            await trio.sleep(_BURST_S)


async def publish_until_accepted(runtime: Runtime, outside: Sequence[Outside]) -> Sequence[Position]:
    """As a sender does: what was refused for now, or whose outcome is not known, is sent again under its id."""
    while True:
        try:
            return await runtime.publish(outside)
        except (NotAccepted, OutcomeUnknown):
            await trio.sleep(_BURST_S)


async def come_to_rest(runtime: Runtime) -> None:
    """Until nothing is open, and no timer is armed that fires soon."""
    while True:
        await runtime.drain()
        timers = await runtime.journal.timers((-1, -1, ""), 1)
        if not timers or timers[0].row.due_us > SystemClock().now_us() + _SOON_US:
            return
        await trio.sleep(0.02)


_BURST_S = 0.02
_BETWEEN_S = 0.05

if __name__ == "__main__":
    _folder, _seed, _life, _until, *_options = sys.argv[1:]
    _last = None if _until == "-" else int(_until)
    trio.run(partial(main, Path(_folder), int(_seed), int(_life), _last, _options))
