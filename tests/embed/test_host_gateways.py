"""Gateways that are awaited on the asyncio loop of the host: marked `host=True`, and like any other in all else."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio.testing

from procession import Attempt, Settings, embed, open_runtime
from procession.errors import Refused, WiringError
from procession.journal.ownership import holder_of
from procession.settings import GatewaysSettings, ShutdownSettings
from procession.testing import World, explore, given, simulate
from tests.embed.letters import Courier, Letter, LetterSent, LetterWritten, Patient, Post, SendLetter

Deliver = Callable[[SendLetter, Attempt], Awaitable[None]]
STYLE: contextvars.ContextVar[str] = contextvars.ContextVar("STYLE", default="plain")


def driven(**policy: float) -> Settings:
    return Settings(gateways=GatewaysSettings(by_name={"courier": policy}))


async def outcome(path: Path, deliver: Deliver, settings: Settings | None = None) -> str:
    """The end of a letter that this host delivers."""
    async with embed.open_async(path, processes=[Letter], gateways=[Courier(deliver)], settings=settings) as runtime:
        await runtime.publish(LetterWritten("a"))
        return await runtime.flow(Letter, "a").wait_ended(timeout_s=30)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "letters.db"


def test_it_is_awaited_on_the_loop_of_the_host(path: Path) -> None:
    threads: list[int] = []

    async def deliver(command: SendLetter, attempt: Attempt) -> None:
        await asyncio.sleep(0.01)
        threads.append(threading.get_ident())

    assert asyncio.run(outcome(path, deliver)) == "sent"
    assert threads == [threading.get_ident()]


def test_it_has_the_context_of_whoever_opened_the_runtime(path: Path) -> None:
    styles: list[str] = []

    async def deliver(command: SendLetter, attempt: Attempt) -> None:
        styles.append(STYLE.get())

    async def main() -> None:
        STYLE.set("fine")
        await outcome(path, deliver)

    asyncio.run(main())
    assert styles == ["fine"]


def test_what_it_raises_is_retried_under_the_same_id(path: Path) -> None:
    attempts: list[Attempt] = []

    async def deliver(command: SendLetter, attempt: Attempt) -> None:
        attempts.append(attempt)
        if len(attempts) < 3:
            raise ConnectionError("down")

    assert asyncio.run(outcome(path, deliver)) == "sent"
    assert [attempt.number for attempt in attempts] == [1, 2, 3]
    assert len({attempt.command_id for attempt in attempts}) == 1


def test_a_refusal_is_not_retried(path: Path) -> None:
    attempts: list[Attempt] = []

    async def deliver(command: SendLetter, attempt: Attempt) -> None:
        attempts.append(attempt)
        raise Refused("no such address")

    async def main() -> str | None:
        async with embed.open_async(path, processes=[Letter], gateways=[Courier(deliver)]) as runtime:
            await runtime.publish(LetterWritten("a"))
            await runtime.drain()
            return (await runtime.flow(Letter, "a").summary()).reason

    assert "no such address" in (asyncio.run(main()) or "")
    assert len(attempts) == 1


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit()], ids=lambda error: type(error).__name__)
def test_what_would_end_the_process_ends_neither_the_host_nor_the_runtime(path: Path, error: BaseException) -> None:
    async def deliver(command: SendLetter, attempt: Attempt) -> None:
        if attempt.number == 1:
            raise error

    assert asyncio.run(outcome(path, deliver)) == "sent"


def test_a_time_out_cancels_the_task(path: Path) -> None:
    begun: list[int] = []
    ends: list[str] = []

    async def deliver(command: SendLetter, attempt: Attempt) -> None:
        begun.append(attempt.number)
        if len(begun) > 1:  # on a busy machine the time of an attempt may be over before this loop begins it
            return
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    assert asyncio.run(outcome(path, deliver, driven(timeout_s=0.1))) == "sent"
    assert ends == ["cancelled"]


def test_no_attempt_begins_beside_a_task_that_does_not_heed_its_cancellation(path: Path) -> None:
    under_way: list[int] = []
    most: list[int] = []

    async def deliver(command: SendLetter, attempt: Attempt) -> None:
        under_way.append(attempt.number)
        most.append(len(under_way))
        end = time.monotonic() + (1.5 if len(most) == 1 else 0)
        while time.monotonic() < end:
            try:
                await asyncio.sleep(end - time.monotonic())
            except asyncio.CancelledError:
                continue
        under_way.remove(attempt.number)

    assert asyncio.run(outcome(path, deliver, driven(timeout_s=0.1))) == "sent"
    assert len(most) > 1, "on a busy machine another one may be too late, too"
    assert set(most) == {1}


def test_the_end_of_the_runtime_cancels_the_task_and_the_next_one_tries_again(path: Path) -> None:
    ends: list[str] = []

    async def hang(command: SendLetter, attempt: Attempt) -> None:
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ends.append("cancelled")

    async def deliver(command: SendLetter, attempt: Attempt) -> None:
        ends.append(f"delivered at attempt {attempt.number}")

    async def main() -> str:
        no_grace = Settings(shutdown=ShutdownSettings(grace_s=0))
        async with embed.open_async(path, processes=[Letter], gateways=[Courier(hang)], settings=no_grace) as runtime:
            await runtime.publish(LetterWritten("a"))
            await begun.wait()
        async with embed.open_async(path, processes=[Letter], gateways=[Courier(deliver)]) as runtime:
            return await runtime.flow(Letter, "a").wait_ended(timeout_s=30)

    begun = asyncio.Event()
    assert asyncio.run(main()) == "sent"
    assert ends == ["cancelled", "delivered at attempt 1"]


def test_a_loop_that_is_gone_leaves_the_command_to_the_next_start(path: Path) -> None:
    ends: list[str] = []

    async def hang(command: SendLetter, attempt: Attempt) -> None:
        begun.set()
        await asyncio.sleep(3600)

    async def deliver(command: SendLetter, attempt: Attempt) -> None:
        ends.append(f"delivered at attempt {attempt.number}")

    async def abandon() -> None:
        opened = embed.open_async(path, processes=[Letter], gateways=[Courier(hang)], settings=driven(attempts_max=1))
        abandoned.append(opened)
        runtime = await opened.__aenter__()
        await runtime.publish(LetterWritten("a"))
        await begun.wait()

    abandoned: list[object] = []
    begun = asyncio.Event()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(abandon())
    loop.close()  # with a task in it, and a runtime that nobody has closed
    end = time.monotonic() + 30
    while holder_of(str(path)) is not None:
        assert time.monotonic() < end, "the runtime does not close"
    assert asyncio.run(outcome_of_what_is_there(path, deliver)) == "sent"
    assert ends == ["delivered at attempt 1"]


async def outcome_of_what_is_there(path: Path, deliver: Deliver) -> str:
    async with embed.open_async(path, processes=[Letter], gateways=[Courier(deliver)]) as runtime:
        return await runtime.flow(Letter, "a").wait_ended(timeout_s=30)


def test_a_host_that_cancels_the_task_uses_up_no_attempt(path: Path) -> None:
    attempts: list[int] = []

    async def deliver(command: SendLetter, attempt: Attempt) -> None:
        attempts.append(attempt.number)
        if len(attempts) == 1:
            raise asyncio.CancelledError

    assert asyncio.run(outcome(path, deliver, driven(attempts_max=1))) == "sent"
    assert attempts == [1, 1]


async def test_a_trio_host_is_refused_by_name(path: Path) -> None:
    async def deliver(command: SendLetter, attempt: Attempt) -> None: ...

    with pytest.raises(WiringError, match=r"gateway 'courier' is marked host=True.*embed\.open_async"):
        async with open_runtime(path, processes=[Letter], gateways=[Courier(deliver)]):
            pass
    assert not path.exists()


def test_a_synchronous_host_is_refused_by_name(path: Path) -> None:
    async def deliver(command: SendLetter, attempt: Attempt) -> None: ...

    with pytest.raises(WiringError, match="gateway 'courier' is marked host=True"):
        embed.start(path, processes=[Letter], gateways=[Courier(deliver)])


async def test_the_testing_kit_plays_it_as_any_other(autojump_clock: trio.testing.MockClock) -> None:
    given(Letter).when(LetterWritten("a")).then(SendLetter("a"))
    async with World(processes=[Letter], gateways=[Courier]) as world:
        await world.publish(LetterWritten("a"))
        assert await world.outcome(Letter, "a") == "sent"
        assert world.events(LetterSent) == (LetterSent("a"),)


def test_explore_plays_it_as_any_other() -> None:
    assert str(explore(Letter, gateways=[Courier])) == str(explore(Letter, gateways=[Post]))


def test_simulate_plays_it_as_any_other() -> None:
    report = simulate(processes=[Patient], gateways=[Courier], load=[LetterWritten("a")], seeds=range(3))
    assert (report.seeds, report.commands) == (3, 3), "a command in each"
    assert report.attempts > 0, "an operator may cancel some of them before"
