"""Rules 26 and 27: whether the classes fit the journal is known before anything is written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from procession import Attempt, Command, Effects, Event, FailureEvent, Gateway, ProcessManager, end, on, starts
from procession.engine.clock import SystemClock
from procession.errors import SchemaChanged, UnknownInJournal, WiringError
from procession.journal.memory import MemoryJournal
from procession.journal.rows import Commit, TypeRow
from procession.journal.sqlite import open_sqlite
from procession.primitives.schema import first_shape_of
from tests.engine.tally import (
    Armed,
    Asked,
    Audit,
    Counted,
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
    await trio.sleep_forever()
    raise AssertionError


AnyJournal = Callable[[], MemoryJournal | Path]


@pytest.fixture(params=["memory", "file"])
def any_journal(request: pytest.FixtureRequest, tmp_path: Path) -> AnyJournal:
    """What opens one journal again and again."""
    journals = [MemoryJournal()]

    def again() -> MemoryJournal | Path:
        if request.param == "file":
            return tmp_path / "j.db"
        journals.append(journals[-1].reopened())
        return journals[-1]

    return again


async def history() -> MemoryJournal:
    """A journal with two flows of `tally`, which only that process knew."""
    journal = MemoryJournal()
    async with opened(journal) as runtime:
        await runtime.publish([Opened("a"), Counted("a", 1), Opened("b"), Counted("b", 2)])
    return journal.reopened()


async def test_a_process_that_is_new_to_history_must_say_since_when(autojump_clock: trio.testing.MockClock) -> None:
    journal = await history()
    with pytest.raises(WiringError, match="say from where on"):
        async with opened(journal, processes=[Tally, Audit]):
            pass
    assert (await journal.reopened().concerns())[0].process == "tally"


async def test_since_now_leaves_history_alone(autojump_clock: trio.testing.MockClock) -> None:
    journal = await history()
    async with opened(journal, processes=[Tally, Audit], since={"audit": "now"}) as runtime:
        await runtime.publish(Counted("a", 3))
        await runtime.drain()
        assert await story(runtime, "a", "audit") == ["counted 3"]


async def test_since_a_position_takes_up_what_came_after_it(autojump_clock: trio.testing.MockClock) -> None:
    journal = await history()
    async with opened(journal, processes=[Tally, Audit], since={"audit": 2}, settings=settings()) as runtime:
        await runtime.publish(Counted("b", 9))
        await runtime.drain()
        assert await story(runtime, "a", "audit") == []
        assert await story(runtime, "b", "audit") == ["opened", "counted 2", "counted 9"]


async def test_since_is_asked_once(autojump_clock: trio.testing.MockClock) -> None:
    journal = await history()
    async with opened(journal, processes=[Tally, Audit], since={"audit": "now"}):
        pass
    async with opened(journal.reopened(), processes=[Tally, Audit]) as runtime:
        assert await reasons(runtime) == []


async def test_a_type_that_newly_concerns_a_process_must_say_since_when(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = MemoryJournal()
    async with opened(journal, processes=[small()], gateways=[]) as runtime:
        await runtime.publish(Opened("a"))
    with pytest.raises(WiringError, match=r"tally\.counted"):
        async with opened(journal.reopened(), processes=[grown()], gateways=[]):
            pass


async def test_a_process_that_is_not_given_must_not_be_named(autojump_clock: trio.testing.MockClock) -> None:
    with pytest.raises(WiringError, match="'nobody'"):
        async with opened(MemoryJournal(), since={"nobody": "now"}):
            pass


async def test_a_live_flow_of_a_process_that_is_gone_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    journal = await history()
    with pytest.raises(UnknownInJournal, match="2 unfinished flows of process 'tally'"):
        async with opened(journal, processes=[Audit], since={"audit": "now"}):
            pass
    assert not [row for row in await journal.reopened().concerns() if row.process == "audit"], "nothing was written"


async def test_an_open_command_whose_gateway_is_gone_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    async with opened(journal, processes=[Asking], gateways=[JobDesk()]) as runtime:
        await runtime.pause_gateway("jobs", by="ann", why="so that it stays open")
        await runtime.publish(Opened("a"))
    with pytest.raises(UnknownInJournal, match=r"1 open commands of type 'job\.do'"):
        async with opened(journal.reopened(), processes=[NoLongerAsking], gateways=[]):
            pass


async def test_a_process_with_an_open_command_of_a_flow_that_has_ended_must_be_given(any_journal: AnyJournal) -> None:
    opened_now = partial(opened, gateways=[JobDesk()], clock=SystemClock())
    async with opened_now(any_journal(), processes=[AskingLast]) as runtime:
        await runtime.pause_gateway("jobs", by="ann", why="so that it stays open")
        await runtime.publish(Opened("a"))
    with pytest.raises(UnknownInJournal, match="1 unfinished flows of process 'asking_last'"):
        async with opened_now(any_journal(), processes=[Audit], since={"audit": "now"}):
            pass
    async with opened_now(any_journal(), processes=[AskingLast]) as runtime:
        await runtime.resume_gateway("jobs", by="ann", why="it was asked for")
        await runtime.drain()
    async with opened_now(any_journal(), processes=[Audit], since={"audit": "now"}) as runtime:
        assert (await runtime.journal.counts()).commands == {"answered": 1}


async def test_an_open_command_of_an_older_version_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    async with opened(journal, processes=[Asking], gateways=[JobDesk()]) as runtime:
        await runtime.pause_gateway("jobs", by="ann", why="so that it stays open")
        await runtime.publish(Opened("a"))
    with pytest.raises(UnknownInJournal, match=r"'job\.do' version 1"):
        async with opened(journal.reopened(), processes=[NoLongerAsking], gateways=[NewJobDesk()]):
            pass


async def test_a_deadline_whose_type_is_gone_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    async with opened(journal) as runtime:
        await runtime.publish([Opened("a"), Armed("a", "tea", 60)])
    with pytest.raises(UnknownInJournal, match=r"1 open deadlines of type 'tally\.rang'"):
        async with opened(journal.reopened(), processes=[deaf()], gateways=[]):
            pass


async def test_a_class_whose_shape_changed_is_refused_with_the_field(autojump_clock: trio.testing.MockClock) -> None:
    journal = await history()

    class Counted2(Event, name="tally.counted"):
        key: str
        number: str

    with pytest.raises(SchemaChanged, match="field number was int and is str"):
        async with opened(journal, processes=[concerned_by(Counted2)], gateways=[]):
            pass


async def test_a_refused_start_leaves_the_journal_as_it_was(autojump_clock: trio.testing.MockClock) -> None:
    journal = await history()
    with pytest.raises(WiringError):
        async with opened(journal, processes=[Tally, Audit]):
            pass
    async with opened(journal.reopened()) as runtime:
        assert len(await runtime.events()) == 4
        assert runtime.counters()["procession_commits_failed"] == 0


async def test_two_classes_with_one_stored_name_are_refused(autojump_clock: trio.testing.MockClock) -> None:
    """Rule 35: a registry belongs to a runtime."""

    class Other(Event, name="tally.counted"):
        key: str

    with pytest.raises(WiringError, match="two event classes"):
        async with opened(MemoryJournal(), events=[Other]):
            pass
    async with opened(MemoryJournal(), processes=[concerned_by(Other)], gateways=[]) as runtime:
        await runtime.publish(Other("a"))


async def test_two_runtimes_live_in_one_process(autojump_clock: trio.testing.MockClock) -> None:
    """Rule 35."""
    async with opened(MemoryJournal()) as one, opened(MemoryJournal()) as other:
        await one.publish([Opened("a"), Asked("a", (1,))])
        await other.publish(Opened("b"))
        await one.drain()
        assert [flow.key for flow in await other.flows()] == ["b"]


# Schemas.


class Pieces(Event, name="tally.counted"):
    """Counted, with another default and a nested class."""

    key: str
    number: int = 1


async def test_a_default_that_changed_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    journal = await history()
    with pytest.raises(SchemaChanged, match="field number had no default and has the default 1") as refused:
        async with opened(journal, processes=[concerned_by(Pieces)], gateways=[]):
            pass
    assert "version=2, and a lift that leads from this one to it" in refused.value.cure


@attrs.frozen
class Box:
    weight_kg: int


@attrs.frozen
class OtherBox:
    weight_kg: float


class Packed(Event, name="tally.packed"):
    key: str
    boxes: tuple[Box, ...]


class PackedNow(Event, name="tally.packed"):
    key: str
    boxes: tuple[OtherBox, ...]


async def test_a_nested_class_that_changed_is_refused_with_the_path(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    async with opened(journal, events=[Packed]):
        pass
    with pytest.raises(SchemaChanged, match=r"field boxes\[\]\.weight_kg was int and is float"):
        async with opened(journal.reopened(), events=[PackedNow]):
            pass


async def test_a_journal_that_knows_the_first_form_is_compared_by_what_it_says(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = MemoryJournal()
    known = TypeRow("tally.counted", 1, "event", first_shape_of(Counted))
    await journal.commit(Commit(types=[known]))
    async with opened(journal):
        pass
    with pytest.raises(SchemaChanged, match="field number was int and is int with a default"):
        async with opened(journal.reopened(), processes=[concerned_by(Pieces)], gateways=[]):
            pass


async def test_an_event_and_a_command_may_have_one_name(autojump_clock: trio.testing.MockClock) -> None:
    class Namesake(Event, name="work.do"):
        key: str

    journal = MemoryJournal()
    async with opened(journal, events=[Namesake]):
        pass
    async with opened(journal.reopened(), events=[Namesake]) as runtime:
        await runtime.publish(Namesake("a"))


async def test_an_event_that_became_a_failure_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    class Failed(FailureEvent, name="tally.packed"):
        key: str
        boxes: tuple[Box, ...]

    journal = MemoryJournal()
    async with opened(journal, events=[Packed]):
        pass
    with pytest.raises(SchemaChanged, match="a kind of event and is a kind of failure"):
        async with opened(journal.reopened(), events=[Failed]):
            pass


@pytest.mark.parametrize("left", ["closed", "crashed"])
async def test_a_refused_journal_is_not_touched(left: str, tmp_path: Path) -> None:
    path = tmp_path / "tally.db"
    journal = await open_sqlite(path, clock_us=SystemClock().now_us)
    async with opened(journal) as runtime:
        await runtime.publish([Opened("a"), Counted("a", 1)])
    writing = await open_sqlite(path, clock_us=SystemClock().now_us)  # it leaves a log behind, as a crash does
    copies = [tmp_path / f"copy.db{ending}" for ending in ("", "-wal")]
    for ending, copy in zip(("", "-wal"), copies, strict=True):
        shutil.copy(f"{path}{ending}", copy)
    await writing.close()
    refused = {"closed": path, "crashed": copies[0]}[left]
    before = bytes_of(refused)

    for processes, error in (([concerned_by(Pieces)], SchemaChanged), ([Audit], UnknownInJournal)):
        with pytest.raises(error):
            async with opened(refused, processes=processes, gateways=[], since={"audit": "now"}):
                pass
        assert bytes_of(refused) == before
    async with opened(refused) as runtime:
        assert len(await runtime.events()) == 2


def bytes_of(path: Path) -> list[bytes]:
    """What the file and its write-ahead log hold."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return [file.read_bytes() for file in files if file.exists() and file.stat().st_size]


def small() -> type[ProcessManager]:
    class Small(ProcessManager, name="small", key="key"):
        @starts
        def opened(self, opened: Opened) -> None: ...

    return Small


def grown() -> type[ProcessManager]:
    class Grown(ProcessManager, name="small", key="key"):
        @starts
        def opened(self, opened: Opened) -> None: ...

        @on
        def counted(self, counted: Counted) -> None: ...

    return Grown


def deaf() -> type[ProcessManager]:
    class Deaf(ProcessManager, name="tally", key="key", concerns=(Armed,)):
        @starts
        def opened(self, opened: Opened) -> None: ...

    return Deaf


def concerned_by(event: Any) -> type[ProcessManager]:  # noqa: ANN401 - a class made in a test
    class Concerned(ProcessManager, name="tally", key="key", concerns=(event,)):
        @starts
        def opened(self, opened: Opened) -> None: ...

    return Concerned


class Job(Command, name="job.do"):
    key: str


class NewJob(Command, name="job.do", version=2):
    key: str
    urgent: bool = False


class JobDesk(Gateway, name="jobs"):
    async def job(self, job: Job) -> None: ...


class NewJobDesk(Gateway, name="jobs"):
    async def job(self, job: NewJob) -> None: ...


class Asking(ProcessManager, name="asking", key="key"):
    @starts
    def opened(self, opened: Opened) -> Effects:
        yield Job(opened.key)


class AskingLast(ProcessManager, name="asking_last", key="key"):
    @starts
    def opened(self, opened: Opened) -> Effects:
        yield Job(opened.key)
        yield end("asked")


class NoLongerAsking(ProcessManager, name="asking", key="key"):
    @starts
    def opened(self, opened: Opened) -> None: ...
