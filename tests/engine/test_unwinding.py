"""A life that fails while a slow commit runs: in between, nothing is lost and nobody is left waiting."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
import trio.testing

from procession import Attempt, Runtime
from procession.errors import OutcomeUnknown, PublishRefused, RuntimeClosed
from procession.journal.rows import LookUp
from procession.journal_errors import CommitFailed, Fenced
from procession.testing.faults import FaultyJournal
from tests.engine.tally import Asked, Counted, Desk, Done, Opened, Work, opened, story


class UnreadableJournal(FaultyJournal):
    """A journal whose look-up fails once when it is told to."""

    unreadable = False

    async def look_up(self, ids: Sequence[tuple[str, str]], flows: Sequence[tuple[str, str]]) -> LookUp:
        if self.unreadable:
            self.unreadable = False
            await trio.lowlevel.checkpoint()
            raise OSError("the disk can't be read")
        return await super().look_up(ids, flows)


async def test_an_answer_that_comes_while_a_failed_life_ends_is_kept(autojump_clock: trio.testing.MockClock) -> None:
    async def in_a_while(command: Work, attempt: Attempt) -> Done:
        await trio.sleep(1)
        return Done(command.key, command.number)

    journal, desk = UnreadableJournal(), Desk(in_a_while)
    async with opened(journal, gateways=[desk]) as runtime, trio.open_nursery() as senders:
        await runtime.publish([Opened("a"), Asked("a", (7,))])
        journal.commit_s = 3  # from here on the writer is busy, shielded, while everything around it ends
        senders.start_soon(runtime.publish, Counted("a", 1))
        await trio.sleep(0.1)
        journal.unreadable = True
        with pytest.raises(PublishRefused):
            await runtime.publish(Opened("b"))
        journal.commit_s = 0
        await runtime.drain()
        assert await story(runtime, "a") == ["opened", "asked", "counted 1", "done 7"]
    assert desk.numbers == [7]


async def test_senders_hear_of_it_when_another_owner_took_the_journal(autojump_clock: trio.testing.MockClock) -> None:
    heard: list[Exception] = []

    async def publish(runtime: Runtime, key: str) -> None:
        try:
            await runtime.publish(Opened(key), id=key)
        except (PublishRefused, OutcomeUnknown, RuntimeClosed) as error:
            heard.append(error)

    journal = FaultyJournal(commit_s=1)

    async def live(outside: trio.Nursery) -> None:
        async with opened(journal) as runtime:
            outside.start_soon(publish, runtime, "a")
            await trio.sleep(0.5)
            journal.reopened()
            outside.start_soon(publish, runtime, "b")
            await trio.sleep_forever()

    async with trio.open_nursery() as outside:
        with pytest.raises(Fenced):
            await live(outside)
    assert len(heard) == 2


async def test_a_journal_whose_commit_failed_is_reopened_although_the_life_failed_by_something_else_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = UnreadableJournal()
    async with opened(journal) as runtime, trio.open_nursery() as senders:
        await runtime.publish(Opened("a"))
        journal.commit_s = 3
        journal.count_anew({1: "written"})
        senders.start_soon(runtime.publish, Counted("a", 1))
        await trio.sleep(0.1)
        journal.unreadable = True
        with pytest.raises(PublishRefused):
            await runtime.publish(Opened("b"))
        journal.commit_s = 0
        await runtime.drain()
        assert journal.reopens == 1
        assert await story(runtime, "a") == ["opened", "counted 1"]


async def test_what_can_not_be_opened_because_a_commit_failed_does_not_count_as_ended_in_order() -> None:
    journal = FaultyJournal({1: "fail"})
    with pytest.raises(CommitFailed):
        async with opened(journal):
            pass
    owner = await journal.reopened().owner()
    assert owner is not None
    assert owner.unclean_starts == 1
