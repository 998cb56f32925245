"""Rules 1, 5, 6, 8, 10, 11, 13, 14, 28: turns and the steps that they leave; flows in memory and out of it."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest
import trio

from procession import (
    Attempt,
    Effects,
    Envelope,
    Event,
    ProcessManager,
    Refused,
    after,
    cancel,
    ends,
    folds,
    on,
    record,
    starts,
)
from procession.engine.clock import SystemClock
from procession.engine.ids import Ids
from procession.errors import FlowQuarantined
from procession.journal.memory import MemoryJournal
from procession.journal.rows import DeliveryState
from procession.testing.faults import FaultyJournal
from tests.engine.tally import (
    TINY,
    Armed,
    Asked,
    Audit,
    Broken,
    BrokenTally,
    Closed,
    Counted,
    Desk,
    Done,
    Noted,
    Opened,
    Shared,
    Tally,
    Work,
    numbered,
    opened,
    reasons,
    settings,
    story,
)


async def test_the_quick_way_leaves_a_step_and_no_delivery(autojump_clock: trio.testing.MockClock) -> None:
    """Rule 1: event, step and flow row are one commit, and no delivery row is ever written."""
    journal = FaultyJournal()
    async with opened(journal) as runtime:
        written = len(journal.written)
        await runtime.publish(Opened("a"))
        (commit,) = journal.written[written:]
        assert (len(commit.events), len(commit.steps), len(commit.flows)) == (1, 1, 1)
        assert not commit.deliveries


async def test_every_commit_of_an_event_holds_its_step_or_its_delivery(autojump_clock: trio.testing.MockClock) -> None:
    """Rule 1, with every bound as low as it goes."""
    journal = FaultyJournal(commit_s=0.1)
    async with opened(journal, processes=[Tally, Audit], settings=TINY) as runtime:
        async with trio.open_nursery() as nursery:
            for number in range(30):
                nursery.start_soon(runtime.publish, [Opened(f"{number % 4}"), Shared(("0", "1", "2"), number)])
        await runtime.drain()
    for commit in journal.written:
        answered = {(step.flow, step.position) for step in commit.steps} | set(commit.deliveries)
        places = {position for _, position in answered} | {row.position for row in commit.unhandled}
        assert {event.position for event in commit.events} <= places


async def test_a_flow_follows_the_order_of_the_journal_through_a_mailbox_of_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with opened(FaultyJournal(commit_s=0.05), settings=TINY) as runtime:
        await runtime.publish(Opened("a"))
        async with trio.open_nursery() as nursery:
            for number in range(40):
                nursery.start_soon(runtime.publish, Counted("a", number))
        await runtime.drain()
        told = await story(runtime, "a")
        rows = await runtime.journal.events(1, 100)
        assert told[1:] == [f"counted {row.payload.partition('number')[2][2:-1]}" for row in rows]


async def test_events_that_waited_follow_the_start_before_anything_newer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Rule 8."""
    for limits in (settings(), TINY):
        async with opened(MemoryJournal(), settings=limits) as runtime:
            await runtime.publish([Counted("a", 1), Counted("a", 2)])
            await runtime.publish(Counted("b", 1))
            await runtime.publish([Counted("a", 3), Opened("a"), Counted("a", 4)])
            await runtime.drain()
            assert await story(runtime, "a") == ["opened", "counted 1", "counted 2", "counted 3", "counted 4"]


async def test_events_that_wait_are_stored_as_waiting(autojump_clock: trio.testing.MockClock) -> None:
    """Also those that came as a backlog."""
    async with opened(MemoryJournal(), settings=TINY) as runtime:
        await runtime.publish(numbered("a", range(5)))
        await runtime.drain()
        assert (await runtime.journal.counts()).deliveries == {"waiting": 5}


async def test_events_that_wait_survive_a_restart(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    async with opened(journal) as runtime:
        await runtime.publish(numbered("a", range(3)))
    async with opened(journal.reopened()) as runtime:
        await runtime.publish(Opened("a"))
        await runtime.drain()
        assert await story(runtime, "a") == ["opened", "counted 0", "counted 1", "counted 2"]


async def test_waiting_has_a_bound_and_beyond_it_is_shown(autojump_clock: trio.testing.MockClock) -> None:
    """Rule 28."""
    async with opened(MemoryJournal(), settings=settings(flows={"waiting_events_max": 2})) as runtime:
        await runtime.publish(numbered("a", range(4)))
        await runtime.drain()
        assert await reasons(runtime) == ["missing counted 2", "missing counted 3"]


async def test_a_start_never_starts_a_flow_again(autojump_clock: trio.testing.MockClock) -> None:
    """Rule 28: neither one that runs nor one that has ended."""
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish([Opened("a"), Opened("a"), Closed("a"), Opened("a")])
        await runtime.drain()
        assert await story(runtime, "a") == ["opened", "closed"]
        assert await reasons(runtime) == ["already_started opened", "already_started opened"]


async def test_an_ended_key_keeps_its_row_over_a_restart(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    async with opened(journal) as runtime:
        await runtime.publish([Opened("a"), Closed("a", "fine")])
    async with opened(journal.reopened(), settings=TINY) as runtime:
        await runtime.publish([Opened("a"), Counted("a", 1)])
        await runtime.drain()
        assert await reasons(runtime) == ["already_started opened", "late counted 1"]
        assert (await runtime.flow(Tally, "a").summary()).outcome == "fine"


@pytest.mark.parametrize(
    ("kind", "found"),
    [("record", "missing"), ("ignore", "ignored"), ("quarantine", "quarantined"), ("start", "active")],
)
async def test_what_an_event_finds_before_the_start_is_as_declared(
    autojump_clock: trio.testing.MockClock, kind: str, found: str
) -> None:
    async with opened(MemoryJournal(), processes=[policed(missing=kind)], gateways=[]) as runtime:
        await runtime.publish(Counted("a", 1))
        await runtime.drain()
        summaries = await runtime.flows()
        seen = [summary.status for summary in summaries] + [
            row.reason for row in await runtime.journal.unhandled(None, None, 0, 10)
        ]
        assert seen == [found]


@pytest.mark.parametrize(("kind", "found"), [("record", "late"), ("ignore", "ignored"), ("quarantine", "quarantined")])
async def test_what_an_event_finds_after_the_end_is_as_declared(
    autojump_clock: trio.testing.MockClock, kind: str, found: str
) -> None:
    async with opened(MemoryJournal(), processes=[policed(late=kind)], gateways=[]) as runtime:
        await runtime.publish([Opened("a"), Closed("a"), Counted("a", 1)])
        await runtime.drain()
        rows = [row.reason for row in await runtime.journal.unhandled(None, None, 0, 10)]
        assert [(await runtime.flow("policed", "a").summary()).status, *rows][-1] == found


async def test_an_answer_goes_to_the_flow_that_asked_and_by_key_to_other_processes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Rule 5."""
    async with opened(MemoryJournal(), processes=[Tally, Audit]) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (7,))])
        await runtime.drain()
        assert await story(runtime, "a") == ["opened", "asked", "done 7"]
        assert await story(runtime, "a", "audit") == ["opened", "done 7"]


async def test_a_deadline_goes_to_the_flow_that_armed_it(autojump_clock: trio.testing.MockClock) -> None:
    """Rule 5: whatever key it would have."""
    async with opened(MemoryJournal(), processes=[Elsewhere], gateways=[]) as runtime:
        await runtime.publish([Opened("a"), Opened("b")])
        await trio.sleep(20)
        assert await story(runtime, "a", "elsewhere") == ["opened", "counted 1"]
        assert await story(runtime, "b", "elsewhere") == ["opened", "counted 1"]


async def test_an_answer_without_a_key_in_another_process_is_unroutable_there(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Rule 2."""
    async with opened(MemoryJournal(), processes=[Tally, Fussy]) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (7,))])
        await runtime.drain()
        assert await story(runtime, "a") == ["opened", "asked", "done 7"]
        assert await reasons(runtime) == ["unroutable done 7"]


async def test_facts_are_folded_next_in_order(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish([Opened("a"), Noted("a", 3), Counted("a", 1)])
        await runtime.drain()
        assert await story(runtime, "a") == ["opened", "noted 3", "noted 2", "noted 1", "noted 0", "counted 1"]


async def test_facts_that_record_facts_for_ever_are_the_fault_of_their_flow(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish([Opened("a"), Noted("a", 1000), Opened("b")])
        await runtime.drain()
        statuses = {flow.key: flow.status for flow in await runtime.flows()}
        assert statuses == {"a": "quarantined", "b": "active"}


async def test_a_turn_that_raises_is_tried_once_more(autojump_clock: trio.testing.MockClock) -> None:
    """Rule 10."""
    async with opened(MemoryJournal(), processes=[BrokenTally]) as runtime:
        await runtime.publish([Opened("a"), Broken("a", 1)])
        await runtime.drain()
        assert runtime.counters()["procession_turns_failed"] == 2
        found = (await runtime.flow("tally", "a").summary()).reason or ""
        assert found.startswith("mended: ValueError: broken at 1 at tally.py")


async def test_a_flow_in_quarantine_keeps_what_follows_in_order(autojump_clock: trio.testing.MockClock) -> None:
    for limits in (settings(), TINY):
        journal = MemoryJournal()
        async with opened(journal, processes=[BrokenTally], settings=limits) as runtime:
            await runtime.publish([Opened("a"), Counted("a", 1), Broken("a", 2), Counted("a", 3)])
            await runtime.publish(Counted("a", 4))
            await runtime.drain()
            assert await story(runtime, "a") == ["opened", "counted 1", "act"]
            with pytest.raises(FlowQuarantined, match="broken at 2"):
                await runtime.flow("tally", "a").wait_ended()
        async with opened(journal.reopened(), settings=limits) as runtime:
            await runtime.flow(Tally, "a").release(by="ann", why="mended")
            await runtime.drain()
            told = await story(runtime, "a")
            assert told == ["opened", "counted 1", "act", "act", "broken 2", "counted 3", "counted 4"]


async def test_a_bad_deployment_pauses_its_process_and_not_the_others(autojump_clock: trio.testing.MockClock) -> None:
    """Rule 10."""
    journal, keys = MemoryJournal(), [str(number) for number in range(100)]
    async with opened(journal, processes=[BrokenTally, Audit]) as runtime:
        for key in keys:
            await runtime.publish([Opened(key), Broken(key, 1)])
        await runtime.publish(Counted("0", 1))
        await runtime.drain()
        quarantined = await runtime.flows("tally", status="quarantined")
        assert len(quarantined) == 20
        assert await story(runtime, "0", "audit") == ["opened", "counted 1"]
    async with opened(journal.reopened(), processes=[Tally, Audit], settings=TINY) as runtime:
        for flow in quarantined:
            await runtime.flow("tally", flow.key).release(by="ann", why="mended")
        await runtime.resume_process("tally", by="ann", why="mended")
        await runtime.drain()
        for key in keys:
            assert (await story(runtime, key))[-1 if key != "0" else -2] == "broken 1"


async def test_a_paused_process_goes_on_in_order_when_it_is_resumed(autojump_clock: trio.testing.MockClock) -> None:
    for limits in (settings(), TINY):
        async with opened(MemoryJournal(), processes=[BrokenTally], settings=limits) as runtime:
            await runtime.publish([event for n in range(30) for event in (Opened(f"{n}"), Broken(f"{n}", 1))])
            await runtime.drain()
            for number in range(5):
                await runtime.publish([Opened("fine"), Counted("fine", number)])
            await runtime.drain()
            assert await story(runtime, "fine") == []
            await runtime.resume_process("tally", by="ann", why="looked at it")
            await runtime.drain()
            assert await story(runtime, "fine") == ["opened", *(f"counted {n}" for n in range(5))]


async def test_a_flow_that_can_not_be_folded_is_set_aside_at_its_version(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Rule 11: its past can't be skipped; after a mend it goes on."""
    journal = MemoryJournal()
    async with opened(journal) as runtime:
        await runtime.publish([Opened("a"), Counted("a", 1)])
    async with opened(journal.reopened(), processes=[Unfoldable]) as runtime:
        await runtime.publish(Counted("a", 2))
        await runtime.drain()
        flow = await runtime.flow("tally", "a").summary()
        assert (flow.status, flow.version) == ("quarantined", 2)
        with pytest.raises(Exception, match="past can't be skipped"):
            await runtime.flow("tally", "a").skip(by="ann", why="get on")
        with pytest.raises(Exception, match="still can't be folded"):
            await runtime.flow("tally", "a").retry(by="ann", why="get on")
    async with opened(journal.reopened()) as runtime:
        await runtime.flow("tally", "a").retry(by="ann", why="mended")
        await runtime.drain()
        assert await story(runtime, "a") == ["opened", "counted 1", "act", "counted 2"]


async def test_effects_of_a_turn_are_bounded(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal(), settings=settings(flows={"effects_per_turn_max": 3})) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1, 2, 3, 4))])
        await runtime.drain()
        assert (await runtime.journal.counts()).commands == {}
        assert (await runtime.flow(Tally, "a").summary()).status == "quarantined"


async def test_a_flow_with_much_to_do_lets_others_run(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal(), settings=settings(flows={"awake_max": 2})) as runtime:
        await runtime.publish([Opened("a"), *numbered("a", range(900)), Opened("b")])
        await runtime.drain()
        assert await story(runtime, "b") == ["opened"]


async def test_a_turn_sees_an_envelope_without_a_position(autojump_clock: trio.testing.MockClock) -> None:
    """Rule 13."""
    fields = {field.name for field in attrs.fields(Envelope)}
    assert {"event_id", "source", "source_id", "type", "recorded_at", "causation_id"} <= fields
    assert not [field for field in fields if "position" in field]


async def test_command_ids_are_derived_from_the_event_and_the_place_of_the_effect(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Rule 14: positions and versions don't enter; other flows that the same event concerns get other ids."""
    async with opened(MemoryJournal(), processes=[Asking], gateways=[Desk()]) as runtime:
        await runtime.publish([Opened("a"), Opened("b"), Shared(("a", "b"), 1), Shared(("a",), 1)])
        await runtime.drain()
        commands = [command for flow in (1, 2) for command in await runtime.journal.commands(flow, 0, 10)]
        events = {row.position: row.id for row in await runtime.journal.events(0, 100)}
        derived = {
            command.row.id: Ids(SystemClock(), runtime.journal.id).command(
                events[command.row.position], command.process, command.key, command.row.idx
            )
            for command in commands
        }
        assert all(found == expected for found, expected in derived.items())
        assert len(derived) == len(commands) == 6


async def test_an_answer_and_the_end_of_its_command_and_its_turn_are_one_commit(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Rule 15."""
    journal = FaultyJournal()
    async with opened(journal) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1,))])
        await runtime.drain()
    (commit,) = [commit for commit in journal.written if commit.command_changes]
    assert [event.type for event in commit.events] == ["work.done"]
    assert [change.state for change in commit.command_changes] == ["answered"]
    assert [step.position for step in commit.steps] == [commit.events[0].position]


@pytest.mark.parametrize(
    "name", ["raises_the_unprintable", "raises_no_text", "yields_nonsense", "arms_no_text", "stops", "answers_nonsense"]
)
async def test_a_flow_that_misbehaves_hurts_nobody_else(autojump_clock: trio.testing.MockClock, name: str) -> None:
    """Whatever a handler does, it is the fault of its flow."""
    async with opened(MemoryJournal(), processes=[Rogue], gateways=[]) as runtime:
        await runtime.publish([Opened("a"), Misled("a", name), Opened("b"), Misled("b", "nothing")])
        await runtime.drain()
        statuses = {flow.key: flow.status for flow in await runtime.flows()}
        assert statuses == {"a": "quarantined", "b": "active"}
        assert runtime.tree().restarts == 0


async def test_a_fold_that_returns_nonsense_is_the_fault_of_its_flow(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal(), processes=[Rogue], gateways=[]) as runtime:
        await runtime.publish([Opened("a"), Counted("a", 1), Opened("b")])
        await runtime.drain()
        assert (await runtime.flow("rogue", "a").summary()).status == "quarantined"
        assert runtime.tree().restarts == 0


async def test_a_failure_event_leaves_the_state_as_it_was(autojump_clock: trio.testing.MockClock) -> None:
    async def declining(command: Work, attempt: Attempt) -> Done:
        if command.number == 1:
            raise Refused("no")
        return Done(command.key, command.number)

    desk = Desk(declining)
    async with opened(MemoryJournal(), gateways=[desk]) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (2,))])
        await runtime.drain()
        await runtime.publish(Asked("a", (3,)))
        await runtime.drain()
    assert [command.seen for command, _ in desk.calls] == [("opened",), ("opened", "done 2")]


async def test_snapshots_change_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """Rule 12: with one every other step and with none, over restarts, flows see the same."""
    found = []
    for every in (2, 1000):
        journal, desk = MemoryJournal(), Desk()
        limits = settings(flows={"snapshot_every_steps": every, "load_slice_steps": 2})
        for number in range(7):
            async with opened(journal, gateways=[desk], settings=limits) as runtime:
                await runtime.publish([Opened("a"), Counted("a", number), Asked("a", (number,))])
                await runtime.drain()
            journal = journal.reopened()
        found.append([command.seen for command, _ in desk.calls])
    assert found[0] == found[1]
    assert len(found[0][-1]) == 14


async def test_a_snapshot_of_other_code_is_thrown_away(autojump_clock: trio.testing.MockClock) -> None:
    """Rule 12."""
    journal, desk = MemoryJournal(), Desk()
    limits = settings(flows={"snapshot_every_steps": 2})
    async with opened(journal, gateways=[desk], settings=limits) as runtime:
        await runtime.publish([Opened("a"), *numbered("a", range(5))])
    async with opened(journal.reopened(), processes=[Shouting], gateways=[desk]) as runtime:
        await runtime.publish(Asked("a", (9,)))
        await runtime.drain()
    assert desk.calls[0][0].seen == ("opened", *(f"COUNTED {n}" for n in range(5)))


async def test_a_flow_that_waits_costs_no_memory(autojump_clock: trio.testing.MockClock) -> None:
    """Rule 7: it leaves when it is durable, and comes back whole."""
    async with opened(FaultyJournal(commit_s=0.01), settings=TINY) as runtime:
        for number in range(5):
            await runtime.publish([event for key in "abcdef" for event in (Opened(key), Counted(key, number))])
        await runtime.drain()
        for key in "abcdef":
            assert await story(runtime, key) == ["opened", *(f"counted {n}" for n in range(5))]
        assert runtime.counters()["procession_flows_evicted"] >= 5


async def test_a_flow_ends_with_its_events_still_coming(autojump_clock: trio.testing.MockClock) -> None:
    """Nothing is dropped: each event has a step or a record."""
    states: tuple[DeliveryState, ...] = ("pending", "waiting", "quarantined")
    async with opened(MemoryJournal(), settings=TINY) as runtime:
        await runtime.publish([Opened("a"), Armed("a", "tea", 1), *numbered("a", range(5)), Closed("a")])
        await runtime.publish(numbered("a", range(5, 10)))
        await runtime.drain()
        assert len(await story(runtime, "a")) == 8
        assert await reasons(runtime) == [f"late counted {n}" for n in range(5, 10)]
        assert await runtime.journal.deliveries(1, 0, 10, states) == []


def policed(missing: str = "record", late: str = "record") -> type[ProcessManager]:
    """A process with these policies."""

    class Policed(ProcessManager, name="policed", key="key", missing=missing, late=late):  # type: ignore[arg-type]  # words
        @starts
        def opened(self, opened: Opened) -> None: ...

        @on
        def counted(self, counted: Counted) -> None: ...

        @ends
        def closed(self, closed: Closed) -> None: ...

    return Policed


class Unfoldable(Tally, name="tally", key="key"):
    """Somebody broke a fold."""

    @folds
    def counted(self, counted: Counted) -> Unfoldable:
        raise ValueError("unfoldable")


class Shouting(Tally, name="tally", key="key"):
    """Somebody changed a fold."""

    @folds
    def counted(self, counted: Counted) -> Shouting:
        return self.evolve(seen=(*self.seen, f"COUNTED {counted.number}"))


class Elsewhere(ProcessManager, name="elsewhere", key="key"):
    """Arms a deadline that has another key."""

    @starts
    def opened(self, opened: Opened) -> Effects:
        yield after(timedelta(seconds=10), Counted("nobody", 1))

    @on
    def counted(self, counted: Counted) -> None: ...


def fussy_key(event: Opened | Done) -> str:
    return event.key if isinstance(event, Opened) else ""


class Fussy(ProcessManager, name="fussy", key=fussy_key):
    """Finds no key in an answer."""

    @starts
    def opened(self, opened: Opened) -> None: ...

    @on
    def done(self, done: Done) -> None: ...


class Asking(ProcessManager, name="asking", key="key"):
    """Asks for two things at once."""

    @starts
    def opened(self, opened: Opened) -> None: ...

    @on(key="keys")
    def shared(self, shared: Shared) -> Effects:
        yield Work("a", 1, ())
        yield Work("a", 2, ())


class Misled(Event, name="rogue.misled"):
    key: str
    how: str


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Rogue(ProcessManager, name="rogue", key="key"):
    """Does what no handler should."""

    @starts
    def opened(self, opened: Opened) -> None: ...

    @folds
    def fold(self, counted: Counted) -> Rogue:
        return Odd()  # type: ignore[return-value]  # that is the point

    @on
    def counted(self, counted: Counted) -> None: ...

    @on
    def misled(self, misled: Misled) -> Effects:
        match misled.how:
            case "raises_the_unprintable":
                raise UnprintableError
            case "raises_no_text":
                raise ValueError("\ud800")
            case "yields_nonsense":
                yield Odd()  # type: ignore[misc]  # that is the point
            case "arms_no_text":
                yield after(timedelta(seconds=1), misled, name="\ud800")
            case "stops":
                raise SystemExit(3)
            case "answers_nonsense":
                yield record(Closed("a", 5))  # type: ignore[arg-type]  # that is the point
        yield cancel("nothing")
