"""Invariants, watched live: judged after durable steps, reported once for each flow, whatever fails meanwhile."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import attrs
import hypothesis
import pytest
import trio
import trio.testing
from hypothesis import strategies as st

from procession import (
    Command,
    Effects,
    Event,
    Gateway,
    History,
    Invariant,
    ProcessManager,
    Runtime,
    invariant,
    on,
    record,
    starts,
)
from procession.engine.clock import SystemClock
from procession.journal.journal import Journal
from procession.journal.memory import MemoryJournal
from procession.journal.rows import Commit, UnhandledRow
from procession.journal.sqlite import open_sqlite
from procession.journal_errors import JournalError
from procession.primitives.event import InvariantBroken
from procession.settings import InvariantsSettings, JournalSettings
from procession.testing.faults import FaultyJournal
from procession.testing.strategies import events, histories
from tests.daemon.command import run
from tests.engine.tally import (
    Armed,
    Asked,
    Broken,
    BrokenTally,
    Closed,
    Counted,
    Desk,
    Disarmed,
    Done,
    Noted,
    Opened,
    Tally,
    Work,
    opened,
    settings,
)


@invariant(Tally)
def never_counts_nine(history: History) -> bool:
    """Nine is never counted."""
    return all(counted.number != 9 for counted in history.handled(Counted))


@invariant(Tally)
def asks_little(history: History) -> bool:
    return len(history.sent(Work)) < 3


@invariant(Tally)
def counts_in_order(history: History) -> bool:
    numbers = [counted.number for counted in history.handled(Counted)]
    return numbers == sorted(numbers)


@invariant(Tally)
def divides(history: History) -> bool:
    return all(12 / counted.number for counted in history.handled(Counted))


@invariant(Tally)
def leaves(history: History) -> bool:
    raise SystemExit("goodbye")


async def alerts(runtime: Runtime) -> list[InvariantBroken]:
    """What was reported, in order."""
    found = await runtime.events(types=["procession.invariant_broken"], limit=10_000)
    return [recorded.event for recorded in found if isinstance(recorded.event, InvariantBroken)]


async def named(runtime: Runtime) -> list[str]:
    """Key, invariant and step of each alert."""
    return [f"{alert.key} {alert.invariant} at {alert.version}" for alert in await alerts(runtime)]


@attrs.define
class Store:
    """A journal that can be closed and opened again."""

    path: Path | None
    memory: MemoryJournal = attrs.field(factory=MemoryJournal)

    async def open(self) -> Journal:
        if self.path is not None:
            return await open_sqlite(str(self.path), clock_us=SystemClock().now_us)
        self.memory = self.memory.reopened()
        return self.memory


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(tmp_path / "watched.db" if request.param == "sqlite" else None)


async def test_what_breaks_is_recorded_with_where_it_broke(store: Store) -> None:
    async with opened(await store.open(), invariants=[never_counts_nine]) as runtime:
        await runtime.publish([Opened("a"), Counted("a", 1), Counted("a", 9), Counted("a", 2)])
        await runtime.drain()
        assert await alerts(runtime) == [
            InvariantBroken("tally", "a", "never_counts_nine", "Nine is never counted.", 3, 3, "")
        ]
        assert runtime.counters()["procession_invariants_broken"] == 1


async def test_what_holds_is_not_reported(store: Store) -> None:
    async with opened(await store.open(), invariants=[never_counts_nine, asks_little]) as runtime:
        await runtime.publish([Opened("a"), Counted("a", 1), Asked("a", (1, 2)), Closed("a")])
        await runtime.drain()
        assert await alerts(runtime) == []
        assert runtime.counters()["procession_histories_judged"] > 0


async def test_it_is_an_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with opened(MemoryJournal(), invariants=[never_counts_nine]) as runtime:
        await runtime.publish([Opened("a"), Counted("a", 9)])
        await runtime.drain()
    (record,) = [record for record in caplog.records if record.name == "procession.invariants"]
    assert record.levelno == logging.ERROR
    assert (
        record.message
        == "invariant never_counts_nine of tally/a does not hold; step 2; it says: Nine is never counted."
    )


async def test_the_alert_is_caused_by_the_event_that_broke_it() -> None:
    async with opened(MemoryJournal(), invariants=[never_counts_nine]) as runtime:
        await runtime.publish([Opened("a"), Counted("a", 9)])
        await runtime.drain()
        _, nine, alert = await runtime.events()
        assert alert.envelope.causation_id == nine.envelope.event_id
        assert alert.envelope.correlation_id == nine.envelope.event_id
        assert alert.envelope.keys == (("tally", "a"),)


async def test_each_flow_is_reported_by_itself(store: Store) -> None:
    async with opened(await store.open(), invariants=[never_counts_nine, asks_little]) as runtime:
        await runtime.publish([Opened("a"), Opened("b"), Counted("a", 9), Asked("b", (1, 2, 3)), Counted("b", 9)])
        await runtime.drain()
        found = await named(runtime)
    assert sorted(found) == ["a never_counts_nine at 2", "b asks_little at 2", "b never_counts_nine at 3"]


async def test_once_reported_it_is_never_reported_again(store: Store) -> None:
    for _ in range(3):
        async with opened(await store.open(), invariants=[never_counts_nine, counts_in_order]) as runtime:
            await runtime.publish([Opened("a"), Counted("a", 9)])
            await runtime.publish(Counted("a", 9))
            await runtime.drain()
            assert await named(runtime) == ["a never_counts_nine at 2"]


async def test_after_a_restart_the_whole_history_is_judged(store: Store) -> None:
    async with opened(await store.open(), invariants=[counts_in_order]) as runtime:
        await runtime.publish([Opened("a"), Counted("a", 5), Asked("a", (1,))])
        await runtime.drain()
    async with opened(await store.open(), invariants=[counts_in_order]) as runtime:
        await runtime.publish(Counted("a", 4))
        await runtime.drain()
        assert await named(runtime) == ["a counts_in_order at 5"]


async def test_what_was_not_judged_when_the_runtime_ended_is_taken_up_at_the_next_start(store: Store) -> None:
    async with opened(await store.open()) as runtime:
        await runtime.publish([Opened("a"), Counted("a", 9), Closed("a")])
    async with opened(await store.open(), invariants=[never_counts_nine]) as runtime:
        await runtime.drain()
        assert await named(runtime) == ["a never_counts_nine at 3"]


async def test_flows_that_changed_long_before_are_judged_when_they_next_step(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = MemoryJournal()
    async with opened(journal) as runtime:
        await runtime.publish([Opened("a"), Counted("a", 9)])
        await trio.sleep(61)
        await runtime.publish([Opened("b"), Counted("b", 9)])
    async with opened(journal.reopened(), invariants=[never_counts_nine]) as runtime:
        await runtime.drain()
        assert await named(runtime) == ["b never_counts_nine at 2"]
        await runtime.publish(Counted("a", 1))
        await runtime.drain()
        assert await named(runtime) == ["b never_counts_nine at 2", "a never_counts_nine at 3"]


async def test_all_that_is_durable_is_judged_before_the_runtime_ends(store: Store) -> None:
    async with opened(await store.open(), invariants=[never_counts_nine]) as runtime:
        await runtime.publish([Opened("a"), Counted("a", 9)])
    async with opened(await store.open()) as runtime:
        assert await named(runtime) == ["a never_counts_nine at 2"]


async def test_one_that_raises_is_reported_with_its_error_and_once(store: Store) -> None:
    for _ in range(2):
        async with opened(await store.open(), invariants=[divides, never_counts_nine]) as runtime:
            await runtime.publish([Opened("a"), Counted("a", 0), Counted("a", 9)])
            await runtime.drain()
            first, second = await alerts(runtime)
            assert first.invariant == "divides"
            assert first.error.startswith("ZeroDivisionError: division by zero at test_invariant_watch.py:")
            assert second.invariant == "never_counts_nine"


async def test_one_that_wants_to_leave_does_not_end_the_runtime() -> None:
    async with opened(MemoryJournal(), invariants=[leaves]) as runtime:
        await runtime.publish([Opened("a"), Closed("a")])
        assert await runtime.flow(Tally, "a").wait_ended() == "closed"
        await runtime.drain()
        (alert,) = await alerts(runtime)
        assert alert.error.startswith("SystemExit: goodbye at test_invariant_watch.py:")


class Dying(FaultyJournal):
    """The process dies at the commit of an alert: before it is written, or after."""

    when: Literal["before", "after", ""] = ""

    async def commit(self, commit: Commit) -> None:
        if self.when and any(event.type == "procession.invariant_broken" for event in commit.events):
            self.dies_at = (self.commits + 1) * (-1 if self.when == "after" else 1)
        await super().commit(commit)


async def lose(journal: MemoryJournal, events: Sequence[Event], when: Literal["before", "after"]) -> MemoryJournal:
    """Run until the process dies at the commit of an alert."""
    dying = Dying.of(journal)
    dying.when = when
    with trio.CancelScope() as process:
        dying.on_death = process.cancel
        async with opened(dying, invariants=[never_counts_nine]) as runtime:
            await runtime.publish(events)
            await trio.sleep(3600)
    assert dying.dead
    return dying.reopened()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_between_the_break_and_its_alert_loses_none_and_makes_no_second(
    when: Literal["before", "after"], autojump_clock: trio.testing.MockClock
) -> None:
    journal = await lose(MemoryJournal(), [Opened("a"), Counted("a", 9), Closed("a")], when)
    async with opened(journal, invariants=[never_counts_nine]) as runtime:
        await runtime.drain()
        assert len(await alerts(runtime)) == 1


async def test_an_alert_is_written_by_a_careful_start_too_after_the_process_died_at_it_again_and_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = await lose(MemoryJournal(), [Opened("a"), Counted("a", 9)], "before")
    for number in range(2):
        journal = await lose(journal, [Counted("a", number)], "before")
    careful = settings(journal=attrs.asdict(JournalSettings(careful_after=2)))
    async with opened(journal, invariants=[never_counts_nine], settings=careful) as runtime:
        await runtime.drain()
        assert len(await alerts(runtime)) == 1


@pytest.mark.parametrize("fault", ["fail", "written"])
async def test_an_alert_whose_commit_failed_is_recorded_once(
    fault: Literal["fail", "written"], autojump_clock: trio.testing.MockClock
) -> None:
    journal = FaultyJournal()
    async with opened(journal, invariants=[never_counts_nine]) as runtime:
        await runtime.publish([Opened("a")])
        journal.count_anew({2: fault})
        await runtime.publish(Counted("a", 9))
        await runtime.drain()
        assert journal.reopens == 1
        assert len(await alerts(runtime)) == 1


@pytest.mark.parametrize(("flows", "room"), [(20, 1), (700, 50)])
async def test_flows_that_find_no_room_are_found_in_the_journal(flows: int, room: int) -> None:
    keys = [f"k{number}" for number in range(flows)]
    limits = attrs.evolve(settings(), invariants=InvariantsSettings(flows_due_max=room, turns_cached_max=1))
    async with opened(MemoryJournal(), invariants=[never_counts_nine], settings=limits) as runtime:
        async with trio.open_nursery() as nursery:
            for some in (keys[: len(keys) // 2], keys[len(keys) // 2 :]):
                nursery.start_soon(runtime.publish, [Opened(key) for key in some])
                nursery.start_soon(runtime.publish, [Counted(key, 9) for key in some])
        await runtime.drain()
        assert sorted(alert.key for alert in await alerts(runtime)) == sorted(keys)


class Stuck(MemoryJournal):
    """Nobody is told what no turn handled."""

    error: Exception | None = None

    async def unhandled(
        self, process: str | None, key: str | None, after_position: int, limit: int
    ) -> list[UnhandledRow]:
        if self.error is not None:
            await trio.lowlevel.checkpoint()
            raise self.error
        return await trio.sleep_forever()


async def test_turns_never_wait_for_the_watch(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(Stuck(), invariants=[never_counts_nine]) as runtime:
        await runtime.publish([Opened("a"), Counted("a", 9), Asked("a", (1, 2))])
        await runtime.publish(Closed("a"))
        assert await runtime.flow(Tally, "a").wait_ended(1) == "closed"


class Hiccup(MemoryJournal):
    """What no turn handled can't be read, once."""

    hiccups = 1

    async def unhandled(
        self, process: str | None, key: str | None, after_position: int, limit: int
    ) -> list[UnhandledRow]:
        if self.hiccups:
            self.hiccups -= 1
            await trio.sleep(1)
            raise JournalError("the disk coughs")
        return await super().unhandled(process, key, after_position, limit)


async def test_a_watch_that_failed_judges_what_it_had_begun_to_judge(autojump_clock: trio.testing.MockClock) -> None:
    limits = attrs.evolve(settings(), invariants=InvariantsSettings(look_back_s=0))
    async with opened(Hiccup(), invariants=[never_counts_nine], settings=limits) as runtime:
        await runtime.publish([Opened("a"), Counted("a", 9)])
        await trio.sleep(0.5)
        await runtime.publish(Opened("b"))
        await runtime.drain()
        assert await named(runtime) == ["a never_counts_nine at 2"]
        watch = next(actor for actor in runtime.tree().children if actor.name == "invariants")
        assert watch.restarts == 1


async def test_a_watch_that_keeps_failing_is_given_up_alone(autojump_clock: trio.testing.MockClock) -> None:
    journal = Stuck()
    journal.error = JournalError("the disk is on fire")
    async with opened(journal, invariants=[never_counts_nine]) as runtime:
        await runtime.publish([Opened("a"), Counted("a", 9)])
        await runtime.drain()
        watch = next(actor for actor in runtime.tree().children if actor.name == "invariants")
        assert (watch.state, watch.detail) == ("failed", "JournalError: the disk is on fire")
        await runtime.publish(Closed("a"))
        assert await runtime.flow(Tally, "a").wait_ended(1) == "closed"


async def test_a_history_that_is_too_long_is_not_judged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    limits = attrs.evolve(settings(), invariants=InvariantsSettings(turns_per_flow_max=3))
    async with opened(MemoryJournal(), invariants=[never_counts_nine], settings=limits) as runtime:
        await runtime.publish([Opened("a"), *[Counted("a", number) for number in range(10)]])
        await runtime.publish(Counted("a", 11))
        await runtime.drain()
        assert await alerts(runtime) == []
        assert runtime.counters()["procession_histories_not_judged"] == 1
    (said,) = [record.message for record in caplog.records if record.name == "procession.invariants"]
    assert "the history of tally/a is 11, at most 3 is allowed" in said
    assert "raise invariants.turns_per_flow_max" in said


class Wave(Command, name="hand.wave"):
    key: str


class Waver(ProcessManager, name="waver", key="key"):
    @starts
    def wave(self, opened: Opened) -> Effects:
        yield Wave(opened.key)

    @on
    def counted(self, counted: Counted) -> None: ...


class Calm(ProcessManager, name="waver", key="key"):
    @starts
    def wave(self, opened: Opened) -> None: ...

    @on
    def counted(self, counted: Counted) -> None: ...


class Hand(Gateway, name="hand"):
    async def wave(self, command: Wave) -> None: ...


@invariant(Calm)
def never(history: History) -> bool:
    return False


async def test_a_history_that_can_not_be_read_is_not_judged_and_counted(store: Store) -> None:
    async with opened(await store.open(), processes=[Waver], gateways=[Hand()]) as runtime:
        await runtime.publish(Opened("a"))
        await runtime.drain()
    async with opened(await store.open(), processes=[Calm], gateways=[], invariants=[never]) as runtime:
        await runtime.publish([Counted("a", 1), Opened("b")])
        await runtime.drain()
        assert await named(runtime) == ["b never at 1"]
        assert runtime.counters()["procession_histories_not_judged"] == 1


async def test_what_operators_do_is_no_turn_and_leaves_no_gap(store: Store) -> None:
    async with opened(await store.open(), processes=[BrokenTally], invariants=[counts_in_order]) as runtime:
        await runtime.publish([Opened("a"), Counted("a", 2), Broken("a", 1)])
        await runtime.drain()
        await runtime.flow("tally", "a").skip(by="ann", why="a test")
        await runtime.publish(Counted("a", 1))
        await runtime.drain()
        assert [alert.invariant for alert in await alerts(runtime)] == ["counts_in_order"]


def kept(seen: dict[int, History]) -> Invariant:
    """An invariant that keeps what it was shown."""

    def keep(history: History) -> bool:
        seen[len(history.turns)] = history
        return True

    return invariant(Tally)(keep)


STORY: list[Event] = [
    Opened("a"),
    Asked("a", (1, 2)),
    Armed("a", "tea", 3600),
    Armed("a", "egg", 60),
    Disarmed("a", "egg"),
    Noted("a", 2),
    Done("a", 7),
    Closed("a", "fine"),
]


async def test_a_history_read_from_the_journal_is_the_one_that_was_lived(store: Store) -> None:
    lived: dict[int, History] = {}
    async with opened(await store.open(), invariants=[kept(lived)]) as runtime:
        for event in STORY:
            await runtime.publish(event)
            await runtime.drain()
    read: dict[int, History] = {}
    async with opened(await store.open(), invariants=[kept(read)]) as runtime:
        await runtime.drain()
    assert len(lived) == 12
    assert read == {12: lived[12]}
    assert lived[12].outcome == "fine"
    assert [noted.depth for noted in read[12].recorded(Noted)] == [1, 0]


class Heard(Event, name="kit.heard"):
    key: str


class Unheard(Event, name="kit.unheard"):
    key: str


class Recorder(ProcessManager, name="recorder", key="key"):
    @starts
    def opened(self, opened: Opened) -> Effects:
        yield record(Unheard(opened.key))
        yield record(Heard(opened.key))
        yield record(Heard(opened.key))

    @on
    def heard(self, heard: Heard) -> None:
        raise ValueError("too loud")


async def test_facts_that_no_turn_handled_are_part_of_a_history_that_is_read(store: Store) -> None:
    seen: list[tuple[Event, ...]] = []

    @invariant(Recorder)
    def keeps(history: History) -> bool:
        seen.append(history.recorded(Heard, Unheard))
        return True

    for watched in ([keeps], [keeps]):
        async with opened(
            await store.open(), processes=[Recorder], gateways=[], events=[Unheard], invariants=watched
        ) as runtime:
            await runtime.publish(Opened("a"), id="1", source="test")
            await runtime.drain()
            assert (await runtime.flow(Recorder, "a").summary()).status == "quarantined"
    assert seen == [(Unheard("a"), Heard("a"), Heard("a"))] * 2


KEY = "a"
HISTORIES = histories(
    Tally,
    key=KEY,
    gateways=[Desk],
    given={
        Asked: events(Asked, numbers=st.lists(st.integers(0, 9), max_size=3).map(tuple)),
        Armed: events(Armed, timer=st.sampled_from(["tea", "egg"]), after_s=st.sampled_from([0.0, 5.0])),
        Disarmed: events(Disarmed, timer=st.sampled_from(["tea", "egg"])),
        Noted: events(Noted, depth=st.integers(0, 2)),
        Closed: events(Closed, outcome=st.sampled_from(["well", "badly"])),
    },
)


async def live(history: list[Event], limits: InvariantsSettings) -> tuple[dict[int, History], dict[int, History]]:
    """What an invariant is shown while this happens, and what it is shown at the next start."""
    journal, lived, read = MemoryJournal(), dict[int, History](), dict[int, History]()
    bounded = attrs.evolve(settings(), invariants=limits)
    async with opened(journal, invariants=[kept(lived)], settings=bounded) as runtime:
        for event in history:
            await runtime.publish(event)
        await trio.sleep(10)
        await runtime.drain()
    async with opened(journal.reopened(), invariants=[kept(read)], settings=bounded) as runtime:
        await runtime.drain()
    return lived, read


def run_live(history: list[Event], limits: InvariantsSettings) -> tuple[dict[int, History], dict[int, History]]:
    return trio.run(live, history, limits, clock=trio.testing.MockClock(autojump_threshold=0))


@hypothesis.settings(max_examples=10)
@hypothesis.given(HISTORIES)
def test_every_history_is_read_back_as_it_was_lived_and_judged_after_each_turn(history: list[Event]) -> None:
    lived, read = run_live(history, InvariantsSettings())
    assert list(lived) == list(range(1, len(lived) + 1))
    assert read == dict(list(lived.items())[-1:])


@hypothesis.settings(max_examples=10)
@hypothesis.given(HISTORIES)
def test_where_memory_keeps_next_to_nothing_the_same_histories_are_judged(history: list[Event]) -> None:
    lived, read = run_live(history, InvariantsSettings(turns_cached_max=1, flows_due_max=1))
    assert read == dict(list(lived.items())[-1:])
    whole = next(iter(read.values()), None)
    assert whole is None or all(seen.turns == whole.turns[:number] for number, seen in lived.items())


async def test_the_watch_stands_in_the_tree_where_there_is_one() -> None:
    async with opened(MemoryJournal(), invariants=[never_counts_nine]) as runtime:
        await runtime.publish(Opened("a"))
        await runtime.drain()
        assert [actor.state for actor in runtime.tree().children if actor.name == "invariants"] == ["running"]
    async with opened(MemoryJournal()) as runtime:
        assert [actor.name for actor in runtime.tree().children if actor.name == "invariants"] == []


async def test_show_tells_of_an_alert(tmp_path: Path) -> None:
    async with opened(await Store(tmp_path / "watched.db").open(), invariants=[never_counts_nine]) as runtime:
        await runtime.publish([Opened("a"), Counted("a", 9)])
    shown = run("show", "tally/a", "--journal", tmp_path / "watched.db", cwd=tmp_path).stdout.decode()
    assert re.search(
        r"3 .* procession.invariant_broken +tally.counted at 2\n"
        r' +\{"process":"tally","key":"a","invariant":"never_counts_nine",.*\n'
        r" +alert: an invariant of this flow is broken",
        shown,
    )


async def test_the_journal_agrees_with_itself_after_an_alert(tmp_path: Path) -> None:
    journal = await Store(tmp_path / "watched.db").open()
    async with opened(journal, invariants=[never_counts_nine]) as runtime:
        await runtime.publish([Opened("a"), Counted("a", 9)])
        await runtime.drain()
        assert await runtime.journal.verify() == []
