"""A runtime within an asyncio program."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
import trio
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext

from procession import Runtime, Settings, embed
from procession.errors import IdReused, RuntimeClosed
from procession.journal_errors import JournalOwned
from procession.settings import ShutdownSettings
from tests.embed.letters import Draft, Letter, LetterSent, LetterWritten, Post, at_once

STYLE: contextvars.ContextVar[str] = contextvars.ContextVar("STYLE", default="plain")


@asynccontextmanager
async def letters(folder: Path) -> AsyncIterator[embed.AwaitedRuntime]:
    async with embed.open_async(folder / "letters.db", processes=[Letter], gateways=[Post(at_once)]) as runtime:
        yield runtime


@asynccontextmanager
async def drafts(folder: Path) -> AsyncIterator[embed.AwaitedRuntime]:
    async with embed.open_async(folder / "drafts.db", processes=[Draft]) as runtime:
        yield runtime


def test_a_flow_runs_to_its_end(tmp_path: Path) -> None:
    async def main() -> str:
        async with letters(tmp_path) as runtime:
            assert await runtime.publish(LetterWritten("a"), id="1") == 1
            return await runtime.flow(Letter, "a").wait_ended(timeout_s=30)

    assert asyncio.run(main()) == "sent"


def test_what_is_written_for_a_runtime_takes_this_one(tmp_path: Path) -> None:
    async def send(runtime: Runtime, letter: str) -> str:
        await runtime.publish(LetterWritten(letter))
        return await runtime.flow(Letter, letter).wait_ended(timeout_s=30)

    async def main() -> list[str]:
        async with letters(tmp_path) as runtime:
            return await asyncio.gather(*(send(runtime, str(number)) for number in range(100)))

    assert asyncio.run(main()) == ["sent"] * 100


def test_what_was_accepted_is_found(tmp_path: Path) -> None:
    async def main() -> None:
        async with letters(tmp_path) as runtime:
            await runtime.publish([LetterWritten("a")])
            await runtime.drain()
            assert [summary.name for summary in await runtime.flows()] == ["letter/a"]
            assert [recorded.event for recorded in await runtime.events()] == [LetterWritten("a"), LetterSent("a")]
            assert (await runtime.flow("letter", "a").summary()).outcome == "sent"
            assert (await runtime.flow("letter", "a").why_not()).flow == "letter/a"
            assert runtime.counters()["procession_events_accepted"] == 1
            assert runtime.tree().state == "running"

    asyncio.run(main())


def test_events_are_followed_as_they_come(tmp_path: Path) -> None:
    async def main() -> None:
        async with letters(tmp_path) as runtime, aclosing(runtime.follow()) as followed:
            await runtime.publish([LetterWritten("a")])
            assert (await anext(followed)).event == LetterWritten("a")
            assert (await anext(followed)).event == LetterSent("a")

    asyncio.run(main())


def test_an_error_comes_out_as_itself(tmp_path: Path) -> None:
    async def main() -> None:
        async with letters(tmp_path) as runtime:
            await runtime.publish(LetterWritten("a"), id="1")
            await runtime.publish(LetterWritten("b"), id="1")

    with pytest.raises(IdReused):
        asyncio.run(main())


def test_cancelling_the_task_cancels_the_call_within(tmp_path: Path) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    async def hang(_: Runtime) -> None:
        begun.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async def main() -> None:
        async with drafts(tmp_path) as runtime:
            task = asyncio.create_task(runtime.call(hang))
            await asyncio.to_thread(begun.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert cancelled.is_set()
            assert await runtime.publish(LetterWritten("a")) == 1

    asyncio.run(main())


def test_a_time_out_of_asyncio_ends_a_call(tmp_path: Path) -> None:
    async def main() -> None:
        async with drafts(tmp_path) as runtime:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await runtime.flow(Draft, "a").wait_ended()

    asyncio.run(main())


def test_the_context_of_the_caller_is_that_of_the_call(tmp_path: Path) -> None:
    async def style(_: Runtime) -> str:
        await trio.lowlevel.checkpoint()
        return STYLE.get()

    async def main() -> list[str]:
        async with drafts(tmp_path) as runtime:
            found = [await runtime.call(style)]
            STYLE.set("fine")
            return [*found, await runtime.call(style)]

    assert asyncio.run(main()) == ["plain", "fine"]


def test_the_span_of_the_caller_is_that_of_the_call(tmp_path: Path) -> None:
    span = NonRecordingSpan(SpanContext(trace_id=0xABC, span_id=1, is_remote=True))

    async def trace_id(_: Runtime) -> int:
        return trace.get_current_span().get_span_context().trace_id

    async def main() -> int:
        async with drafts(tmp_path) as runtime:
            with trace.use_span(span):
                return await runtime.call(trace_id)

    assert asyncio.run(main()) == 0xABC


def test_the_loop_goes_on_while_a_call_waits(tmp_path: Path) -> None:
    async def main() -> None:
        async with drafts(tmp_path) as runtime:
            waiting = asyncio.create_task(runtime.flow(Draft, "a").wait_ended())
            for _ in range(100):
                await asyncio.sleep(0)
            assert not waiting.done()
            waiting.cancel()
            with pytest.raises(TimeoutError):
                await runtime.flow(Draft, "a").wait_ended(timeout_s=0.2)

    asyncio.run(main())


def test_another_loop_may_call_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with drafts(tmp_path) as runtime:
            assert await asyncio.to_thread(lambda: asyncio.run(publish(runtime))) == 1

    async def publish(runtime: Runtime) -> int:
        return await runtime.publish(LetterWritten("a"))

    asyncio.run(main())


def test_what_can_not_be_opened_is_told_at_opening(tmp_path: Path) -> None:
    async def main() -> None:
        async with drafts(tmp_path):
            with pytest.raises(JournalOwned):
                async with drafts(tmp_path):
                    pass

    asyncio.run(main())


def test_a_runtime_that_was_closed_takes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with drafts(tmp_path) as runtime:
            pass
        await runtime.publish(LetterWritten("a"))

    with pytest.raises(RuntimeClosed):
        asyncio.run(main())


def test_a_host_that_is_cancelled_closes_the_runtime_in_order(tmp_path: Path) -> None:
    async def main() -> None:
        async with drafts(tmp_path) as runtime:
            await runtime.publish(LetterWritten("a"))
            published.set()
            await runtime.flow(Draft, "a").wait_ended()

    async def cancelled_in_the_middle() -> None:
        task = asyncio.create_task(main())
        await published.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with drafts(tmp_path) as runtime:
            assert len(await runtime.events()) == 1

    published = asyncio.Event()
    asyncio.run(cancelled_in_the_middle())


def test_a_host_that_is_cancelled_while_it_opens_leaves_nothing_open(tmp_path: Path) -> None:
    async def main() -> None:
        async with drafts(tmp_path):
            raise AssertionError("it was cancelled before")

    async def cancelled_at_once() -> None:
        task = asyncio.create_task(main())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with drafts(tmp_path) as runtime:
            assert await runtime.publish(LetterWritten("a")) == 1

    asyncio.run(cancelled_at_once())


def test_cancelling_skips_the_grace(tmp_path: Path) -> None:
    async def for_ever(command: object) -> None:
        await trio.sleep_forever()

    async def main() -> None:
        gateways = [Post(for_ever)]
        patient = Settings(shutdown=ShutdownSettings(grace_s=60))
        journal = tmp_path / "letters.db"
        async with embed.open_async(journal, processes=[Letter], gateways=gateways, settings=patient) as runtime:
            await runtime.publish(LetterWritten("a"))
            raise asyncio.CancelledError

    began = time.perf_counter()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert time.perf_counter() - began < 30


def test_the_journal_is_read_within(tmp_path: Path) -> None:
    async def heads(runtime: Runtime) -> int:
        return (await runtime.journal.heads()).position

    async def main() -> None:
        async with drafts(tmp_path) as runtime:
            await runtime.publish(LetterWritten("a"))
            assert await runtime.call(heads) == 1
            with pytest.raises(AttributeError, match="give `call` a function"):
                _ = runtime.journal

    asyncio.run(main())
