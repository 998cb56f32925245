"""Injectors are actors: restarted alone, given up alone and aloud, held with the engine, closed first."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from procession import Injector, Intake, Settings, Wiring, open_runtime
from procession.errors import DefinitionError, NotAccepted, WiringError
from procession.journal.sqlite import SqliteJournal
from procession.journal_errors import CommitFailed
from procession.primitives.codec import to_json
from procession.settings import CommitSettings
from procession.testing.faults import FaultyJournal
from procession.wiring import registry_of
from tests.injectors.door import QUICK, Door, DoorClosed, DoorOpened, injectors_of, open_doors, opened, until_accepted


class Knocking(Injector, name="knocking"):
    """Fails so many times, then opens doors."""

    failures: int
    doors: tuple[str, ...] = ("front",)
    failed: int = 0

    async def run(self, publish: Intake) -> None:
        if self.failed < self.failures:
            self.failed += 1
            raise ConnectionError("the door bell is broken")
        for door in self.doors:
            await publish(DoorOpened(door), id=door, source="knocking")


class Steady(Injector, name="steady"):
    asked: trio.Event = attrs.field(factory=trio.Event)

    async def run(self, publish: Intake) -> None:
        await self.asked.wait()
        await publish(DoorOpened("side"), id="1", source="steady")


async def test_one_that_fails_is_started_again(tmp_path: Path) -> None:
    async with open_doors(tmp_path, Knocking(failures=2)) as runtime:
        await until_accepted(runtime, 1)
        assert runtime.counters()["procession_actors_restarted"] == 2
        await runtime.drain()
        assert injectors_of(runtime)["knocking"].restarts == 2


async def test_one_that_keeps_failing_is_given_up_aloud_and_the_others_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    steady = Steady()
    async with open_doors(tmp_path, Knocking(failures=1_000), steady) as runtime:
        with trio.fail_after(30):
            while injectors_of(runtime)["knocking"].state != "failed":
                await trio.lowlevel.checkpoint()
        steady.asked.set()
        await until_accepted(runtime, 1)
        assert injectors_of(runtime)["knocking"].detail == "ConnectionError: the door bell is broken"
        assert runtime.counters()["procession_injectors_given_up"] == 1
    assert "injectors/knocking failed after 2 restarts: ConnectionError" in caplog.text
    assert "everything else goes on" in caplog.text


async def test_one_that_comes_to_its_end_is_shown_as_ended(tmp_path: Path) -> None:
    async with open_doors(tmp_path, Knocking(failures=0)) as runtime:
        await until_accepted(runtime, 1)
        with trio.fail_after(30):
            while injectors_of(runtime)["knocking"].state != "ended":
                await trio.lowlevel.checkpoint()


async def test_what_it_brings_twice_under_one_id_counts_once(tmp_path: Path) -> None:
    for _ in range(2):
        async with open_doors(tmp_path, Knocking(failures=0, doors=("front", "back"))) as runtime:
            await until_accepted(runtime, 2)
            await runtime.drain()
            assert await opened(runtime) == Counter(front=1, back=1)


class Leaving(Injector, name="leaving"):
    """Says how it ends."""

    said: list[str]

    async def run(self, publish: Intake) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                # The engine still runs: the outer intake closes first.
                await publish(DoorOpened("last"), id="last", source="leaving")
            self.said.append("left")


async def test_they_are_closed_before_the_engine(tmp_path: Path) -> None:
    said: list[str] = []
    async with open_doors(tmp_path, Leaving(said)):
        pass
    assert said == ["left"]
    async with open_doors(tmp_path) as runtime:
        assert await opened(runtime) == Counter(last=1)


@pytest.mark.parametrize("outcome_wait_s", [30, 0.1], ids=["refused", "unknown"])
async def test_a_publish_waits_while_the_engine_is_held(outcome_wait_s: float) -> None:
    steady = Steady()
    settings = Settings(commit=CommitSettings(probe_interval_s=0.02, outcome_wait_s=outcome_wait_s))
    journal = FaultyJournal()
    async with open_runtime(journal, processes=[Door], injectors=[steady], settings=settings) as runtime:
        journal.count_anew({1: "fail"})
        journal.reopens_failing = 10
        steady.asked.set()
        await until_accepted(runtime, 1)
        await runtime.drain()
        assert injectors_of(runtime)["steady"].restarts == 0
        assert await opened(runtime) == Counter(side=1)
    assert journal.reopens > 10


class Telling(Injector, name="telling"):
    """Says what it is refused with."""

    asked: trio.Event = attrs.field(factory=trio.Event)
    refused: list[str] = attrs.field(factory=list)

    async def run(self, publish: Intake) -> None:
        await self.asked.wait()
        for door in ("guilty", "good"):
            try:
                await publish(DoorOpened(door), id=door, source="telling")
            except NotAccepted as error:
                self.refused.append(str(error))


async def test_what_the_journal_refuses_for_its_data_is_not_tried_again() -> None:
    telling, journal = Telling(), FaultyJournal()
    async with open_runtime(journal, processes=[Door], injectors=[telling], settings=QUICK) as runtime:
        journal.count_anew({1: "reject", 2: "reject"})
        telling.asked.set()
        await until_accepted(runtime, 1)
        await runtime.drain()
        assert await opened(runtime) == Counter(good=1)
    assert telling.refused == [
        "nothing was written: a commit was rejected (the data smells); nothing of it was written; publish again"
    ]


class Closing(Injector, name="closing", events=(DoorClosed,)):
    async def run(self, publish: Intake) -> None:
        await publish(DoorClosed("back"), id="1", source="closing")


async def test_the_events_that_it_declares_are_known(tmp_path: Path) -> None:
    async with open_runtime(tmp_path / "j.db", processes=[Door], injectors=[Closing], settings=QUICK) as runtime:
        await until_accepted(runtime, 1, ("door.closed",))
    assert registry_of(Wiring((Door,), (), injectors=(Closing,))).event_class("door.closed") is DoorClosed


async def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WiringError, match="two injectors are called 'knocking': a Knocking and a Knocking; give one"):
        async with open_doors(tmp_path, Knocking(0), Knocking(1)):
            pass
    assert not (tmp_path / "doors.db").exists()


def test_one_without_a_name_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"test_supervision.py:\d+: Nameless has the name ''"):

        class Nameless(Injector):
            async def run(self, publish: Intake) -> None: ...


def test_one_that_does_not_run_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"Idle has no run; write `async def run\(self, publish: Intake\)`"):

        class Idle(Injector, name="idle"):
            pass


class Recalling(Injector, name="recalling"):
    """Asks what was accepted before it brings anything."""

    async def run(self, publish: Intake) -> None:
        if not await publish.knows("recalling", "1"):
            await publish(DoorOpened("back"), id="1", source="recalling")


async def test_one_that_asks_while_the_journal_is_held_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, failures = SqliteJournal.look_up, [CommitFailed("the journal is not reopened yet")] * 3

    async def held(*given: Any) -> Any:  # noqa: ANN401 - as the journal
        if failures:
            raise failures.pop()
        return await ask(*given)

    monkeypatch.setattr(SqliteJournal, "look_up", held)
    async with open_doors(tmp_path, Recalling()) as runtime:
        await until_accepted(runtime, 1)
        assert injectors_of(runtime)["recalling"].restarts == 0


class Unspeakable(Exception):  # noqa: N818 - it is for a test
    def __str__(self) -> str:
        raise KeyError("it has no words")


@pytest.mark.parametrize("error", [ValueError("\ud800"), Unspeakable()], ids=["half a character", "no words"])
async def test_one_whose_error_can_not_be_told_is_given_up_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(logging.getLogger("procession"), "propagate", False)  # pytest-xdist can't report it

    class Mumbling(Injector, name="mumbling"):
        async def run(self, publish: Intake) -> None:
            raise error

    steady = Steady()
    async with open_doors(tmp_path, Mumbling(), steady) as runtime:
        with trio.fail_after(30):
            while injectors_of(runtime)["mumbling"].state != "failed":
                await trio.lowlevel.checkpoint()
        steady.asked.set()
        await until_accepted(runtime, 1)
        assert to_json(injectors_of(runtime)["mumbling"].detail)
