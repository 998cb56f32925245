"""Old events, wherever they come from, are lifted before anyone sees them; the journal keeps them as they came."""

from __future__ import annotations

import json
from datetime import timedelta

import hypothesis
import pytest
import trio
from hypothesis import strategies as st

from procession import Event, Gateway, ProcessManager, lifts, on, starts
from procession.engine.opening import Since
from procession.errors import InvalidPayload, LiftFailed, UnknownInJournal, WiringError
from procession.journal.memory import MemoryJournal
from procession.settings import FlowsSettings, Settings
from tests.engine.account import (
    BAD_CENTS,
    MENDED,
    Account,
    AuditAsked,
    Clerk,
    Credited,
    Froze,
    FrozeV1,
    Ledger,
    OldAccount,
    PaidV1,
    PaidV2,
    Pay,
    Report,
    Thawed,
    before,
    in_euros,
    key_of,
    renamed,
    seen_by,
    today,
    with_reason,
)

Clock = trio.testing.MockClock


async def history(*cents: int) -> MemoryJournal:
    """A journal of the old code, with one flow that lives."""
    journal = MemoryJournal()
    async with before(journal) as runtime:
        await runtime.publish([Thawed("a"), *(PaidV1("a", amount) for amount in cents)])
        await runtime.drain()
    return journal.reopened()


async def test_a_live_flow_is_folded_from_what_its_old_events_are_lifted_to(autojump_clock: Clock) -> None:
    clerk = Clerk()
    async with today(await history(1, 2), clerk) as runtime:
        await runtime.publish(Credited("a", 3, "CHF"))
        assert await seen_by(runtime, clerk, "a") == ("1 EUR", "2 EUR", "3 CHF")


async def test_an_older_producer_is_understood_in_each_of_its_versions(autojump_clock: Clock) -> None:
    clerk = Clerk()
    async with today(await history(), clerk) as runtime:
        await runtime.publish([PaidV1("a", 1), PaidV2("a", 2, "USD"), Credited("a", 3, "CHF")])
        assert await seen_by(runtime, clerk, "a") == ("1 EUR", "2 USD", "3 CHF")


async def test_the_journal_keeps_an_old_event_as_it_came(autojump_clock: Clock) -> None:
    async with today(await history()) as runtime:
        position = await runtime.publish(PaidV1("a", 1), id="1", source="till")
        again = await runtime.publish(PaidV1("a", 1), id="1", source="till")
        (row,) = await runtime.journal.events(position - 1, 1)
        assert again.duplicate
        assert (row.type, row.version, json.loads(row.payload)) == ("account.paid", 1, {"key": "a", "cents": 1})
        assert json.loads(row.keys) == {"account": ["a"]}


async def test_callers_see_the_newest_type_and_the_envelope_what_came(autojump_clock: Clock) -> None:
    async with today(await history(1)) as runtime:
        recorded = (await runtime.events(1, types=["account.paid"]))[0]
        assert recorded.event == Credited("a", 1, "EUR")
        assert (recorded.envelope.type, recorded.envelope.version) == ("account.paid", 1)


async def test_events_that_wait_for_the_start_of_their_flow_are_lifted(autojump_clock: Clock) -> None:
    journal, clerk = MemoryJournal(), Clerk()
    async with before(journal) as runtime:
        await runtime.publish(PaidV1("b", 5))
        await runtime.drain()
    async with today(journal.reopened(), clerk) as runtime:
        await runtime.publish(Thawed("b"))
        await runtime.drain()
        assert await seen_by(runtime, clerk, "b") == ("8 EUR", "5 EUR", "7 EUR")


async def test_answers_and_recorded_facts_of_an_old_type_are_lifted(autojump_clock: Clock) -> None:
    clerk = Clerk()
    async with today(MemoryJournal(), clerk, processes=[Account, Ledger], since={}) as runtime:
        await runtime.publish(Thawed("c"))
        await runtime.drain()
        assert await seen_by(runtime, clerk, "c") == ("8 EUR", "7 EUR")
        assert clerk.reports[0].seen == clerk.reports[1].seen, "the other process got them by their keys"


async def test_a_deadline_that_was_armed_with_an_old_event_fires_lifted(autojump_clock: Clock) -> None:
    clerk = Clerk()
    async with today(await history(), clerk) as runtime:
        await trio.sleep(timedelta(days=3).total_seconds())
        assert await seen_by(runtime, clerk, "a") == ("1 EUR", "frozen unknown")
        types = [recorded.envelope.type for recorded in await runtime.events(1)]
        assert types == ["account.paid", "account.froze", "account.audit_asked"]


async def test_a_deadline_that_was_armed_under_an_older_name_is_cancelled_by_the_newer(autojump_clock: Clock) -> None:
    clerk = Clerk()
    async with today(await history(), clerk) as runtime:
        await runtime.publish(Credited("a", -1, "EUR"))
        await trio.sleep(timedelta(days=3).total_seconds())
        assert await seen_by(runtime, clerk, "a") == ("-1 EUR", "1 EUR")


async def test_a_deadline_that_was_armed_under_an_older_name_is_replaced_by_the_newer(autojump_clock: Clock) -> None:
    clerk = Clerk()
    async with today(await history(), clerk) as runtime:
        await runtime.publish(Credited("a", -2, "EUR"))
        await trio.sleep(timedelta(days=6).total_seconds())
        assert await seen_by(runtime, clerk, "a") == ("-2 EUR", "1 EUR", "frozen later")


async def test_a_flow_may_arm_a_deadline_of_an_old_type(autojump_clock: Clock) -> None:
    clerk = Clerk()
    async with today(MemoryJournal(), clerk, since={}) as runtime:
        await runtime.publish([Thawed("c"), Credited("c", -3, "EUR")])
        await trio.sleep(timedelta(hours=2).total_seconds())
        assert (await seen_by(runtime, clerk, "c"))[-1] == "30 EUR"


async def test_a_process_that_is_new_takes_up_history_lifted(autojump_clock: Clock) -> None:
    clerk = Clerk()
    since: dict[str, Since] = {"account": "now", "ledger": 0}
    async with today(await history(1, 2), clerk, processes=[Account, Ledger], since=since) as runtime:
        await runtime.drain()
        await seen_by(runtime, clerk, "a")
        assert [report.seen for report in clerk.reports] == [("1 EUR", "2 EUR"), ("1 EUR", "2 EUR")]


class Newcomer(ProcessManager, name="newcomer", key="key"):
    @on(missing="start")
    def paid(self, paid: PaidV2) -> None: ...


async def test_history_of_a_version_that_is_not_lifted_does_not_concern_the_newer(autojump_clock: Clock) -> None:
    since: dict[str, Since] = {"newcomer": 0}
    async with today(await history(1), processes=[OldAccount, Newcomer], lifts=(), since=since) as runtime:
        await runtime.drain()
        assert await runtime.flows("newcomer") == []
        assert await runtime.journal.unhandled("newcomer", None, 0, 9) == []


async def test_a_new_stored_name_must_say_since_when(autojump_clock: Clock) -> None:
    with pytest.raises(WiringError, match=r"never concerned by account\.credited, account\.frozen"):
        async with today(await history(1), since={}):
            pass


class Plain(ProcessManager, name="account", key="key"):
    """The next version under the same name needs no `since`."""

    @starts
    def open(self, thawed: Thawed) -> None: ...

    @on
    def paid(self, paid: PaidV2) -> None: ...

    @on
    def freeze(self, froze: FrozeV1) -> None: ...

    @on
    def report(self, asked: AuditAsked) -> None: ...


async def test_a_new_version_under_the_same_name_concerns_as_the_old_did(autojump_clock: Clock) -> None:
    async with today(await history(1), processes=[Plain], lifts=[in_euros], since={}) as runtime:
        await runtime.publish(PaidV1("a", 2))
        await runtime.drain()
        assert [row.reason for row in await runtime.journal.unhandled(None, None, 0, 9)] == []


# Complete at start.


class Modern(ProcessManager, name="account", key=key_of):
    """The code of today, which knows nothing of the past."""

    @starts
    def open(self, thawed: Thawed) -> None: ...

    @on
    def credit(self, event: Credited | Froze | AuditAsked) -> None: ...


class ModernClerk(Gateway, name="clerk"):
    async def report(self, command: Report) -> None: ...


@pytest.mark.parametrize(
    "missing",
    [
        "1 open deadlines of type 'account.froze' version 1",
        "1 open deadlines of type 'account.paid' version 1",
        "2 steps of live flows of type 'account.paid' version 1",
        "1 open deliveries of type 'account.paid' version 1",
        "or a lift from that event type",
    ],
)
async def test_an_old_type_that_nothing_lifts_is_refused_with_its_count(missing: str, autojump_clock: Clock) -> None:
    journal = await history(1, 2)
    async with before(journal) as runtime:
        await runtime.publish(PaidV1("b", 1))
        await runtime.drain()
    with pytest.raises(UnknownInJournal) as refused:
        async with today(journal.reopened(), ModernClerk(), processes=[Modern], lifts=()):
            pass
    assert missing in str(refused.value)


async def test_chains_of_lifts_make_a_journal_of_old_types_complete(autojump_clock: Clock) -> None:
    async with today(await history(1, 2), ModernClerk(), processes=[Modern]) as runtime:
        assert [flow.version for flow in await runtime.flows()] == [3]


# Lifts that fail.


async def test_a_lift_that_raises_at_publish_refuses_the_event(autojump_clock: Clock) -> None:
    async with today(await history()) as runtime:
        last = (await runtime.events())[-1].position
        with pytest.raises(InvalidPayload, match=r"no such amount at account\.py") as refused:
            await runtime.publish([PaidV1("a", 1), PaidV1("a", BAD_CENTS)])
        assert isinstance(refused.value, LiftFailed)
        assert refused.value.lift == "in_euros"
        assert (await runtime.events())[-1].position == last, "nothing was written"


async def test_a_flow_whose_past_cannot_be_lifted_is_set_aside_and_no_other(autojump_clock: Clock) -> None:
    journal = MemoryJournal()
    async with before(journal) as runtime:
        await runtime.publish([Thawed("a"), PaidV1("a", BAD_CENTS), Thawed("b"), PaidV1("b", 1)])
        await runtime.drain()
    clerk = Clerk()
    async with today(journal.reopened(), clerk) as runtime:
        await runtime.publish(AuditAsked("a"))
        assert await seen_by(runtime, clerk, "b") == ("1 EUR",)
        (aside,) = await runtime.flows(status="quarantined")
        assert (aside.key, aside.version) == ("a", 2)
        assert "can't be lifted by in_euros" in (aside.reason or "")


async def test_a_mended_lift_releases_the_flow_with_its_events_in_order(autojump_clock: Clock) -> None:
    journal = await history(BAD_CENTS)
    async with today(journal) as runtime:
        await runtime.publish(Credited("a", 2, "EUR"))
        await runtime.drain()
    clerk = Clerk()
    async with today(journal.reopened(), clerk, lifts=MENDED) as runtime:
        await runtime.flow("account", "a").release(by="ann", why="mended")
        await runtime.drain()
        assert await seen_by(runtime, clerk, "a") == (f"{BAD_CENTS} EUR", "2 EUR")


async def test_a_stored_delivery_that_cannot_be_lifted_sets_its_flow_aside(autojump_clock: Clock) -> None:
    journal = MemoryJournal()
    async with before(journal) as runtime:
        await runtime.publish(PaidV1("b", BAD_CENTS))
        await runtime.drain()
    async with today(journal.reopened()) as runtime:
        await runtime.publish(Thawed("b"))
        await runtime.drain()
        (aside,) = await runtime.flows(status="quarantined")
        assert (aside.key, "no such amount" in (aside.reason or "")) == ("b", True)


class Spoilt(Clerk, name="clerk"):
    """Answers with what can't be lifted."""

    async def pay(self, command: Pay) -> PaidV1:
        return PaidV1(command.key, BAD_CENTS)


async def test_an_answer_that_cannot_be_lifted_is_a_wrong_return(autojump_clock: Clock) -> None:
    async with today(MemoryJournal(), Spoilt(), since={}) as runtime:
        await runtime.publish(Thawed("c"))
        await runtime.drain()
        (aside,) = await runtime.flows(status="quarantined")
        assert "can't be lifted by in_euros" in (aside.reason or "")
        assert runtime.counters()["procession_commands_given_up"] == 1


@lifts
def hopeless(old: FrozeV1) -> Froze:
    raise SystemExit


async def test_a_deadline_that_cannot_be_lifted_sets_its_flow_aside(autojump_clock: Clock) -> None:
    async with today(await history(), lifts=(in_euros, renamed, hopeless)) as runtime:
        await trio.sleep(timedelta(days=3).total_seconds())
        (aside,) = await runtime.flows(status="quarantined")
        assert "it raised SystemExit" in (aside.reason or "")


@lifts
def misfit(old: PaidV1) -> PaidV2:
    return PaidV2(old.key, old.cents, None)  # type: ignore[arg-type]  # what is to be refused


async def test_a_lift_that_makes_what_does_not_fit_its_type_is_refused(autojump_clock: Clock) -> None:
    async with today(await history(), lifts=(misfit, renamed, with_reason)) as runtime:
        with pytest.raises(LiftFailed, match="in what it made, currency is NoneType None, expected str"):
            await runtime.publish(PaidV1("a", 1))


async def test_another_lift_throws_the_snapshots_away(autojump_clock: Clock) -> None:
    """Rule 12."""

    @lifts
    def in_francs(old: PaidV1) -> PaidV2:
        return PaidV2(old.key, old.cents, "CHF")

    journal, often = await history(1), Settings(flows=FlowsSettings(snapshot_every_steps=1))
    async with today(journal, settings=often) as runtime:
        await runtime.publish(Credited("a", 2, "USD"))
        await runtime.drain()
    clerk = Clerk()
    async with today(journal.reopened(), clerk, lifts=(in_francs, renamed, with_reason)) as runtime:
        assert await seen_by(runtime, clerk, "a") == ("1 CHF", "2 USD")


# The law.


amounts = st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.integers(0, 12)), max_size=8)


@hypothesis.settings(max_examples=25)
@hypothesis.given(amounts)
def test_a_lifted_history_leads_to_what_the_new_history_leads_to(given: list[tuple[int, int]]) -> None:
    """Lifting commutes with replay."""
    versions = {1: lambda cents: PaidV1("a", cents), 2: lambda cents: PaidV2("a", cents, "EUR"), 3: newest}
    old: list[Event] = [versions[version](cents) for version, cents in given]
    new: list[Event] = [newest(cents) for _, cents in given]
    assert trio.run(told_after, old, clock=trio.testing.MockClock(autojump_threshold=0)) == trio.run(
        told_after, new, clock=trio.testing.MockClock(autojump_threshold=0)
    )


def newest(cents: int) -> Event:
    return Credited("a", cents, "EUR")


async def told_after(events: list[Event]) -> tuple[str, ...]:
    """What a flow says that it saw, at once and after its past was folded again."""
    journal, clerk = MemoryJournal(), Clerk()
    async with today(journal, clerk, since={}) as runtime:
        await runtime.publish([Thawed("a"), *events])
        await runtime.drain()
    async with today(journal.reopened(), clerk) as runtime:
        return await seen_by(runtime, clerk, "a")
