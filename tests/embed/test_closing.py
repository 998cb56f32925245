"""However a runtime ends, everybody hears of it, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import attrs
import pytest
import trio

from procession import Effects, ProcessManager, Recorded, Runtime, Settings, embed, ends, starts
from procession.errors import FlowQuarantined, ProcessionError, PublishRefused, RuntimeClosed, RuntimeFailed
from procession.journal.memory import MemoryJournal
from procession.journal.ownership import holder_of
from procession.journal.rows import Commit
from procession.journal_errors import Fenced
from procession.settings import SupervisionSettings
from tests.embed.letters import Draft, Letter, LetterSent, LetterWritten, Post, at_once

ROOT = Path(__file__).parent.parent.parent
ROUNDS = 8


def call_until_closed(runtime: embed.BlockingRuntime, thread: int, accepted: list[str]) -> None:
    for number in range(1_000_000):
        letter = f"{thread}/{number}"
        runtime.publish(LetterWritten(letter), id=letter)
        accepted.append(letter)


def test_calls_of_threads_that_race_the_end_are_answered_or_refused(tmp_path: Path) -> None:
    for race in range(ROUNDS):
        path, accepted = tmp_path / f"{race}.db", list[str]()
        runtime = embed.start(path, processes=[Draft])
        with ThreadPoolExecutor(8) as threads:
            racing = [threads.submit(call_until_closed, runtime, thread, accepted) for thread in range(8)]
            time.sleep(0.01 * race)
            runtime.stop()
            assert {type(one.exception(timeout=30)) for one in racing} == {RuntimeClosed}
        with embed.start(path, processes=[Draft]) as again:
            assert set(accepted) <= {summary.key for summary in again.flows(limit=1_000_000)}


def test_calls_of_tasks_that_race_the_end_are_answered_or_refused(tmp_path: Path) -> None:
    async def nothing(_: Runtime) -> None:
        pass

    async def call_for_ever(runtime: embed.AwaitedRuntime) -> None:
        while True:
            await runtime.call(nothing)

    async def race(path: Path, delay_s: float) -> set[type[BaseException]]:
        async with embed.open_async(path, processes=[Draft]) as runtime:
            racing = [asyncio.create_task(call_for_ever(runtime)) for _ in range(50)]
            await asyncio.sleep(delay_s)
        async with asyncio.timeout(30):
            return {type(ended) for ended in await asyncio.gather(*racing, return_exceptions=True) if ended}

    for number in range(ROUNDS):
        assert asyncio.run(race(tmp_path / f"{number}.db", 0.01 * number)) == {RuntimeClosed}


def test_a_call_that_would_never_end_ends_with_the_runtime(tmp_path: Path) -> None:
    begun = threading.Event()

    async def hang(_: Runtime) -> None:
        begun.set()
        await trio.sleep_forever()

    with ThreadPoolExecutor() as threads, embed.start(tmp_path / "drafts.db", processes=[Draft]) as runtime:
        hanging = threads.submit(runtime.call, hang)
        assert begun.wait(30)
        waiting = threads.submit(runtime.flow(Draft, "a").wait_ended)
        runtime.stop()
        assert isinstance(hanging.exception(30), RuntimeClosed)
        assert isinstance(waiting.exception(30), RuntimeClosed)


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit()], ids=lambda error: type(error).__name__)
def test_what_would_end_the_process_ends_the_call_alone(tmp_path: Path, error: BaseException) -> None:
    async def leave(_: Runtime) -> None:
        raise error

    with embed.start(tmp_path / "drafts.db", processes=[Draft]) as runtime:
        with pytest.raises(type(error)):
            runtime.call(leave)
        assert runtime.publish(LetterWritten("a")) == 1


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit()], ids=lambda error: type(error).__name__)
def test_what_would_end_the_process_ends_the_call_of_a_task_alone(tmp_path: Path, error: BaseException) -> None:
    async def leave(_: Runtime) -> None:
        raise error

    async def main() -> int:
        async with embed.open_async(tmp_path / "drafts.db", processes=[Draft]) as runtime:
            with pytest.raises(type(error)):
                await runtime.call(leave)
            return int(await runtime.publish(LetterWritten("a")))

    assert asyncio.run(main()) == 1


def test_what_would_end_the_process_ends_who_follows_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def leave(_: Runtime, after: int) -> AsyncGenerator[Recorded, None]:
        await trio.lowlevel.checkpoint()
        if after >= 0:
            raise SystemExit(3)
        yield  # type: ignore[misc]  # it is a generator, as the one in whose place it is

    monkeypatch.setattr(Runtime, "follow", leave)
    with embed.start(tmp_path / "drafts.db", processes=[Draft]) as runtime:
        with pytest.raises(SystemExit):
            next(iter(runtime.follow()))
        assert runtime.publish(LetterWritten("a")) == 1


def overtake(path: Path) -> None:
    """As if another owner had taken the journal over."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("update owner set epoch = epoch + 1")


def test_a_runtime_that_was_overtaken_tells_callers_and_its_block(tmp_path: Path) -> None:
    path = tmp_path / "drafts.db"
    with pytest.raises(Fenced), embed.start(path, processes=[Draft]) as runtime:  # noqa: PT012 - out of the whole block
        waiting = ThreadPoolExecutor().submit(runtime.flow(Draft, "a").wait_ended)
        overtake(path)
        with pytest.raises(ProcessionError):
            runtime.publish(LetterWritten("a"))
        assert isinstance(waiting.exception(30), Fenced | RuntimeClosed)
        with pytest.raises(Fenced):
            runtime.publish(LetterWritten("a"))
        with pytest.raises(Fenced):
            runtime.counters()


def test_a_runtime_that_was_overtaken_tells_an_asyncio_host(tmp_path: Path) -> None:
    path = tmp_path / "drafts.db"

    async def main() -> None:
        async with embed.open_async(path, processes=[Draft]) as runtime:
            overtake(path)
            with pytest.raises(ProcessionError):
                await runtime.publish(LetterWritten("a"))
            await runtime.publish(LetterWritten("a"))

    with pytest.raises(Fenced):
        asyncio.run(main())


class Bugged(MemoryJournal):
    """One whose code is wrong from the second event on."""

    async def commit(self, commit: Commit) -> None:
        if self.broken:
            raise ValueError("a bug")
        await super().commit(commit)

    broken = False


def test_a_runtime_that_fails_tells_its_block_also_where_that_raises(tmp_path: Path) -> None:
    journal, settings = Bugged(), attrs.evolve(Settings(), supervision=SupervisionSettings(restarts_max=0))
    with (  # noqa: PT012 - it comes out of the whole block
        pytest.raises(RuntimeFailed, match="a bug"),
        embed.start(journal, processes=[Draft], settings=settings) as runtime,
    ):
        journal.broken = True
        while True:
            with contextlib.suppress(PublishRefused):
                runtime.publish(LetterWritten("a"))


FORGETFUL = """
    import sys, threading, time
    import trio
    from procession import embed
    from tests.embed.letters import Letter, LetterWritten, Post

    async def for_ever(command):
        await trio.sleep_forever()

    async def at_once(command):
        pass

    async def stuck(command):
        await trio.sleep(0.05)  # the publisher has its answer by then
        time.sleep(3600)

    runtime = embed.start(sys.argv[1], processes=[Letter], gateways=[Post(globals()[sys.argv[2]])])
    runtime.publish(LetterWritten("a"))
    for name in sys.argv[3:]:
        threading.Thread(target=lambda: list(runtime.follow())).start()
    time.sleep(0.2)
"""


def forget(path: Path, *arguments: str, within_s: float) -> float:
    """Run a program that does not stop its runtime; how long that took."""
    began = time.perf_counter()
    program = [sys.executable, "-c", textwrap.dedent(FORGETFUL), str(path), *arguments]
    run = subprocess.run(program, cwd=ROOT, timeout=within_s, check=True, capture_output=True, text=True)
    assert run.stderr == ""
    return time.perf_counter() - began


@pytest.mark.parametrize(
    "arguments",
    [
        ("for_ever",),
        pytest.param(("at_once",), marks=pytest.mark.slow),
        pytest.param(("at_once", "a thread that follows"), marks=pytest.mark.slow),
    ],
)
def test_a_program_that_forgets_to_stop_ends_and_closes_its_journal_in_order(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    forget(tmp_path / "letters.db", *arguments, within_s=50)
    assert holder_of(str(tmp_path / "letters.db")) is None
    with embed.start(tmp_path / "letters.db", processes=[Letter], gateways=[Post(at_once)]) as runtime:
        assert runtime.flow(Letter, "a").wait_ended(timeout_s=30) == "sent"


@pytest.mark.slow
def test_a_program_whose_runtime_is_stuck_ends_all_the_same(tmp_path: Path) -> None:
    assert forget(tmp_path / "letters.db", "stuck", within_s=50) > 5
    with embed.start(tmp_path / "letters.db", processes=[Letter], gateways=[Post(at_once)]) as runtime:
        assert runtime.flow(Letter, "a").wait_ended(timeout_s=30) == "sent"


def in_a_fork(work: Callable[[], object]) -> int:
    """What a forked child ends with: 0 where nothing was raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads is what this is about
        child = os.fork()
    if child == 0:  # pragma: no cover - runs in the child
        try:
            work()
        except embed.UsedAfterFork as error:
            os._exit(7 if "after the fork" in str(error) else 1)
        except BaseException:  # noqa: BLE001 - the child of a test must not go on as a test
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_forked_child_is_refused_and_told_what_to_do(tmp_path: Path) -> None:
    with embed.start(tmp_path / "drafts.db", processes=[Draft]) as runtime:
        assert in_a_fork(lambda: runtime.publish(LetterWritten("a"))) == 7
        assert in_a_fork(lambda: runtime.flow(Draft, "a")) == 7
        assert in_a_fork(lambda: next(runtime.follow())) == 7
        assert in_a_fork(runtime.stop) == 7
        assert runtime.publish(LetterWritten("a")) == 1


def test_a_forked_child_may_open_a_runtime_of_its_own(tmp_path: Path) -> None:
    def work() -> None:
        with embed.start(tmp_path / "child.db", processes=[Draft]) as runtime:
            runtime.publish(LetterWritten("a"))

    with embed.start(tmp_path / "drafts.db", processes=[Draft]):
        assert in_a_fork(work) == 0


ASKED: list[embed.BlockingRuntime] = []


def ask_what_is_not_in_the_event() -> object:
    return ASKED[0].counters()


class Curious(ProcessManager, name="curious", key="letter"):
    @starts
    def ask(self, written: LetterWritten) -> Effects:
        ask_what_is_not_in_the_event()
        yield from ()

    @ends
    def sent(self, sent: LetterSent) -> None: ...


def test_a_call_from_inside_a_turn_is_refused_with_its_place(tmp_path: Path) -> None:
    with embed.start(tmp_path / "letters.db", processes=[Curious]) as runtime:
        ASKED[:] = [runtime]
        runtime.publish(LetterWritten("a"))
        with pytest.raises(FlowQuarantined, match=r"test_closing.*counters in a turn"):
            runtime.flow(Curious, "a").wait_ended(timeout_s=30)


def test_a_call_from_the_runtimes_own_thread_is_refused(tmp_path: Path) -> None:
    refused: list[str] = []

    async def call_back(command: object) -> None:
        try:
            runtime.publish(LetterWritten("b"))
        except embed.CalledFromInside as error:
            refused.append(str(error))

    with embed.start(tmp_path / "letters.db", processes=[Letter], gateways=[Post(call_back)]) as runtime:
        runtime.publish(LetterWritten("a"))
        runtime.drain()
    assert refused[0].startswith("publish was called from the runtime's own thread")


OUTLIVED = """
    import os, sys, time
    from procession import embed
    from tests.embed.letters import Draft

    runtime = embed.start(sys.argv[1], processes=[Draft])
    if os.fork() == 0:
        sys.stdin.read()  # until the test is done
        os._exit(0)
    os._exit(9)  # as if it was killed
"""


@pytest.mark.slow
def test_a_forked_child_that_outlives_its_parent_does_not_own_the_journal(tmp_path: Path) -> None:
    program = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(OUTLIVED), str(tmp_path / "drafts.db")]
    with subprocess.Popen(program, cwd=ROOT, stdin=subprocess.PIPE) as parent:
        assert parent.wait(50) == 9
        with embed.start(tmp_path / "drafts.db", processes=[Draft]) as runtime:
            assert runtime.publish(LetterWritten("a")) == 1
