"""Rules 29 and 30: operator acts, each an event of its flow, racing nothing."""

from __future__ import annotations

import attrs
import pytest
import trio

from procession import (
    Attempt,
    CancelRequested,
    Command,
    CommandGivenUp,
    Effects,
    Event,
    Gateway,
    ProcessManager,
    Runtime,
    ends,
    on,
    starts,
)
from procession.errors import ActRefused, InvalidPayload, NotFound
from procession.journal.memory import MemoryJournal
from procession.testing.faults import FaultyJournal
from tests.engine.tally import (
    TINY,
    Armed,
    Asked,
    Broken,
    BrokenTally,
    Closed,
    Counted,
    Desk,
    Done,
    Opened,
    Tally,
    Work,
    numbered,
    opened,
    reasons,
    settings,
    story,
)


async def never(command: Work, attempt: Attempt) -> Done:
    await trio.sleep_forever()
    raise AssertionError


async def broken_at_two(journal: MemoryJournal) -> None:
    """A flow in quarantine at its third event, with two that wait behind it."""
    async with opened(journal, processes=[BrokenTally]) as runtime:
        await runtime.publish([Opened("a"), Counted("a", 1), Broken("a", 2), Counted("a", 3), Counted("a", 4)])
        await runtime.drain()


async def test_skip_leaves_a_step_that_is_never_folded(autojump_clock: trio.testing.MockClock) -> None:
    journal, desk = MemoryJournal(), Desk()
    await broken_at_two(journal)
    async with opened(journal.reopened(), gateways=[desk]) as runtime:
        await runtime.flow(Tally, "a").skip(by="ann", why="it is wrong")
        assert await story(runtime, "a") == ["opened", "counted 1", "act", "act", "skipped"]
        await runtime.flow(Tally, "a").release(by="ann", why="the rest is right")
        await runtime.publish(Asked("a", (9,)))
        await runtime.drain()
    assert desk.calls[0][0].seen == ("opened", "counted 1", "counted 3", "counted 4")


async def test_retry_runs_the_head_alone(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    await broken_at_two(journal)
    async with opened(journal.reopened()) as runtime:
        await runtime.flow(Tally, "a").retry(by="ann", why="mended")
        await runtime.drain()
        assert (await story(runtime, "a"))[-1] == "broken 2"
        assert (await runtime.flow(Tally, "a").summary()).status == "quarantined"


async def test_retry_without_a_mend_leaves_the_flow_in_quarantine(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    await broken_at_two(journal)
    async with opened(journal.reopened(), processes=[BrokenTally]) as runtime:
        await runtime.flow("tally", "a").retry(by="ann", why="hope")
        await runtime.drain()
        assert (await runtime.flow("tally", "a").summary()).status == "quarantined"
        assert (await runtime.journal.counts()).deliveries == {"quarantined": 3}


async def test_release_runs_all_in_order_through_a_mailbox_of_one(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    await broken_at_two(journal)
    async with opened(journal.reopened(), settings=TINY) as runtime:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runtime.publish, numbered("a", range(5, 8)))
            await runtime.flow(Tally, "a").release(by="ann", why="mended")
        await runtime.drain()
        told = [step for step in await story(runtime, "a") if step != "act"]
        assert told == ["opened", "counted 1", "broken 2", *(f"counted {n}" for n in range(3, 8))]


async def test_a_flow_that_was_set_aside_at_its_start_can_be_released(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    async with opened(journal, processes=[BadStart]) as runtime:
        await runtime.publish([Counted("a", 1), Opened("a"), Counted("a", 2)])
        await runtime.drain()
        assert (await runtime.flow("tally", "a").summary()).status == "quarantined"
    async with opened(journal.reopened(), settings=TINY) as runtime:
        await runtime.flow("tally", "a").release(by="ann", why="mended")
        await runtime.drain()
        assert [step for step in await story(runtime, "a") if step != "act"] == ["opened", "counted 1", "counted 2"]


@pytest.mark.parametrize("verb", ["retry", "skip", "release"])
async def test_what_is_not_in_quarantine_can_not_be_repaired(autojump_clock: trio.testing.MockClock, verb: str) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish(Opened("a"))
        with pytest.raises(ActRefused, match="not in quarantine"):
            await getattr(runtime.flow(Tally, "a"), verb)(by="ann", why="curious")


async def test_an_act_on_a_flow_that_nobody_has_heard_of_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        with pytest.raises(ActRefused, match="no such flow"):
            await runtime.flow(Tally, "a").cancel(by="ann", why="curious")
        assert await runtime.flows(status="unstarted") == []


async def test_an_act_of_an_unknown_process_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        with pytest.raises(NotFound):
            runtime.flow("nothing", "a")


async def test_every_act_is_an_event_with_who_and_why(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    await broken_at_two(journal)
    async with opened(journal.reopened()) as runtime:
        position = await runtime.flow(Tally, "a").skip(by="ann", why="it is wrong")
        (recorded,) = await runtime.events(position - 1, limit=1)
        assert '"by":"ann","why":"it is wrong"' in (await runtime.journal.events(position - 1, 1))[0].payload
        assert recorded.envelope.type == "procession.event_skipped"


async def test_an_act_that_can_not_be_written_changes_nothing(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    await broken_at_two(journal)
    async with opened(journal.reopened()) as runtime:
        with pytest.raises(InvalidPayload):
            await runtime.flow(Tally, "a").release(by="\ud800", why="no text")
        await runtime.publish(Counted("a", 5))
        await runtime.drain()
        assert await story(runtime, "a") == ["opened", "counted 1", "act"]


async def test_a_flow_that_handles_it_compensates_when_it_is_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    """Rule 30."""
    desk = Desk()
    async with opened(MemoryJournal(), processes=[Compensating], gateways=[desk]) as runtime:
        await runtime.publish(Opened("a"))
        await runtime.flow(Compensating, "a").cancel(by="ann", why="no longer wanted")
        assert await runtime.flow(Compensating, "a").wait_ended() == "compensated"
    assert desk.numbers == [99]


async def test_by_force_a_flow_ends_as_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal(), processes=[Compensating]) as runtime:
        await runtime.publish(Opened("a"))
        await runtime.flow(Compensating, "a").cancel(by="ann", why="at once", force=True)
        assert await runtime.flow(Compensating, "a").wait_ended() == "cancelled"


async def test_cancelling_takes_timers_and_waiting_commands(autojump_clock: trio.testing.MockClock) -> None:
    desk = Desk(never)
    async with opened(MemoryJournal(), gateways=[desk], settings=settings(gateways={"concurrency": 1})) as runtime:
        await runtime.publish([Opened("a"), Armed("a", "tea", 60), Asked("a", (1, 2, 3))])
        await trio.sleep(1)
        await runtime.flow(Tally, "a").cancel(by="ann", why="no longer wanted")
        await runtime.drain()
        counts = await runtime.journal.counts()
        assert (counts.timers, counts.commands) == (0, {"cancelled": 3})
        (first, *others) = await runtime.journal.commands(1, 0, 10)
        assert "outcome unknown" in (first.row.log or "")
        assert [other.row.log for other in others] == [None, None]
    assert len(desk.calls) == 1


async def test_a_cancelled_command_never_begins_through_a_window_of_one(autojump_clock: trio.testing.MockClock) -> None:
    """The next ones are read from the journal while the cancellation is being committed."""
    journal, desk = FaultyJournal(), Desk(never)
    async with opened(journal, gateways=[desk], settings=TINY) as runtime:
        await runtime.publish(Opened("a"))
        await runtime.publish(Asked("a", tuple(range(6))))
        await trio.sleep(10)
        journal.commit_s = 1
        await runtime.flow(Tally, "a").cancel(by="ann", why="no longer wanted")
        await trio.sleep(30)
        assert (await runtime.journal.counts()).commands == {"cancelled": 6}
        assert runtime.tree().restarts == 0
    assert len(desk.calls) == 1


async def test_events_that_a_cancelled_flow_did_not_handle_are_recorded(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    await broken_at_two(journal)
    async with opened(journal.reopened(), settings=TINY) as runtime:
        await runtime.flow(Tally, "a").cancel(by="ann", why="give it up")
        await runtime.publish(Counted("a", 5))
        await runtime.drain()
        assert sorted(await reasons(runtime)) == ["late broken 2", "late counted 3", "late counted 4", "late counted 5"]


async def test_a_flow_that_waits_for_its_start_can_be_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    for limits in (settings(), TINY):
        async with opened(MemoryJournal(), settings=limits) as runtime:
            await runtime.publish(numbered("a", range(3)))
            await runtime.flow(Tally, "a").cancel(by="ann", why="it never came")
            await runtime.publish(Opened("a"))
            await runtime.drain()
            assert await reasons(runtime) == [*(f"late counted {n}" for n in range(3)), "already_started opened"]


async def test_what_has_ended_can_not_be_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish([Opened("a"), Closed("a", "fine")])
        with pytest.raises(ActRefused, match=r"ended already \(fine\)"):
            await runtime.flow(Tally, "a").cancel(by="ann", why="too late")


async def test_an_answered_command_can_not_be_sent_again(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1,))])
        await runtime.drain()
        (command,) = await runtime.journal.commands(1, 0, 10)
        with pytest.raises(ActRefused, match="it is answered"):
            await runtime.flow(Tally, "a").retry_command(command.row.id.hex(), by="ann", why="again")


async def test_acts_and_events_that_race_are_applied_one_after_another(autojump_clock: trio.testing.MockClock) -> None:
    """Whatever the order, the flow ends once and each event has its place."""
    for shift in range(8):
        journal = FaultyJournal(commit_s=0.1)
        async with opened(journal, settings=TINY) as runtime, trio.open_nursery() as nursery:
            await runtime.publish(Opened("a"))
            nursery.start_soon(publish_all, runtime, numbered("a", range(10)))
            await trio.sleep(shift * 0.05)
            await runtime.flow(Tally, "a").cancel(by="ann", why="now")
            await runtime.drain()
            told = await story(runtime, "a")
            await trio.sleep(5)
            assert told.count("act") == 1
            assert len(await story(runtime, "a")) - 2 + len(await reasons(runtime)) == 10


async def publish_all(runtime: Runtime, events: list[Event]) -> None:
    for event in events:
        await runtime.publish(event)


class BadStart(Tally, name="tally", key="key"):
    """Somebody broke the start."""

    @starts
    def start(self, opened: Opened) -> Effects:
        raise ValueError("bad start")


class Compensating(ProcessManager, name="compensating", key="key"):
    """Undoes what it did when it is cancelled."""

    @starts
    def opened(self, opened: Opened) -> None: ...

    @on
    def cancelled(self, asked: CancelRequested) -> Effects:
        yield Work("a", 99, ())

    @ends(outcome="compensated")
    def done(self, done: Done) -> None: ...


async def test_a_cancellation_while_things_run_alone_cancels_its_commands(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal, desk = MemoryJournal(), Desk(never)
    for _ in range(3):
        journal = journal.reopened()  # as after a process that died
    async with opened(journal, gateways=[desk]) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1, 2, 3))])
        await trio.sleep(1)
        await runtime.flow(Tally, "a").cancel(by="ann", why="no longer wanted")
        await trio.sleep(120)
        assert (await runtime.journal.counts()).commands == {"cancelled": 3}
        assert runtime.counters()["procession_commands_cancelled"] == 3
    assert desk.numbers == [1]


class Strict(Command, name="work.do"):
    """`Work` as a later version of the code has it, which takes no number over one."""

    key: str
    number: int = attrs.field(validator=attrs.validators.le(1))
    seen: tuple[str, ...]


class StrictDesk(Gateway, name="desk"):
    async def work(self, command: Strict) -> None: ...


class StrictTally(ProcessManager, name="tally", key="key"):
    seen: tuple[str, ...] = ()

    @starts
    def start(self, opened: Opened) -> None: ...

    @on
    def others(self, event: Counted | Asked | Armed | Done | CommandGivenUp[Strict]) -> Effects:
        if not self.seen:
            return
        yield Strict("", 1, self.seen)


async def asked_by_another_version(*, give_up: bool) -> MemoryJournal:
    """A journal with two open commands, or given up, of which the later version can read the first alone."""
    journal = MemoryJournal()
    limits = settings(gateways={"attempts_max": 1, "timeout_s": 1})
    async with opened(journal, gateways=[Desk(never)], settings=limits) as runtime:
        if not give_up:
            await runtime.pause_gateway("desk", by="ann", why="so that they wait")
        await runtime.publish([Opened("a"), Asked("a", (1, 2))])
        await trio.sleep(60)
    return journal.reopened()


async def test_a_flow_is_cancelled_with_commands_that_can_not_be_read_any_more(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = await asked_by_another_version(give_up=False)
    async with opened(journal, processes=[StrictTally], gateways=[StrictDesk()], since={"tally": "now"}) as runtime:
        await runtime.flow(StrictTally, "a").cancel(by="ann", why="nobody can do it", force=True)
        assert (await runtime.flow(StrictTally, "a").summary()).status == "cancelled"
        assert (await runtime.journal.counts()).commands == {"cancelled": 2}
        assert runtime.counters()["procession_commands_cancelled"] == 2
