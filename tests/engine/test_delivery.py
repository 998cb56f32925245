"""Rules 16, 17, 18 and 19, and the windows of rule 4: how commands get to gateways and how they end."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import trio

from procession import (
    Attempt,
    Command,
    CommandGivenUp,
    Effects,
    Event,
    Gateway,
    ProcessManager,
    Refused,
    Runtime,
    end,
    on,
    starts,
)
from procession.errors import NotAccepted, OutcomeUnknown
from procession.journal.memory import MemoryJournal
from procession.journal_errors import JournalUnwritable
from procession.testing.faults import CommitFault, FaultyJournal
from tests.engine.tally import (
    TINY,
    Asked,
    Closed,
    Desk,
    Done,
    Opened,
    Tally,
    Work,
    opened,
    reasons,
    settings,
    story,
)


async def never(command: Work, attempt: Attempt) -> Done:
    """The outside does not answer."""
    await trio.sleep_forever()
    raise AssertionError


async def first_never(command: Work, attempt: Attempt) -> Done:
    """The outside answers at once, but for commands with number 0, which it answers the second time."""
    if command.number == 0 and attempt.number == 1:
        await trio.sleep_forever()
    return Done(command.key, command.number)


async def stubborn(command: Work, attempt: Attempt) -> Done:
    """The outside is quick, and not to be interrupted at number 0."""
    with trio.CancelScope(shield=command.number == 0):
        await trio.sleep(0.008)
    return Done(command.key, command.number)


async def unmoved(command: Work, attempt: Attempt) -> Done:
    """The outside takes ten seconds, whatever becomes of the attempt."""
    with trio.CancelScope(shield=True):
        await trio.sleep(10)
    return Done(command.key, command.number)


async def failing(command: Work, attempt: Attempt) -> Done:
    """The outside is broken."""
    raise OSError("connection refused")


async def slow(command: Work, attempt: Attempt) -> Done:
    """The outside takes a second."""
    await trio.sleep(1)
    return Done(command.key, command.number)


async def refusing(command: Work, attempt: Attempt) -> Done:
    """The outside says no."""
    raise Refused("no such account")


async def test_every_attempt_has_the_same_command_id(autojump_clock: trio.testing.MockClock) -> None:
    desk = Desk(failing)
    async with opened(MemoryJournal(), gateways=[desk], settings=settings(gateways={"attempts_max": 4})) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1,))])
        await runtime.drain()
    assert [attempt.number for _, attempt in desk.calls] == [1, 2, 3, 4]
    assert len({attempt.command_id for _, attempt in desk.calls}) == 1


@pytest.mark.parametrize("question", ["open_commands", "load_many"])
async def test_a_read_that_failed_once_holds_no_command_up(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    journal = FaultyJournal()
    with trio.CancelScope() as process:
        async with opened(journal, gateways=[Desk(never)]) as runtime:
            await runtime.publish([Opened("a"), Asked("a", (1, 2, 3))])
            await trio.sleep(1)
            journal.kill()
            process.cancel()
    again, desk = journal.reopened(), Desk(slow)
    ask, failures = getattr(again, question), [JournalUnwritable("a journal", "reading failed: disk I/O error")]

    async def failing_once(*given: Any, **named: Any) -> object:  # noqa: ANN401 - as the journal
        if failures:
            raise failures.pop()
        return await ask(*given, **named)

    monkeypatch.setattr(again, question, failing_once)
    async with opened(again, gateways=[desk]) as runtime:
        await trio.sleep(60)
        assert not failures
        assert sorted(desk.numbers) == [1, 2, 3]


async def test_an_attempt_after_a_crash_has_the_same_command_id(autojump_clock: trio.testing.MockClock) -> None:
    journal, desk = FaultyJournal(), Desk(never)
    with trio.CancelScope() as process:
        async with opened(journal, gateways=[desk]) as runtime:
            await runtime.publish([Opened("a"), Asked("a", (1,))])
            await trio.sleep(1)
            journal.kill()
            process.cancel()
    desk.answer = slow
    async with opened(journal.reopened(), gateways=[desk]) as runtime:
        await runtime.drain()
        assert await story(runtime, "a") == ["opened", "asked", "done 1"]
    assert len({attempt.command_id for _, attempt in desk.calls}) == 1


async def test_a_time_out_is_given_up_as_unknown(autojump_clock: trio.testing.MockClock) -> None:
    limits = settings(gateways={"attempts_max": 1, "timeout_s": 5})
    async with opened(MemoryJournal(), gateways=[Desk(never)], settings=limits) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1,))])
        await runtime.drain()
        assert [event.reason for event in await given_up(runtime)] == ["unknown"]


async def test_a_refusal_is_given_up_at_once_as_refused(autojump_clock: trio.testing.MockClock) -> None:
    desk = Desk(refusing)
    async with opened(MemoryJournal(), gateways=[desk]) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1,))])
        await runtime.drain()
        assert [(event.reason, event.found) for event in await given_up(runtime)] == [("refused", "no such account")]
    assert len(desk.calls) == 1


async def test_a_flow_without_a_handler_for_it_is_set_aside(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal(), gateways=[Desk(refusing)]) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1,))])
        await runtime.drain()
        assert (await runtime.flow(Tally, "a").summary()).status == "quarantined"


async def test_giving_up_is_dispatched_by_the_type_of_the_command(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal(), processes=[Careful], gateways=[Desk(refusing)]) as runtime:
        await runtime.publish(Opened("a"))
        assert await runtime.flow(Careful, "a").wait_ended() == "lost 7"


async def test_a_command_can_be_sent_again_before_its_giving_up_is_handled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    desk = Desk(refusing)
    async with opened(MemoryJournal(), gateways=[desk]) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1,))])
        await runtime.drain()
        (lost,) = await given_up(runtime)
        desk.answer = slow
        await runtime.flow(Tally, "a").retry_command(lost.command_id, by="ann", why="they fixed it")
        await runtime.drain()
        assert await story(runtime, "a") == ["opened", "asked", "act", "act", "done 1"]
    assert {attempt.command_id for _, attempt in desk.calls} == {lost.command_id}


async def test_a_command_that_is_sent_again_can_be_given_up_again(autojump_clock: trio.testing.MockClock) -> None:
    desk = Desk(refusing)
    async with opened(MemoryJournal(), gateways=[desk]) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1,))])
        await runtime.drain()
        for _ in range(2):
            lost = (await given_up(runtime))[-1]
            await runtime.flow(Tally, "a").retry_command(lost.command_id, by="ann", why="try again")
            await runtime.drain()
        rows = await runtime.journal.events(0, 100, ["procession.command_given_up"])
        assert len({row.id for row in rows}) == 3


async def test_a_command_is_sent_again_once_the_thread_of_its_last_attempt_has_returned(
    autojump_clock: trio.testing.MockClock,
) -> None:
    autojump_clock.autojump_threshold = 0.3  # threads take real time, the more so on a machine with much to do
    desk = ThreadedDesk()
    limits = settings(gateways={"attempts_max": 1, "timeout_s": 5})
    async with opened(MemoryJournal(), gateways=[desk], settings=limits) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1,))])
        await trio.sleep(10)
        (lost,) = await given_up(runtime)
        await runtime.flow(Tally, "a").retry_command(lost.command_id, by="ann", why="it is quick now")
        await trio.sleep(10)
        assert desk.begun == 1
        # From here on time goes by itself: a thread that a busy machine holds up must not meet the time limit.
        autojump_clock.autojump_threshold, autojump_clock.rate = math.inf, 1
        desk.may_return.set()
        await runtime.drain()
        assert (await story(runtime, "a"))[-1] == "done 1"
    assert desk.begun == 2


async def test_no_attempt_begins_beside_a_thread_that_has_not_returned(autojump_clock: trio.testing.MockClock) -> None:
    autojump_clock.autojump_threshold = 0.3  # threads take real time, the more so on a machine with much to do
    desk = ThreadedDesk()
    async with opened(MemoryJournal(), gateways=[desk], settings=settings(gateways={"timeout_s": 5})) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1,))])
        await trio.sleep(100)
        assert desk.begun == 1
        desk.may_return.set()
        await runtime.drain()
        assert await story(runtime, "a") == ["opened", "asked", "done 1"]
    assert desk.together_max == 1


async def test_no_attempt_begins_beside_one_that_runs_across_a_restart_of_the_engine(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal, desk = FaultyJournal(), Desk(slow)
    async with opened(journal, gateways=[desk]) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1,))])
        journal.count_anew({1: "fail"})
        with pytest.raises(Exception, match="on fire"):
            await runtime.publish(Opened("b"))
        await runtime.drain()
        assert await story(runtime, "a") == ["opened", "asked", "done 1"]
    assert desk.numbers == [1]


async def test_an_open_breaker_uses_no_attempts(autojump_clock: trio.testing.MockClock) -> None:
    desk = Desk(failing)
    limits = settings(gateways={"attempts_max": 3, "breaker_failures": 2, "breaker_cooldown_s": 60})
    async with opened(MemoryJournal(), gateways=[desk], settings=limits) as runtime:
        await runtime.publish([Opened("a"), *(Asked("a", (number,)) for number in range(50))])
        await trio.sleep(50)
        assert len(desk.calls) <= 16
        desk.answer = slow
        await runtime.drain()
        assert len([step for step in await story(runtime, "a") if step.startswith("done")]) == 50


async def test_a_call_that_times_out_takes_no_other_with_it(autojump_clock: trio.testing.MockClock) -> None:
    desk = Desk(first_never)
    limits = settings(gateways={"concurrency": 1, "timeout_s": 5, "backoff_initial_s": 1})
    async with opened(MemoryJournal(), gateways=[desk], settings=limits) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1, 0, 2, 3))])
        await runtime.drain()
        assert desk.numbers == [1, 0, 2, 3, 0]
        assert runtime.counters()["procession_attempts_failed"] == 1


async def test_a_call_that_is_cancelled_takes_no_other_with_it(autojump_clock: trio.testing.MockClock) -> None:
    desk = Desk(first_never)
    async with opened(MemoryJournal(), gateways=[desk], settings=settings(gateways={"concurrency": 1})) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (0,)), Opened("b"), Asked("b", (1, 2))])
        await trio.sleep(1)
        await runtime.flow(Tally, "a").cancel(by="ann", why="no longer wanted", force=True)
        await runtime.drain()
        assert desk.numbers == [0, 1, 2]
        assert runtime.counters()["procession_attempts_cancelled"] == 1


async def test_a_call_that_ends_although_it_was_cancelled_takes_no_other_with_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    desk = Desk(stubborn)
    async with opened(MemoryJournal(), gateways=[desk], settings=settings(gateways={"concurrency": 1})) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (0,)), Opened("b"), Asked("b", (1,))])
        await trio.sleep(0.001)
        await runtime.flow(Tally, "a").cancel(by="ann", why="no longer wanted", force=True)
        await runtime.drain()
        assert [(command.number, attempt.number) for command, attempt in desk.calls] == [(0, 1), (1, 1)]
        assert runtime.counters()["procession_attempts_started"] == 2


async def test_a_paused_gateway_begins_nothing_and_gives_nothing_up(autojump_clock: trio.testing.MockClock) -> None:
    desk = Desk()
    async with opened(MemoryJournal(), gateways=[desk]) as runtime:
        await runtime.pause_gateway("desk", by="ann", why="maintenance")
        await runtime.publish([Opened("a"), Asked("a", (1, 2))])
        await trio.sleep(100 * 24 * 3600 / 200)
        assert desk.calls == []
        await runtime.resume_gateway("desk", by="ann", why="done")
        await runtime.drain()
        assert sorted(desk.numbers) == [1, 2]


async def test_flows_are_served_in_turn(autojump_clock: trio.testing.MockClock) -> None:
    desk = Desk(slow)
    async with opened(MemoryJournal(), gateways=[desk], settings=settings(gateways={"concurrency": 1})) as runtime:
        await runtime.publish([Opened("a"), Opened("b"), Asked("a", tuple(range(100))), Asked("b", (7,))])
        await trio.sleep(5.5)
        assert ("b", 7) in {(command.key, command.number) for command, _ in desk.calls}


async def test_all_commands_are_sent_through_a_window_of_one(autojump_clock: trio.testing.MockClock) -> None:
    desk = Desk(slow)
    async with opened(MemoryJournal(), gateways=[desk], settings=TINY) as runtime:
        await runtime.publish(Opened("a"))
        await runtime.publish(Asked("a", tuple(range(20))))
        await trio.sleep(60)
        assert sorted(desk.numbers) == list(range(20))


async def test_commands_that_fail_do_not_block_a_window_of_two(autojump_clock: trio.testing.MockClock) -> None:
    """Two rest for long; the others are served meanwhile."""

    async def some_fail(command: Work, attempt: Attempt) -> Done:
        if command.number < 2 and attempt.number < 3:
            raise OSError("not now")
        return Done(command.key, command.number)

    desk = Desk(some_fail)
    limits = settings(
        gateways={"commands_loaded_max": 2, "concurrency": 2, "backoff_initial_s": 60, "backoff_max_s": 60}
    )
    async with opened(MemoryJournal(), gateways=[desk], settings=limits) as runtime:
        await runtime.publish([Opened("a"), Asked("a", tuple(range(10)))])
        await trio.sleep(50)
        assert set(range(2, 10)) <= set(desk.numbers)
        await runtime.drain()
        assert len([step for step in await story(runtime, "a") if step.startswith("done")]) == 10


async def test_commands_of_a_flow_that_has_ended_are_delivered(autojump_clock: trio.testing.MockClock) -> None:
    desk = Desk(slow)
    async with opened(MemoryJournal(), gateways=[desk]) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1,)), Closed("a")])
        await runtime.drain()
        assert desk.numbers == [1]
        assert await reasons(runtime) == ["after_end done 1"]


@contextlib.asynccontextmanager
async def cancelled_in_a_call(journal: MemoryJournal) -> AsyncIterator[Runtime]:
    """A flow was cancelled while a gateway works for it, which will answer all the same."""
    async with opened(journal, gateways=[Desk(unmoved)]) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1,))])
        await trio.sleep(1)
        await runtime.flow(Tally, "a").cancel(by="ann", why="no longer wanted")
        yield runtime


async def test_an_answer_to_a_command_that_was_cancelled_is_recorded_as_late(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with cancelled_in_a_call(MemoryJournal()) as runtime:
        await trio.sleep(20)
        assert await reasons(runtime) == ["late_answer done 1"]
        assert (await runtime.journal.counts()).commands == {"cancelled": 1}


async def test_an_answer_counts_that_came_after_a_cancellation_that_was_lost(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal, desk = FaultyJournal(), Desk(unmoved)
    async with opened(journal, gateways=[desk]) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1,))])
        await trio.sleep(1)
        journal.count_anew({1: "fail"})
        journal.reopens_failing = 20
        with pytest.raises(OutcomeUnknown):
            await runtime.flow(Tally, "a").cancel(by="ann", why="no longer wanted")
        await runtime.drain()
        assert await story(runtime, "a") == ["opened", "asked", "done 1"]
    assert len(desk.calls) == 1


@pytest.mark.parametrize("fault", ["fail", "written"])
async def test_an_answer_that_came_too_late_while_the_journal_was_held_is_recorded_once_it_is_well(
    autojump_clock: trio.testing.MockClock, fault: CommitFault
) -> None:
    journal = FaultyJournal()
    async with cancelled_in_a_call(journal) as runtime:
        journal.count_anew({1: fault})
        journal.reopens_failing, held_at = 20, trio.current_time()
        with contextlib.suppress(NotAccepted):
            await runtime.publish(Opened("b"))
        assert trio.current_time() > held_at + 10, "it answers meanwhile"
        await runtime.drain()
        assert await reasons(runtime) == ["late_answer done 1"]
        assert (await runtime.journal.counts()).commands == {"cancelled": 1}


@pytest.mark.parametrize("fault", ["fail", "written"])
async def test_a_late_answer_whose_commit_failed_is_recorded_once(
    autojump_clock: trio.testing.MockClock, fault: CommitFault
) -> None:
    journal = FaultyJournal()
    async with cancelled_in_a_call(journal) as runtime:
        journal.count_anew({1: fault})
        await trio.sleep(20)
        await runtime.drain()
        assert journal.reopens > 0
        assert await reasons(runtime) == ["late_answer done 1"]


async def test_a_wrong_return_is_a_failed_attempt(autojump_clock: trio.testing.MockClock) -> None:
    desk = Desk(nonsense)
    async with opened(MemoryJournal(), gateways=[desk], settings=settings(gateways={"attempts_max": 2})) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1,))])
        await runtime.drain()
        (lost,) = await given_up(runtime)
        assert lost.found.startswith("int was returned, the contract is Done | Declined")


async def test_an_answer_for_another_flow_is_a_wrong_return(autojump_clock: trio.testing.MockClock) -> None:
    async def confused(command: Work, attempt: Attempt) -> Done:
        return Done("b", command.number)

    async with opened(MemoryJournal(), gateways=[Desk(confused)], settings=settings(gateways={"attempts_max": 1})) as r:
        await r.publish([Opened("a"), Opened("b"), Asked("a", (1,))])
        await r.drain()
        assert (await given_up(r))[0].found == "Done of flow b was returned to flow a"
        assert await story(r, "b") == ["opened"]


async def test_an_answer_over_the_bound_is_a_wrong_return(autojump_clock: trio.testing.MockClock) -> None:
    desk = TextDesk()
    limits = settings(gateways={"attempts_max": 1}, intake={"payload_bytes_max": 2000})
    async with opened(MemoryJournal(), processes=[Reader], gateways=[desk], settings=limits) as runtime:
        await runtime.publish(Opened("a"))
        await runtime.drain()
        (lost,) = await given_up(runtime)
        assert "2000" in lost.found


async def test_a_call_that_times_out_while_the_engine_is_held_is_tried_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal, desk = FaultyJournal(), Desk(never)
    async with opened(journal, gateways=[desk], settings=settings(gateways={"timeout_s": 5})) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1,))])
        journal.count_anew({1: "fail"})
        journal.reopens_failing = 20
        with pytest.raises(Exception, match="on fire"):
            await runtime.publish(Opened("b"))
        desk.answer = slow
        await runtime.drain()
        assert (await story(runtime, "a"))[-1] == "done 1"


async def test_an_error_that_can_not_be_shown_is_a_failed_attempt(autojump_clock: trio.testing.MockClock) -> None:
    async def evil(command: Work, attempt: Attempt) -> Done:
        raise EvilError

    async with opened(MemoryJournal(), gateways=[Desk(evil)], settings=settings(gateways={"attempts_max": 2})) as r:
        await r.publish([Opened("a"), Asked("a", (1,))])
        await r.drain()
        assert len(await given_up(r)) == 1


@pytest.mark.parametrize("error", [OSError("\ud800"), Refused("\ud800")])
async def test_an_error_that_is_no_text_is_a_failed_attempt(
    autojump_clock: trio.testing.MockClock, error: Exception
) -> None:
    async def surrogate(command: Work, attempt: Attempt) -> Done:
        raise error

    async with opened(
        MemoryJournal(), gateways=[Desk(surrogate)], settings=settings(gateways={"attempts_max": 2})
    ) as r:
        await r.publish([Opened("a"), Asked("a", (1,))])
        await r.drain()
        assert len(await given_up(r)) == 1


async def test_retry_state_is_durable(autojump_clock: trio.testing.MockClock) -> None:
    journal, desk = FaultyJournal(), Desk(failing)
    limits = settings(gateways={"attempts_max": 5, "backoff_initial_s": 10, "backoff_factor": 1})
    with trio.CancelScope() as process:
        async with opened(journal, gateways=[desk], settings=limits) as runtime:
            await runtime.publish([Opened("a"), Asked("a", (1,))])
            await trio.sleep(25)
            journal.kill()
            process.cancel()
    async with opened(journal.reopened(), gateways=[desk], settings=limits) as runtime:
        await runtime.drain()
        assert (await given_up(runtime))[0].attempts == 5
    assert [attempt.number for _, attempt in desk.calls] == [1, 2, 3, 4, 5]


async def test_commands_of_one_flow_wait_for_each_other_at_an_ordered_gateway(
    autojump_clock: trio.testing.MockClock,
) -> None:
    desk = OrderedDesk()
    async with opened(MemoryJournal(), gateways=[desk]) as runtime:
        await runtime.publish([Opened("a"), Asked("a", tuple(range(6)))])
        await runtime.drain()
    assert desk.ended == list(range(6))


async def test_a_rate_limit_holds(autojump_clock: trio.testing.MockClock) -> None:
    desk = Desk()
    async with opened(MemoryJournal(), gateways=[desk], settings=settings(gateways={"rate_per_s": 2.0})) as runtime:
        await runtime.publish([Opened("a"), Asked("a", tuple(range(22)))])
        await trio.sleep(5.1)
        assert 10 <= len(desk.calls) <= 12
        await runtime.drain()
    assert sorted(desk.numbers) == list(range(22))


async def given_up(runtime: Runtime) -> list[CommandGivenUp[Work]]:
    """What was given up, in order."""
    found = await runtime.events(types=["procession.command_given_up"])
    return [recorded.event for recorded in found if isinstance(recorded.event, CommandGivenUp)]


async def nonsense(command: Work, attempt: Attempt) -> Any:  # noqa: ANN401 - it breaks its contract
    return 5


class EvilError(Exception):
    """It fails even when it is asked what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no")


class Careful(ProcessManager, name="careful", key="key"):
    """Handles that its command was given up."""

    @starts
    def opened(self, opened: Opened) -> Effects:
        yield Work(opened.key, 7, ())

    @on
    def lost(self, event: CommandGivenUp[Work]) -> Effects:
        yield end(f"lost {event.command.number}")


class ThreadedDesk(Gateway, name="desk", jitter=0):
    """Its method blocks a thread until it is told to return."""

    may_return: threading.Event = attrs.field(factory=threading.Event)
    begun: int = 0
    together: int = 0
    together_max: int = 0

    def work(self, command: Work) -> Done:
        self.begun += 1
        self.together += 1
        self.together_max = max(self.together, self.together_max)
        self.may_return.wait(50)
        self.together -= 1
        return Done(command.key, command.number)


class OrderedDesk(Gateway, name="desk", jitter=0, ordered=True):
    """The first call fails once; keeps the order in which work was done."""

    failed: bool = False
    ended: list[int] = attrs.field(factory=list)

    async def work(self, command: Work) -> Done:
        await trio.sleep(1)
        if command.number == 0 and not self.failed:
            self.failed = True
            raise OSError("not now")
        self.ended.append(command.number)
        return Done(command.key, command.number)


class Read(Command, name="text.read"):
    key: str


class TextRead(Event, name="text.was_read"):
    key: str
    text: str


class Reader(ProcessManager, name="reader", key="key"):
    """Reads a text that is too long."""

    @starts
    def opened(self, opened: Opened) -> Effects:
        yield Read(opened.key)

    @on
    def read(self, read: TextRead) -> None: ...


class TextDesk(Gateway, name="texts", jitter=0):
    """Answers with more than fits."""

    async def read(self, command: Read) -> TextRead:
        return TextRead(command.key, "x" * 5000)
