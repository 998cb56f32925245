"""What every journal must do, as tests: derive from `JournalContract`, say how to open one, and run it.

    class TestMine(JournalContract):
        async def open(self) -> Journal: ...

Plain `async def` tests that need trio's runner and no fixture. `open` is called again after a close, and then opens
the same journal: a new owner of what the last one left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from procession.errors import RuntimeClosed
from procession.journal.journal import Journal
from procession.journal.rows import (
    Commit,
    FlowQuery,
)
from procession.journal_errors import Fenced
from procession.testing.contract_aggregates import AggregatesContract
from procession.testing.contract_reading import ReadingContract
from procession.testing.contract_search import SearchContract
from procession.testing.contract_writing import WritingContract
from procession.testing.journal_rows import (
    PROCESS,
    event,
    flow,
    started,
    step,
)


class JournalContract(AggregatesContract, WritingContract, ReadingContract, SearchContract):
    """The tests. A subclass says how to `open`, and may say where its store lies by pytest's fixtures."""

    async def test_an_owner_that_did_not_close_is_counted_until_one_does(self) -> None:
        ends: tuple[Callable[[Journal], Awaitable[None]], ...] = (_crashed, _crashed, _ended, _ended)
        counted: list[int] = []
        for end in ends:
            journal = await self.open()
            owner = await journal.owner()
            assert owner is not None
            assert owner.running
            counted.append(owner.unclean_starts)
            await end(journal)
        assert counted == [0, 1, 2, 0]

    async def test_each_owner_has_a_later_epoch(self) -> None:
        epochs: list[int] = []
        for _ in range(2):
            async with self.opened() as journal:
                owner = await journal.owner()
                assert owner is not None
                epochs.append(owner.epoch)
        assert epochs[0] < epochs[1]

    async def test_an_owner_that_was_overtaken_writes_nothing_more(self) -> None:
        old = await self.open()
        await old.commit(started(1, 1))
        new = await self.take_over()
        for _ in range(2):
            await _fenced(old.commit(started(2, 2)))
        await new.commit(started(3, 2))
        await _fenced(old.commit(started(4, 3)))
        await _fenced(old.reopen())
        await old.close()
        await new.commit(started(5, 3))
        assert [row.id for row in await new.flows(FlowQuery(), 0, 9)] == [1, 3, 5]
        assert await new.verify() == []
        await new.close()

    async def test_a_cancelled_commit_is_whole(self) -> None:
        async with self.opened() as journal:
            with trio.CancelScope() as scope:
                scope.cancel()
                await journal.commit(started(1, 1))
            assert (await journal.load(PROCESS, "k1", 9)).row == flow(1, 1)
            await journal.commit(started(2, 2))
            assert await journal.verify() == []

    async def test_reads_run_beside_commits(self) -> None:
        async with self.opened() as journal:
            seen: list[int] = []

            async def read() -> None:
                for _ in range(5):
                    found = await journal.load(PROCESS, "k1", 99)
                    seen.append(len(found.steps) - (0 if found.row is None else found.row.version))

            async with trio.open_nursery() as nursery:
                for _ in range(8):
                    nursery.start_soon(read)
                for n in range(1, 9):
                    await journal.commit(Commit(events=[event(n)], steps=[step(1, n, n)], flows={1: flow(1, n)}))
            assert seen == [0] * 40

    async def test_reopening_a_sound_journal_loses_nothing(self) -> None:
        async with self.opened() as journal:
            await journal.commit(started(1, 1))
            await journal.reopen()
            await journal.checkpoint()
            await journal.commit(started(2, 2))
            assert (await journal.heads()).position == 2
            assert await journal.verify() == []

    async def test_a_closed_journal_says_so(self) -> None:
        journal = await self.open()
        await journal.close_clean()
        await journal.close()
        for call in (journal.heads, journal.checkpoint, lambda: journal.commit(started(1, 1))):
            try:
                await call()
            except RuntimeClosed:
                continue
            raise AssertionError(f"{call} worked on a closed journal")

    async def test_closing_completes_when_it_is_cancelled(self) -> None:
        journal = await self.open()
        with trio.CancelScope() as scope:
            scope.cancel()
            await journal.close_clean()
        async with self.opened() as journal:
            owner = await journal.owner()
            assert owner is not None
            assert owner.unclean_starts == 0


async def _crashed(journal: Journal) -> None:
    await journal.close()


async def _ended(journal: Journal) -> None:
    await journal.close_clean()


async def _fenced(writing: Awaitable[None]) -> None:
    try:
        await writing
    except Fenced:
        return
    raise AssertionError("an owner that was overtaken wrote to the journal")
