"""Rules 22, 23 and 24: commits that fail, each of them in turn, and what is known afterwards."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import aclosing

import pytest
import trio

from procession import Attempt, FlowHandle, ProcessionError, Runtime
from procession.errors import NotAccepted, OutcomeUnknown, RuntimeFailed
from procession.journal.rows import Commit
from procession.journal_errors import CommitRejected
from procession.testing.faults import CommitFault, FaultyJournal
from tests.engine.tally import Asked, Closed, Counted, Desk, Done, Opened, Tally, Work, opened, settings, story

ASKED = tuple(range(4))


async def slow(command: Work, attempt: Attempt) -> Done:
    """It takes longer than a commit."""
    await trio.sleep(0.01 * (command.number + 1))
    return Done(command.key, command.number)


async def publish_until_accepted(runtime: Runtime) -> None:
    """A sender that gives ids, and publishes again whatever happens."""
    script = [Opened("a"), Counted("a", 1), Asked("a", ASKED), Counted("a", 2), Counted("a", 3)]
    for number, event in enumerate(script):
        for attempt in itertools.count():
            assert attempt < 100
            try:
                await runtime.publish(event, id=str(number))
            except (NotAccepted, OutcomeUnknown):
                await trio.sleep(0.5)
            else:
                break


def all_numbers(fault: CommitFault) -> Iterator[tuple[int, FaultyJournal]]:
    """A journal for each commit that fails, until the last one had its turn."""
    for number in itertools.count(2):  # the first opens the journal
        journal = FaultyJournal({number: fault})
        yield number, journal
        if journal.faults:
            assert number > 5
            return


@pytest.mark.parametrize("fault", ["fail", "written"])
async def test_whichever_commit_fails_everything_happens_once(
    autojump_clock: trio.testing.MockClock, fault: CommitFault
) -> None:
    """Rule 22: the outcome is resolved by id, also where the failed commit came back."""
    for number, journal in all_numbers(fault):
        desk = Desk(slow)
        async with opened(journal, gateways=[desk]) as runtime:
            await publish_until_accepted(runtime)
            await runtime.drain()
            told = await story(runtime, "a")
        numbers = [step for step in told if step.startswith(("opened", "counted", "asked"))]
        assert numbers == ["opened", "counted 1", "asked", "counted 2", "counted 3"], number
        assert sorted(step for step in told if step.startswith("done")) == [f"done {n}" for n in ASKED], number
        assert sorted(desk.numbers) == list(ASKED), "running calls went on and their answers were kept"


@pytest.mark.parametrize("fault", ["fail", "written"])
async def test_a_failed_commit_that_opens_is_told(autojump_clock: trio.testing.MockClock, fault: CommitFault) -> None:
    journal = FaultyJournal({1: fault})
    with pytest.raises(ProcessionError, match="on fire"):
        async with opened(journal):
            pass


async def test_a_sender_hears_that_nothing_was_written(autojump_clock: trio.testing.MockClock) -> None:
    journal = FaultyJournal()
    async with opened(journal) as runtime:
        journal.count_anew({1: "fail"})
        with pytest.raises(NotAccepted):
            await runtime.publish(Opened("a"), id="1")
        await runtime.drain()
        assert not (await runtime.publish(Opened("a"), id="1")).duplicate


async def test_a_sender_hears_a_success_where_the_failed_commit_came_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = FaultyJournal()
    async with opened(journal) as runtime:
        journal.count_anew({1: "written"})
        position = await runtime.publish(Opened("a"), id="1")
        await runtime.drain()
        assert await runtime.publish(Opened("a"), id="1") == position


async def test_while_the_outcome_can_not_be_known_a_sender_hears_so_with_its_id(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = FaultyJournal()
    async with opened(journal, settings=settings(commit={"outcome_wait_s": 5})) as runtime:
        journal.count_anew({1: "written"})
        journal.reopens_failing = 20
        with pytest.raises(OutcomeUnknown, match="shop/1"):
            await runtime.publish(Opened("a"), id="1", source="shop")
        await runtime.drain()
        assert (await runtime.publish(Opened("a"), id="1", source="shop")).duplicate


async def test_no_attempt_begins_while_the_engine_is_held(autojump_clock: trio.testing.MockClock) -> None:
    """Rule 23."""
    journal, desk = FaultyJournal(), Desk(slow)
    async with opened(journal, gateways=[desk], settings=settings(gateways={"concurrency": 1})) as runtime:
        await runtime.publish([Opened("a"), Asked("a", tuple(range(10)))])
        journal.count_anew({1: "fail"})
        journal.reopens_failing = 25
        async with trio.open_nursery() as nursery:
            nursery.start_soon(refused, runtime, Opened("b"))
            await trio.sleep(1)
            begun = len(desk.calls)
            await trio.sleep(20)
            assert len(desk.calls) == begun < 10
        await runtime.drain()
        assert sorted(desk.numbers) == list(range(10))


async def test_the_intake_is_refused_while_the_engine_is_held(autojump_clock: trio.testing.MockClock) -> None:
    journal = FaultyJournal()
    async with opened(journal) as runtime:
        journal.count_anew({1: "fail"})
        journal.reopens_failing = 10
        async with trio.open_nursery() as nursery:
            nursery.start_soon(refused, runtime, Opened("a"))
            await trio.sleep(5)
            assert runtime.tree().state == "held"
            with pytest.raises(NotAccepted, match="held"):
                await runtime.publish(Opened("b"))
        assert runtime.tree().state == "running"


async def test_a_probe_write_ends_the_hold_and_nothing_restarts_in_a_loop(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = FaultyJournal()
    async with opened(journal, settings=settings(commit={"probe_interval_s": 10, "outcome_wait_s": 3600})) as runtime:
        journal.count_anew({1: "fail"})
        journal.reopens_failing = 6
        started = trio.current_time()
        await refused(runtime, Opened("a"))
        assert journal.reopens == 7
        assert trio.current_time() - started >= 60
        await runtime.drain()
        await runtime.publish(Opened("a"))
        assert runtime.tree().restarts == 0


async def test_closing_while_held_tells_who_waits_and_leaves_no_clean_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = FaultyJournal()
    async with trio.open_nursery() as nursery, opened(journal) as runtime:
        journal.count_anew({1: "written"})
        journal.reopens_failing = 10**6
        nursery.start_soon(unknown, runtime, Opened("a"))
        await trio.sleep(5)
    owner = await journal.reopened().owner()
    assert owner is not None
    assert owner.unclean_starts == 1


async def test_an_act_of_a_gateway_whose_commit_fails_does_not_hang(autojump_clock: trio.testing.MockClock) -> None:
    journal = FaultyJournal()
    async with opened(journal) as runtime:
        journal.count_anew({1: "fail"})
        with pytest.raises(OutcomeUnknown):
            await runtime.pause_gateway("desk", by="ann", why="maintenance")


@pytest.mark.parametrize("fault", ["fail", "written"])
async def test_a_cancellation_stands_whole_or_not_at_all(
    autojump_clock: trio.testing.MockClock, fault: CommitFault
) -> None:
    """The commands of a flow whose cancellation was not written stay open, and are answered."""
    journal, desk = FaultyJournal(), Desk(slow)
    async with opened(journal, gateways=[desk], settings=settings(gateways={"concurrency": 1})) as runtime:
        await runtime.publish([Opened("a"), Asked("a", ASKED)])
        journal.count_anew({1: fault})
        flow = runtime.flow(Tally, "a")
        with pytest.raises(OutcomeUnknown):
            await flow.cancel(by="ann", why="no longer wanted")
        await runtime.drain()
        commands = (await runtime.journal.counts()).commands
        status = (await flow.summary()).status
        assert (status, commands.get("answered", 0)) in {("active", 4), ("cancelled", 0)}
        assert status == ("active" if fault == "fail" else "cancelled")


@pytest.mark.parametrize("culprit", [2, 3, 4, 5])
async def test_a_rejected_commit_stops_nobody_else(autojump_clock: trio.testing.MockClock, culprit: int) -> None:
    """Rule 24: what a rejected commit held runs again, each alone."""
    journal = FaultyJournal({culprit: "reject"})
    async with opened(journal) as runtime:
        async with trio.open_nursery() as nursery:
            for key in "abcdef":
                nursery.start_soon(accepted, runtime, key)
        await runtime.drain()
        for key in "abcdef":
            assert await story(runtime, key) == ["opened", "counted 1"]


async def test_only_the_guilty_flow_is_set_aside(autojump_clock: trio.testing.MockClock) -> None:
    journal = Picky()
    async with opened(journal) as runtime:
        await runtime.publish([Opened(key) for key in "abc"])
        await runtime.publish([Counted("a", 1), Counted("b", 13), Counted("c", 1)])
        await runtime.drain()
        statuses = {flow.key: flow.status for flow in await runtime.flows(Tally)}
        assert statuses == {"a": "active", "b": "quarantined", "c": "active"}


async def test_an_event_that_can_not_be_written_is_refused_alone(autojump_clock: trio.testing.MockClock) -> None:
    journal = Picky()
    async with opened(journal) as runtime:
        results: dict[str, bool] = {}
        async with trio.open_nursery() as nursery:
            for key in ("a", "unlucky", "c"):
                nursery.start_soon(tried, runtime, key, results)
        assert results == {"a": True, "unlucky": False, "c": True}


async def test_an_unexpected_error_starts_the_engine_again_and_leaves_nobody_waiting(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = Bugged()
    async with opened(journal) as runtime:
        await runtime.publish(Opened("a"))
        journal.bugs = 1
        with pytest.raises(NotAccepted):
            await runtime.publish(Counted("a", 1), id="1")
        await runtime.drain()
        await runtime.publish(Counted("a", 1), id="1")
        await runtime.drain()
        assert await story(runtime, "a") == ["opened", "counted 1"]
        assert runtime.tree().restarts == 1


async def test_an_engine_that_keeps_failing_fails_aloud(autojump_clock: trio.testing.MockClock) -> None:
    journal = Bugged()
    with pytest.raises(RuntimeFailed, match="a bug"):  # noqa: PT012 - it comes out of the whole block
        async with opened(journal) as runtime:
            await runtime.publish(Opened("a"))
            journal.bugs = 10**6
            while True:
                with pytest.raises(ProcessionError):
                    await runtime.publish(Counted("a", 1))
                await trio.sleep(0.1)


async def test_a_follower_survives_a_failed_commit(autojump_clock: trio.testing.MockClock) -> None:
    journal = FaultyJournal()
    async with opened(journal) as runtime, trio.open_nursery() as nursery:
        found: list[int] = []
        nursery.start_soon(follow, runtime, found)
        await runtime.publish(Opened("a"))
        journal.count_anew({1: "fail"})
        await refused(runtime, Counted("a", 1))
        await runtime.drain()
        await runtime.publish(Counted("a", 2))
        await trio.sleep(1)
        assert len(found) == 2
        nursery.cancel_scope.cancel()


async def test_who_waits_for_a_flow_survives_a_failed_commit(autojump_clock: trio.testing.MockClock) -> None:
    """Rule 32."""
    journal = FaultyJournal()
    async with opened(journal) as runtime, trio.open_nursery() as nursery:
        outcomes: list[str] = []
        nursery.start_soon(wait, runtime.flow(Tally, "a"), outcomes)
        await runtime.publish(Opened("a"))
        journal.count_anew({1: "fail"})
        await refused(runtime, Counted("a", 1))
        await runtime.drain()
        await runtime.publish(Closed("a", "fine"))
        await trio.sleep(1)
        assert outcomes == ["fine"]


async def refused(runtime: Runtime, event: Opened | Counted) -> None:
    with pytest.raises(ProcessionError):
        await runtime.publish(event)


async def unknown(runtime: Runtime, event: Opened) -> None:
    with pytest.raises(OutcomeUnknown):
        await runtime.publish(event)


async def accepted(runtime: Runtime, key: str) -> None:
    await runtime.publish(Opened(key), id=key)
    await runtime.publish(Counted(key, 1), id=f"{key} 1")


async def tried(runtime: Runtime, key: str, results: dict[str, bool]) -> None:
    try:
        await runtime.publish(Opened(key), id=key)
    except NotAccepted:
        results[key] = False
    else:
        results[key] = True


async def follow(runtime: Runtime, found: list[int]) -> None:
    async with aclosing(runtime.follow()) as events:
        async for recorded in events:
            found.append(recorded.position)  # noqa: PERF401 - one by one, as they come


async def wait(flow: FlowHandle, outcomes: list[str]) -> None:
    outcomes.append(await flow.wait_ended())


class Picky(FaultyJournal):
    """Rejects the step that handles a 13, and events for the key `unlucky`."""

    async def commit(self, commit: Commit) -> None:
        events = {event.position: event for event in [*commit.events, *await self.events(0, 1000)]}
        handled = [events[step.position].payload for step in commit.steps if step.outcome == "handled"]
        if any('"number":13' in payload for payload in handled):
            raise CommitRejected("thirteen")
        if any("unlucky" in event.payload for event in commit.events):
            raise CommitRejected("unlucky")
        await super().commit(commit)


class Bugged(FaultyJournal):
    """Raises what no journal may raise."""

    bugs = 0

    async def commit(self, commit: Commit) -> None:
        await trio.lowlevel.checkpoint()
        if self.bugs:
            self.bugs -= 1
            raise RuntimeError("a bug")
        await super().commit(commit)
