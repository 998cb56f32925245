"""Turns of a runtime run again in a second process: a share of them, nobody waits, and it ends with the runtime."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from procession import Effects, ProcessManager, Runtime, Settings, open_runtime, starts
from procession.journal.memory import MemoryJournal
from procession.settings import PuritySettings, SupervisionSettings
from tests.engine.account import LIFTS, Account, Clerk, PaidV1, Thawed
from tests.engine.shadowed_flows import Clocked, Counted, Ending, Honest, Ordered, Say, Speaker, Writing

TOMORROW_S = int(time.time()) + 86_400


@asynccontextmanager
async def shadowed(
    process: type[ProcessManager], *, ratio: float = 1, queue_max: int = 100, restarts_max: int = 5
) -> AsyncIterator[Runtime]:
    settings = Settings(
        purity=PuritySettings(shadow_replay_ratio=ratio, shadow_queue_max=queue_max),
        supervision=SupervisionSettings(restarts_max=restarts_max, backoff_initial_s=0.001, backoff_max_s=0.01),
    )
    async with open_runtime(MemoryJournal(), processes=[process], gateways=[Speaker()], settings=settings) as runtime:
        yield runtime


async def counts_of(runtime: Runtime, *names: str) -> list[int]:
    counters = runtime.counters()
    return [counters[f"procession_turns_{name}"] for name in names]


async def until(runtime: Runtime, counter: str, count: int) -> None:
    """Wait for a second process, which no virtual clock drives."""
    with trio.fail_after(30):
        while runtime.counters()[counter] < count:
            await trio.lowlevel.checkpoint()
            await trio.to_thread.run_sync(time.sleep, 0.01)


async def test_turns_of_a_pure_flow_come_out_the_same() -> None:
    async with shadowed(Honest) as runtime:
        await runtime.publish([Counted("a", 1, "ann"), Counted("b", 2, "bob")])
        await until(runtime, "procession_turns_shadowed", 4)
        assert await counts_of(runtime, "shadowed", "differing", "unshadowed") == [4, 0, 0]


@pytest.mark.parametrize("process", [Clocked, Ordered])
async def test_a_turn_that_is_not_pure_differs(process: type[ProcessManager], caplog: pytest.LogCaptureFixture) -> None:
    async with shadowed(process) as runtime:
        await runtime.publish([Counted("a", 1, "ann"), Counted("b", 1, "ann")])
        await until(runtime, "procession_turns_differing", 2)
        assert [message for message in caplog.messages if f"{process.__process__.name}.counted has effect 0" in message]
        assert len([message for message in caplog.messages if "is not pure" in message]) == 1


async def test_no_turn_runs_again_unless_it_is_asked_for() -> None:
    async with shadowed(Clocked, ratio=0) as runtime:
        await runtime.publish(Counted("a", 1))
        await runtime.drain()
        assert [actor.name for actor in runtime.tree().children if actor.name == "shadow"] == []


@pytest.mark.slow
async def test_a_share_of_the_turns_is_sampled() -> None:
    async with shadowed(Honest, ratio=0.25, queue_max=1_000) as runtime:
        await runtime.publish([Counted(str(number), 1) for number in range(200)])
        await runtime.drain()
        await until(runtime, "procession_turns_shadowed", 1)
        with trio.move_on_after(0.2):
            await trio.sleep_forever()
        (shadowed_turns,) = await counts_of(runtime, "shadowed")
        assert 0 < shadowed_turns < 250


async def test_what_finds_no_room_is_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    # A second process that answers makes room, the more of it the slower this one is.
    silent = [sys.executable, "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr("procession.engine.shadow_host.child_command", lambda: silent)
    async with shadowed(Honest, queue_max=1) as runtime:
        await runtime.publish([Counted(str(number), 1) for number in range(100)])
        await runtime.drain()
        (unshadowed,) = await counts_of(runtime, "unshadowed")
        assert unshadowed >= 150


async def test_a_second_process_that_ends_is_started_again() -> None:
    async with shadowed(Ending) as runtime:
        await runtime.publish([Counted("a", TOMORROW_S), Counted("b", TOMORROW_S)])
        await until(runtime, "procession_actors_restarted", 2)  # it is counted after the turn that it left out
        (flow, _) = await runtime.flows(Ending)
        assert flow.status == "active"
        assert await counts_of(runtime, "shadowed", "unshadowed") == [0, 2]


@pytest.mark.slow
async def test_a_second_process_that_keeps_ending_is_given_up_and_the_runtime_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with shadowed(Ending, restarts_max=0, queue_max=1) as runtime:
        await runtime.publish(Counted("a", TOMORROW_S))
        await until(runtime, "procession_turns_unshadowed", 1)
        await runtime.publish([Counted(str(number), TOMORROW_S) for number in range(10)])
        await until(runtime, "procession_turns_unshadowed", 11)
        assert len(await runtime.flows(Ending)) == 11
    assert any("no turn is replayed any more" in message for message in caplog.messages)


async def test_what_a_turn_writes_does_not_reach_the_answers(capfd: pytest.CaptureFixture[str]) -> None:
    async with shadowed(Writing) as runtime:
        await runtime.publish(Counted("a", 1))
        await until(runtime, "procession_turns_shadowed", 1)
        assert await counts_of(runtime, "differing", "unshadowed") == [0, 0]


async def test_an_old_event_runs_again_as_the_newer_one_that_it_is_lifted_to() -> None:
    settings = Settings(purity=PuritySettings(shadow_replay_ratio=1))
    async with open_runtime(
        MemoryJournal(), processes=[Account], gateways=[Clerk()], lifts=LIFTS, settings=settings
    ) as runtime:
        await runtime.publish([Thawed("a"), PaidV1("a", 1)])
        await until(runtime, "procession_turns_shadowed", 4)
        assert await counts_of(runtime, "shadowed", "differing", "unshadowed") == [4, 0, 0]


async def test_a_class_that_can_not_be_imported_is_told(caplog: pytest.LogCaptureFixture) -> None:
    class Local(ProcessManager, name="local", key="key"):
        @starts
        def counted(self, counted: Counted) -> Effects:
            yield Say(counted.key, "")

    async with shadowed(Local) as runtime:
        await runtime.publish(Counted("a", 1))
        await runtime.drain()
        assert await counts_of(runtime, "shadowed", "unshadowed") == [0, 1]
    assert any("<locals>.Local can't be imported by its name" in message for message in caplog.messages)


async def test_the_second_process_ends_with_the_runtime() -> None:
    before = children_of_this_process()
    async with shadowed(Honest) as runtime:
        await runtime.publish(Counted("a", 1))
        await until(runtime, "procession_turns_shadowed", 1)
        assert len(children_of_this_process()) == len(before) + 1
    assert children_of_this_process() == before


def children_of_this_process() -> set[str]:
    """Their numbers; the second process is started from a thread."""
    found: set[str] = set()
    for file in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that was idle has ended
            found.update(file.read_text("utf-8").split())
    return found
