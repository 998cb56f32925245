"""The journal in memory keeps the contract, on a virtual clock and without a thread."""

from __future__ import annotations

import pytest
import trio

from procession.journal.memory import MemoryJournal
from procession.journal_errors import Fenced
from procession.testing.contract import JournalContract
from procession.testing.journal_rows import PROCESS, flow, started


class TestMemoryContract(JournalContract):
    """The whole contract; a journal opened again is one of the same rows."""

    journal: MemoryJournal | None = None

    async def open(self) -> MemoryJournal:
        self.journal = MemoryJournal() if self.journal is None else self.journal.reopened()
        return self.journal


async def test_an_owner_that_was_replaced_writes_nothing() -> None:
    dead = MemoryJournal()
    living = dead.reopened()
    with pytest.raises(Fenced):
        await dead.commit(started(1, 1))
    assert (await living.heads()).position == 0


async def test_unclean_ends_far_apart_are_not_counted() -> None:
    now_us = [0]
    journal = MemoryJournal(clock_us=lambda: now_us[0], unclean_period_s=10)
    now_us[0] = 11_000_000
    owner = await journal.reopened().owner()
    assert owner is not None
    assert owner.unclean_starts == 0


async def test_a_run_longer_than_the_period_begins_a_new_count() -> None:
    now_us = [0]
    journal = MemoryJournal(clock_us=lambda: now_us[0], unclean_period_s=10).reopened()
    for position, second in ((1, 9), (2, 18), (3, 27)):
        now_us[0] = second * 1_000_000
        await journal.commit(started(position, position))
    owner = await journal.reopened().owner()
    assert owner is not None
    assert owner.unclean_starts == 1


async def test_each_call_lets_others_run(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    with trio.testing.assert_checkpoints():
        await journal.commit(started(1, 1))
    with trio.testing.assert_checkpoints():
        loaded = await journal.load(PROCESS, "k1", 9)
    assert loaded.row == flow(1, 1)
    assert autojump_clock.current_time() == 0.0
