"""A runtime within a synchronous program."""

from __future__ import annotations

import contextvars
import signal
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trio

from procession import FlowSummary, Outside, Runtime, Settings, embed
from procession.errors import IdReused, NotFound, RuntimeClosed
from procession.journal_errors import JournalOwned
from procession.settings import ShutdownSettings
from tests.embed.letters import Draft, Letter, LetterSent, LetterWritten, Post, at_once

STYLE: contextvars.ContextVar[str] = contextvars.ContextVar("STYLE", default="plain")


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[embed.BlockingRuntime]:
    with embed.start(tmp_path / "letters.db", processes=[Letter], gateways=[Post(at_once)]) as runtime:
        yield runtime


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[embed.BlockingRuntime]:
    with embed.start(tmp_path / "drafts.db", processes=[Draft]) as runtime:
        yield runtime


def test_a_flow_runs_to_its_end(runtime: embed.BlockingRuntime) -> None:
    assert runtime.publish(LetterWritten("a"), id="1") == 1
    assert runtime.flow(Letter, "a").wait_ended(timeout_s=30) == "sent"


def test_several_events_are_accepted_together(runtime: embed.BlockingRuntime) -> None:
    assert runtime.publish([Outside(LetterWritten("a"), id="1"), LetterWritten("b")]) == [1, 2]


def test_what_was_accepted_is_found(runtime: embed.BlockingRuntime) -> None:
    runtime.publish(LetterWritten("a"))
    runtime.drain()
    assert [summary.name for summary in runtime.flows()] == ["letter/a"]
    assert [recorded.event for recorded in runtime.events()] == [LetterWritten("a"), LetterSent("a")]
    assert isinstance(runtime.flow("letter", "a").summary(), FlowSummary)
    assert runtime.counters()["procession_events_accepted"] == 1
    assert runtime.tree().state == "running"


def test_events_are_followed_until_the_runtime_closes(runtime: embed.BlockingRuntime) -> None:
    followed: list[int] = []
    all_seen = threading.Event()

    def follow() -> None:
        for recorded in runtime.follow():
            followed.append(recorded.position)
            if recorded.position == 200:
                all_seen.set()

    with ThreadPoolExecutor() as threads:
        following = threads.submit(follow)
        runtime.publish([LetterWritten(str(number)) for number in range(100)])
        assert all_seen.wait(30)
        runtime.stop()
        following.result(30)
    assert followed == list(range(1, 201))


def test_who_is_behind_when_the_runtime_closes_is_at_the_end(runtime: embed.BlockingRuntime) -> None:
    runtime.publish([LetterWritten("a"), LetterWritten("b")])
    followed = runtime.follow()
    next(followed)
    runtime.stop()
    assert len(list(followed)) <= 3


def test_a_follower_may_leave_early(runtime: embed.BlockingRuntime) -> None:
    runtime.publish([LetterWritten("a"), LetterWritten("b")])
    with runtime:
        assert next(iter(runtime.follow(after=1))).event == LetterWritten("b")


def test_an_error_comes_out_as_itself_with_its_traceback(runtime: embed.BlockingRuntime) -> None:
    runtime.publish(LetterWritten("a"), id="1")
    with pytest.raises(IdReused) as caught:
        runtime.publish(LetterWritten("b"), id="1")
    assert caught.value.position == 1
    assert "in publish" in "".join(traceback.format_tb(caught.value.__traceback__)[-2:])


def test_an_unknown_process_is_refused_at_once(runtime: embed.BlockingRuntime) -> None:
    with pytest.raises(NotFound, match="'parcel'"):
        runtime.flow("parcel", "a")


def test_a_call_that_takes_too_long_is_cancelled_within(idle: embed.BlockingRuntime) -> None:
    cancelled = threading.Event()

    async def hang(_: Runtime) -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    with pytest.raises(TimeoutError, match=r"hang gave no answer within 0\.05 s"):
        idle.within(0.05).call(hang)
    assert cancelled.wait(30)  # the runtime's thread may be held up for longer than a caller waits for it


def test_the_limit_holds_for_flows_too(idle: embed.BlockingRuntime) -> None:
    with pytest.raises(TimeoutError, match="wait_ended gave no answer"):
        idle.within(0.05).flow(Draft, "a").wait_ended()


def test_the_context_of_the_caller_is_that_of_the_call(idle: embed.BlockingRuntime) -> None:
    async def style(_: Runtime) -> str:
        await trio.lowlevel.checkpoint()
        return STYLE.get()

    token = STYLE.set("fine")
    assert idle.call(style) == "fine"
    STYLE.reset(token)
    assert idle.call(style) == "plain"


def test_many_threads_call_at_once(runtime: embed.BlockingRuntime) -> None:
    def write(number: int) -> str:
        runtime.publish(LetterWritten(str(number)))
        return runtime.flow(Letter, number).wait_ended(timeout_s=30)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(write, range(200))) == ["sent"] * 200


def test_stopping_twice_is_fine(runtime: embed.BlockingRuntime) -> None:
    runtime.stop()
    runtime.stop()
    with pytest.raises(RuntimeClosed):
        runtime.counters()


def test_a_runtime_that_was_stopped_takes_nothing(runtime: embed.BlockingRuntime) -> None:
    runtime.stop()
    with pytest.raises(RuntimeClosed):
        runtime.publish(LetterWritten("a"))


def test_what_can_not_be_opened_is_told_by_start(runtime: embed.BlockingRuntime, tmp_path: Path) -> None:
    with pytest.raises(JournalOwned, match=r"letters\.db is owned by process"):
        embed.start(tmp_path / "letters.db", processes=[Letter], gateways=[Post(at_once)])


def test_two_runtimes_live_in_one_process(runtime: embed.BlockingRuntime, idle: embed.BlockingRuntime) -> None:
    assert runtime.publish(LetterWritten("a")) == idle.publish(LetterWritten("a")) == 1


def test_no_signal_handler_is_touched(tmp_path: Path) -> None:
    def handlers() -> list[object]:
        return [signal.getsignal(number) for number in sorted(signal.valid_signals())]

    before = handlers()
    with embed.start(tmp_path / "drafts.db", processes=[Draft]):
        assert handlers() == before
    assert handlers() == before


def test_an_interrupted_call_goes_with_its_caller(idle: embed.BlockingRuntime) -> None:
    cancelled = threading.Event()

    async def hang(_: Runtime) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)  # as Ctrl-C
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    with pytest.raises(KeyboardInterrupt):
        idle.call(hang)
    assert cancelled.wait(30)
    assert idle.publish(LetterWritten("a")) == 1


def test_an_error_of_the_block_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), embed.start(tmp_path / "drafts.db", processes=[Draft]):
        _ = 1 / 0


def test_closing_waits_for_calls_of_gateways_within_the_grace(tmp_path: Path) -> None:
    begun = threading.Event()

    async def take_a_while(command: object) -> None:
        begun.set()
        await trio.sleep(0.2)

    patient, gateways = Settings(shutdown=ShutdownSettings(grace_s=40)), [Post(take_a_while)]
    with embed.start(tmp_path / "letters.db", processes=[Letter], gateways=gateways, settings=patient) as runtime:
        runtime.publish(LetterWritten("a"))
        assert begun.wait(30)
    with embed.start(tmp_path / "letters.db", processes=[Letter], gateways=[Post(at_once)]) as runtime:
        assert runtime.flow(Letter, "a").summary().outcome == "sent"
