"""A journal in memory whose commits fail, hang, are slow or are the last ones of a process, when a test says so.

    journal = FaultyJournal({3: "written"})
    async with open_runtime(journal, processes=[Order], gateways=[Payments()]) as runtime:
        ...                                     # the third commit fails, and its rows are there

Where chance should say it, and a whole world go wrong beside it, `simulate` does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Literal, Self

import trio

from procession.journal.memory import MemoryJournal
from procession.journal.rows import ArmedTimer, Commit, LookUp, OpenCommand
from procession.journal_errors import CommitFailed, CommitRejected

CommitFault = Literal["fail", "written", "reject"]
"""`fail`: I/O failed and nothing was written; `written`: it failed and its rows are there; `reject`: the data was
refused."""


class FaultyJournal(MemoryJournal):
    """A journal that does wrong what it is told; for everything else `MemoryJournal`.

    Commits are counted from 1, from the moment that the journal was made or `count_anew` was called.

    Args:
        faults: by the number of a commit, what becomes of it.
        commit_s: how long each commit takes, in seconds of trio's clock. Cancellation: shielded, as on a disk.
        read_s: how long reads take that the intake, the timers and the gateways wait for.
    """

    def __init__(self, faults: dict[int, CommitFault] | None = None, *, commit_s: float = 0, read_s: float = 0) -> None:
        super().__init__()
        self.faults = dict(faults or {})
        self.commit_s = commit_s
        """How long each commit takes."""
        self.read_s = read_s
        """How long reading takes what the intake, the timers and the gateways read on."""
        self.commits = 0
        """How many were tried."""
        self.reopens_failing = 0
        """So many times `reopen` fails."""
        self.reopens = 0
        """How often it was tried."""
        self.dead = False
        """Whether the process died: commits never return."""
        self.written: list[Commit] = []
        """Every commit that is durable, in order."""
        self.dies_at = 0
        """At this commit the process dies: before it is written, or where the number is negative, after it."""
        self.on_death: Callable[[], None] = _unheard
        """Called back when it does."""

    @classmethod
    def of(cls, journal: MemoryJournal) -> Self:
        """The same journal, which from now on does as it is told here."""
        made = cls()
        made._store, made._epoch = journal._store, journal._epoch  # noqa: SLF001 - one journal, two faces
        return made

    def count_anew(self, faults: dict[int, CommitFault]) -> None:
        """The next commit is number 1."""
        self.commits, self.faults = 0, dict(faults)

    def kill(self) -> None:
        """From now on nothing is written: to whoever opens it again, the process died here."""
        self.dead = True
        self.on_death()

    async def commit(self, commit: Commit) -> None:
        if self.dead:
            await trio.sleep_forever()
        self.commits += 1
        fault = self.faults.pop(self.commits, None)
        if self.commits == abs(self.dies_at):
            if self.dies_at < 0:
                await super().commit(commit)
            self.kill()
            await trio.sleep_forever()
        if self.commit_s:
            with trio.CancelScope(shield=True):
                await trio.sleep(self.commit_s)
        if fault == "fail":
            await trio.lowlevel.checkpoint()
            raise CommitFailed("the disk is on fire")
        if fault == "reject":
            await trio.lowlevel.checkpoint()
            raise CommitRejected("the data smells")
        await super().commit(commit)
        self.written.append(commit)
        if fault == "written":
            raise CommitFailed("the disk is on fire, and the rows are there")

    async def reopen(self) -> None:
        self.reopens += 1
        if self.reopens_failing:
            self.reopens_failing -= 1
            await trio.lowlevel.checkpoint()
            raise CommitFailed("the disk is still on fire")
        await super().reopen()

    async def look_up(self, ids: Sequence[tuple[str, str]], flows: Sequence[tuple[str, str]]) -> LookUp:
        found = await super().look_up(ids, flows)
        await self._read()
        return found

    async def timers(self, after: tuple[int, int, str], limit: int) -> list[ArmedTimer]:
        found = await super().timers(after, limit)
        await self._read()
        return found

    async def open_commands(
        self, gateway: str, due_us_max: int, limit: int, known: Collection[int] = ()
    ) -> list[OpenCommand]:
        found = await super().open_commands(gateway, due_us_max, limit, known)
        await self._read()
        return found

    async def close_clean(self) -> None:
        await (super().close() if self.dead else super().close_clean())

    async def _read(self) -> None:
        if self.read_s:
            await trio.sleep(self.read_s)


def _unheard() -> None:
    pass
