"""Why: the chain of causes of what a flow asked for or got, down to the first event."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import trio
from trio.testing import MockClock

from procession import Effects, ProcessManager, Why, on, open_runtime, starts
from procession.engine.clock import TrioClock
from procession.errors import NotFound
from procession.journal.memory import MemoryJournal
from procession.journal.rows import Commit, StepRow
from procession.reading.causes import read_why, stored_names
from procession.reading.why import Cause
from procession.testing.journal_rows import event, flow, id_of, timer_effect
from tests.reading.repair import (
    SETTINGS,
    FetchPart,
    PartCounted,
    PartFetched,
    Repair,
    RepairAsked,
    RepairOverdue,
    Store,
    TellOwner,
    journal_of,
    opened,
    registry_of,
)

BELL = RepairAsked("b", ("bell",))


def links(why: Why) -> list[tuple[str, str]]:
    return [(cause.kind, cause.name) for cause in why.causes]


async def test_a_fact_goes_back_to_the_answer_the_command_and_the_first_event(autojump_clock: MockClock) -> None:
    why = await read_why(await journal_of(BELL), "repair", "b", "repair.part_counted")
    assert links(why) == [
        ("event", "repair.asked"),
        ("step", "order_parts"),
        ("command", "store.fetch"),
        ("event", "repair.part_fetched"),
        ("step", "fetched"),
        ("event", "repair.part_counted"),
    ]
    assert why.complete


async def test_a_command_is_told_with_its_gateway_and_how_it_stands(autojump_clock: MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish(BELL, id="b/asked", source="shop")
        await runtime.flow(Repair, "b").wait_ended()
        why = await runtime.flow(Repair, "b").why(FetchPart)
    first, step, command = why.causes
    assert first.says == "repair.asked at 1, from outside: shop b/asked"
    assert first.data == {"bike": "b", "parts": ["bell"]}
    assert isinstance(first.at, datetime)
    assert first.at.tzinfo is UTC
    assert step.says == "repair/b order_parts, step 1"
    assert command.says == "command store.fetch to store: answered, 1 attempt"
    assert command.data == {"bike": "b", "part": "bell"}


async def test_what_a_deadline_led_to_goes_back_to_the_turn_that_armed_it(autojump_clock: MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish(RepairAsked("b", ("on its way",)))
        await trio.sleep(3601)
        why = await runtime.flow(Repair, "b").why(TellOwner)
    assert links(why) == [
        ("event", "repair.asked"),
        ("step", "order_parts"),
        ("timer", "repair.overdue"),
        ("event", "repair.overdue"),
        ("step", "remind"),
        ("command", "store.tell_owner"),
    ]


async def test_a_deadline_that_is_armed_can_be_asked_about(autojump_clock: MockClock) -> None:
    why = await read_why(await journal_of(RepairAsked("b", ("rare",))), "repair", "b", "repair.overdue")
    assert links(why)[-1] == ("timer", "repair.overdue")


async def test_the_latest_of_a_type_is_taken_and_each_has_an_id_and_a_position(autojump_clock: MockClock) -> None:
    journal = await journal_of(RepairAsked("b", ("wheel", "bell")))
    latest = await read_why(journal, "repair", "b", "repair.part_fetched")
    (first,) = [row for row in await journal.events(0, 9) if row.type == "repair.part_fetched"][:1]
    assert latest.causes[-1].position > first.position
    by_position = await read_why(journal, "repair", "b", first.position)
    by_id = await read_why(journal, "repair", "b", first.id.hex())
    assert by_position.causes == by_id.causes
    assert by_id.causes[-1].position == first.position


async def test_a_command_may_be_named_by_its_id_with_dashes_too(autojump_clock: MockClock) -> None:
    journal = await journal_of(BELL)
    (command,) = await journal.commands(1, 0, 9)
    identity = command.row.id.hex()
    dashed = "-".join((identity[:8], identity[8:12], identity[12:16], identity[16:20], identity[20:]))
    for named in (identity, dashed, dashed.upper()):
        assert links(await read_why(journal, "repair", "b", named))[-1] == ("command", "store.fetch")


class Owner(ProcessManager, name="owner", key="bike"):
    """Another process, which hears of the answers that a repair gets."""

    @starts
    def heard(self, fetched: PartFetched) -> Effects:
        yield TellOwner(fetched.bike)

    @on
    def counted(self, counted: PartCounted) -> None: ...


async def test_causes_are_followed_into_other_flows(autojump_clock: MockClock) -> None:
    async with open_runtime(
        MemoryJournal(), processes=[Repair, Owner], gateways=[Store()], settings=SETTINGS, clock=TrioClock()
    ) as runtime:
        await runtime.publish(BELL, id="b/asked", source="shop")
        await runtime.drain()
        why = await runtime.flow(Owner, "b").why(TellOwner)
    assert [(cause.kind, cause.flow) for cause in why.causes] == [
        ("event", "repair/b"),
        ("step", "repair/b"),
        ("command", "repair/b"),
        ("event", "owner/b"),
        ("step", "owner/b"),
        ("command", "owner/b"),
    ]
    assert why.causes[3].says == "repair.part_fetched at 2, answer to store.fetch of repair/b"


async def test_an_event_that_no_turn_handled_says_so(autojump_clock: MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish(PartFetched("b", "bell"))
        why = await runtime.flow(Repair, "b").why(PartFetched)
    assert [cause.says for cause in why.causes] == [
        "repair.part_fetched at 1, from outside, without an id; repair/b has not handled it: missing"
    ]


async def test_an_operators_act_is_a_first_cause(autojump_clock: MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish(RepairAsked("b", ("rare",)))
        await runtime.flow(Repair, "b").cancel(by="ann", why="sold the bike")
        why = await runtime.flow(Repair, "b").why("procession.cancel_requested")
    assert why.causes[-1].says == "procession.cancel_requested at 2, by ann: sold the bike"


async def test_what_is_not_there_is_refused_with_where_to_look(autojump_clock: MockClock) -> None:
    journal = await journal_of(BELL)
    with pytest.raises(NotFound, match="no flow 'repair/x'"):
        await read_why(journal, "repair", "x", "store.fetch")
    for what in ("store.tell_owner", 99, "f" * 32):
        with pytest.raises(NotFound, match=r"in flow repair/b .*procession show repair/b"):
            await read_why(journal, "repair", "b", what)


async def test_a_chain_reads_as_sentences(autojump_clock: MockClock) -> None:
    why = await read_why(await journal_of(BELL), "repair", "b", "store.fetch")
    assert str(why).splitlines() == [
        "why store.fetch of repair/b:",
        "    2023-11-14 22:13:20.000Z  repair.asked at 1, from outside, without an id",
        "                              → repair/b order_parts, step 1",
        "                              → command store.fetch to store: answered, 1 attempt",
    ]


async def test_a_cause_that_the_journal_does_not_tell_is_said_to_be_unknown() -> None:
    journal = MemoryJournal()
    lost = event(1)._replace(caused_by=id_of("lost"))
    await journal.commit(Commit([lost], [StepRow(1, 1, 1, "handled", "paid", None)], {1: flow(1, 1)}))
    why = await read_why(journal, "order", "k1", 1)
    assert [cause.kind for cause in why.causes] == ["unknown", "event"]
    assert id_of("lost").hex() in why.causes[0].says


async def test_a_chain_without_end_is_cut_and_says_so() -> None:
    journal = MemoryJournal()
    commit = Commit(flows={1: flow(1, 700)})
    for number in range(1, 701):
        cause = None if number == 1 else id_of("t", 1, number - 1)
        commit.events.append(event(number, type="order.overdue")._replace(caused_by=cause))
        armed = json.dumps([timer_effect(1, str(number), 5) | {"id": id_of("t", 1, number).hex()}])
        commit.steps.append(StepRow(1, number, number, "handled", "again", armed))
    await journal.commit(commit)
    why = await read_why(journal, "order", "k1", 700)
    assert not why.complete
    assert 1_000 <= len(why.causes) <= 1_003
    assert why.causes[-1].position == 700
    assert "those before are left out" in str(why)


def test_classes_are_known_by_their_stored_names() -> None:
    names = stored_names(registry_of())
    assert (names["FetchPart"], names["RepairOverdue"]) == ("store.fetch", "repair.overdue")
    assert RepairOverdue.__name__ in names


def test_a_cause_can_not_be_changed() -> None:
    cause = Cause("unknown", "x", "x", "", None, 0, None, None)
    with pytest.raises(AttributeError):
        cause.name = "y"  # type: ignore[misc]  # what is to be refused
