"""A turn that does not return is named while it runs; the flow that a process was ended over is set aside first."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import subprocess
import sys
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from procession import (
    Aggregate,
    Command,
    Effects,
    Event,
    ProcessManager,
    Runtime,
    Settings,
    allows,
    applies,
    decides,
    ends,
    on,
    open_runtime,
    starts,
)
from procession.engine.turn_watch import SUFFIX
from procession.send_errors import DecisionFailed
from procession.settings import FlowsSettings
from tests.daemon.command import environment

QUICK = Settings(flows=FlowsSettings(turn_returns_s=0.3))
_BLOCKED_S = 1.2
_PATIENCE_S = 40


class Begun(Event, name="errand.begun"):
    errand: str


class Looked(Event, name="errand.looked"):
    errand: str


class Closed(Event, name="errand.closed"):
    errand: str


class Errand(ProcessManager, name="errand", key="errand"):
    @starts
    def go(self, begun: Begun) -> None: ...

    @allows("LAW03", reason="it does what a fault would")
    @on
    def look(self, looked: Looked) -> None:
        if looked.errand == "slow":
            until = time.thread_time() + _BLOCKED_S
            while time.thread_time() < until:
                pass
        while looked.errand == "endless":
            pass

    @ends
    def over(self, closed: Closed) -> None: ...


class Ordered(Event, name="lever.ordered"):
    lever: str


class Pulled(Event, name="lever.pulled"):
    lever: str


class Pull(Command, name="lever.pull"):
    lever: str


class Lever(Aggregate, name="lever", key="lever"):
    @applies
    def pulled(self, pulled: Pulled) -> Lever:
        return self

    @allows("LAW03", reason="it does what a fault would")
    @decides
    def pull(self, pull: Pull) -> Pulled:
        while pull.lever == "endless":
            pass
        return Pulled(pull.lever)


class Hand(ProcessManager, name="hand", key="lever"):
    @starts
    def order(self, ordered: Ordered) -> Effects:
        yield Pull(ordered.lever)

    @ends
    def over(self, pulled: Pulled) -> None: ...


DECIDING = """
import sys
import trio
from procession import open_runtime
from tests.engine.test_turn_watch import QUICK, Hand, Lever, Ordered, Pull

async def main():
    async with open_runtime(sys.argv[1], processes=[Hand], aggregates=[Lever], settings=QUICK) as runtime:
        if sys.argv[2] == "flow":
            await runtime.publish(Ordered("endless"), id="1")
        else:
            await runtime.send(Pull("endless"), id="1")

trio.run(main)
"""


CHILD = """
import sys
import trio
from procession import open_runtime
from tests.engine.test_turn_watch import QUICK, Begun, Errand, Looked

async def main():
    async with open_runtime(sys.argv[1], processes=[Errand], settings=QUICK) as runtime:
        await runtime.publish([Begun("well"), Begun("endless")])
        await runtime.publish(Looked("endless"))

trio.run(main)
"""


def wait_for(file: Path, place: str) -> None:
    """Until what runs there is named; where a busy machine holds up another turn, that one is for a moment."""
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        with contextlib.suppress(FileNotFoundError):
            if place in file.read_text():
                return
        time.sleep(0.01)


async def status(runtime: Runtime, key: str) -> str | None:
    await runtime.drain()
    return (await runtime.flow(Errand, key).summary()).status


async def test_a_turn_that_takes_too_long_is_named_and_taken_back_when_it_returns(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.db"
    with caplog.at_level(logging.WARNING, "procession.watch"):
        async with open_runtime(path, processes=[Errand], settings=QUICK) as runtime:
            await runtime.publish([Begun("slow"), Looked("slow")])
            await runtime.drain()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2, said
    assert said[0].startswith("errand/slow, at the event at position 2, in look (")
    assert "does not return" in said[0]
    assert said[1] == "errand/slow: that turn returned after all"
    assert not (tmp_path / f"a.db{SUFFIX}").exists()


@pytest.mark.parametrize(("part", "found"), [("_look", "assert 0 == 2"), ("_returned", "assert 1 == 2")])
async def test_a_watch_that_does_not_look_or_takes_nothing_back_is_found(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, part: str, found: str
) -> None:
    monkeypatch.setattr(f"procession.engine.turn_watch._Watch.{part}", lambda _: None)
    with pytest.raises(AssertionError, match=found):
        await test_a_turn_that_takes_too_long_is_named_and_taken_back_when_it_returns(tmp_path, caplog)


async def test_a_flow_over_which_the_process_was_ended_is_set_aside_before_it_runs_again(tmp_path: Path) -> None:
    path, named = tmp_path / "a.db", tmp_path / f"a.db{SUFFIX}"
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)], env=environment(), stderr=subprocess.DEVNULL
    ) as child:
        wait_for(named, "look (")
        child.send_signal(signal.SIGKILL)
    (suspect,) = json.loads(named.read_text())
    assert (suspect["process"], suspect["key"]) == ("errand", "endless")
    assert suspect["place"].startswith("look (")
    async with open_runtime(path, processes=[Errand], settings=QUICK) as runtime:
        await runtime.publish([Looked("endless"), Looked("well"), Closed("well")])
        assert await status(runtime, "endless") == "quarantined"
        assert await status(runtime, "well") == "ended"
        found = await runtime.flow(Errand, "endless").summary()
        assert "did not return" in (found.reason or "")
    assert not named.exists()


def levers(path: Path) -> AbstractAsyncContextManager[Runtime]:
    return open_runtime(path, processes=[Hand], aggregates=[Lever], settings=QUICK)


def ended_while_deciding(path: Path, who: str) -> None:
    """A process that decides for ever is named, and killed."""
    with subprocess.Popen(
        [sys.executable, "-c", DECIDING, str(path), who], env=environment(), stderr=subprocess.DEVNULL
    ) as child:
        wait_for(path.with_name(path.name + SUFFIX), "pull (")
        child.send_signal(signal.SIGKILL)


async def test_a_command_over_whose_decision_the_process_was_ended_is_given_up_before_it_runs_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.db"
    ended_while_deciding(path, "flow")
    async with levers(path) as runtime:
        await runtime.publish(Ordered("endless"), id="1")
        await runtime.publish(Ordered("well"))
        await runtime.drain()
        bad = await runtime.flow(Hand, "endless").summary()
        assert (bad.status, (await runtime.flow(Hand, "well").summary()).status) == ("quarantined", "ended")
        assert "the decision did not return and the process ended: pull (" in (bad.reason or "")
    assert not (tmp_path / f"a.db{SUFFIX}").exists()


async def test_a_command_from_outside_that_the_process_was_ended_over_is_refused_until_the_next_start(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.db"
    ended_while_deciding(path, "outside")
    async with levers(path) as runtime:
        assert (await runtime.send(Pull("well"))).events == (Pulled("well"),)
        for _ in range(2):
            with pytest.raises(DecisionFailed, match="until the next start: the decision did not return"):
                await runtime.send(Pull("endless"), id="1")
    assert not (tmp_path / f"a.db{SUFFIX}").exists()


async def test_a_file_of_suspects_that_can_not_be_read_is_told_and_not_heeded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / f"a.db{SUFFIX}").write_text("[{]")
    with caplog.at_level(logging.WARNING, "procession.watch"):
        async with open_runtime(tmp_path / "a.db", processes=[Errand]) as runtime:
            await runtime.publish([Begun("well"), Looked("well")])
            assert await status(runtime, "well") == "active"
    assert "can't be read and is not heeded" in caplog.text
