"""Aggregates: what they decide stands beside its command, once, whatever happens; a refusal stands nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from procession import (
    Aggregate,
    Command,
    Effects,
    Event,
    FlowSummary,
    ProcessionError,
    ProcessManager,
    Runtime,
    SendRefused,
    Settings,
    applies,
    decides,
    open_runtime,
    starts,
)
from procession.errors import (
    FlowQuarantined,
    IdReused,
    InvalidKey,
    InvalidPayload,
    NotFound,
    Overloaded,
    RuntimeClosed,
    WiringError,
)
from procession.journal.journal import Journal
from procession.journal.memory import MemoryJournal
from procession.journal.sqlite import open_sqlite
from procession.laws.commits import broken_commits
from procession.laws.histories import LAWS, Past
from procession.send_errors import AggregateSetAside, DecisionFailed
from procession.settings import AggregatesSettings, IntakeSettings
from procession.testing.faults import FaultyJournal
from tests.engine.bank import (
    Account,
    Break,
    Breaker,
    BreakRequested,
    Close,
    Deposit,
    Deposited,
    TooLittleMoney,
    Transfer,
    TransferRequested,
    Withdraw,
    Withdrawn,
)

TINY = Settings(
    aggregates=AggregatesSettings(cached_max=1, commands_loaded_max=1, snapshot_every_events=2),
    intake=IntakeSettings(events_max=1),
)


def bank(journal: Journal, settings: Settings | None = None) -> AbstractAsyncContextManager[Runtime]:
    return open_runtime(journal, processes=[Transfer, Breaker], aggregates=[Account], settings=settings)


def breaches(journal: MemoryJournal) -> list[str]:
    return [breach for law in LAWS for breach in law(Past(journal.contents()))]


async def events(runtime: Runtime, key: str) -> list[Event]:
    return [recorded.event for recorded in await runtime.aggregate(Account, key).events()]


Opened = Callable[[], AbstractAsyncContextManager[Runtime]]


on_both = pytest.mark.parametrize("again", ["memory", "sqlite"], indirect=True)


@pytest.fixture
def again(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """Opens a runtime on the same journal each time: in memory, unless a test asks for both."""
    memory, kind = MemoryJournal(), getattr(request, "param", "memory")

    @asynccontextmanager
    async def opened() -> AsyncIterator[Runtime]:
        journal = (
            memory.reopened()
            if kind == "memory"
            else await open_sqlite(str(tmp_path / "bank.db"), clock_us=lambda: 1_000_000)
        )
        async with bank(journal) as runtime:
            yield runtime

    return opened


# From outside.


@on_both
async def test_a_command_is_answered_with_its_events(again: Opened) -> None:
    async with again() as runtime:
        reply = await runtime.send(Deposit("a", 500), id="d-1", source="shop", timeout_s=5)
        assert (reply.events, reply.refusal, reply.duplicate) == ((Deposited("a", 500),), None, False)
        assert [recorded.position for recorded in await runtime.events()][-1] == reply.position


@on_both
async def test_a_refusal_is_an_answer_and_adds_nothing_to_the_stream(again: Opened) -> None:
    async with again() as runtime:
        await runtime.send(Deposit("a", 500))
        reply = await runtime.send(Withdraw("a", 700))
        assert (reply.events, reply.refusal) == ((), TooLittleMoney(200))
        assert await runtime.aggregate(Account, "a").version() == 1
        assert await events(runtime, "a") == [Deposited("a", 500)]


async def test_nothing_may_be_decided_too(again: Opened) -> None:
    async with again() as runtime:
        reply = await runtime.send(Close("a"))
        assert (reply.events, reply.refusal) == ((), None)
        assert await runtime.aggregate(Account, "a").version() == 0


@on_both
async def test_the_same_id_is_answered_as_it_was_the_first_time_also_after_a_restart(again: Opened) -> None:
    async with again() as runtime:
        first = [
            await runtime.send(Deposit("a", 500), id="1", source="shop"),
            await runtime.send(Withdraw("a", 700), id="2", source="shop"),
            await runtime.send(Close("b"), id="3", source="shop"),
        ]
    async with again() as runtime:
        await runtime.send(Deposit("a", 900))
        again_sent = [
            await runtime.send(Deposit("a", 500), id="1", source="shop"),
            await runtime.send(Withdraw("a", 700), id="2", source="shop"),
            await runtime.send(Close("b"), id="3", source="shop"),
        ]
        assert [(r.events, r.refusal, r.position) for r in again_sent] == [
            (r.events, r.refusal, r.position) for r in first
        ]
        assert [reply.duplicate for reply in again_sent] == [True, True, True]
        assert await events(runtime, "a") == [Deposited("a", 500), Deposited("a", 900)]


@on_both
async def test_the_same_id_with_another_command_is_refused(again: Opened) -> None:
    async with again() as runtime:
        await runtime.send(Deposit("a", 500), id="1", source="shop")
        await runtime.publish(TransferRequested("t", "a", "target", 1), id="2", source="shop")
        with pytest.raises(IdReused):
            await runtime.send(Deposit("a", 501), id="1", source="shop")
        with pytest.raises(IdReused):
            await runtime.send(Deposit("a", 1), id="2", source="shop")
        with pytest.raises(IdReused):
            await runtime.publish(TransferRequested("t", "a", "target", 1), id="1", source="shop")


@on_both
async def test_sent_many_times_at_once_it_is_decided_once(again: Opened) -> None:
    async with again() as runtime:
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(partial(runtime.send, Deposit("a", 500), id="1", source="shop"))
        assert await events(runtime, "a") == [Deposited("a", 500)]


async def test_decisions_of_different_keys_share_a_commit() -> None:
    journal = FaultyJournal()
    async with bank(journal) as runtime:
        before = len(journal.written)
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(runtime.send, Deposit(f"{number}", 1))
        assert len(journal.written) - before < 10


async def test_the_answer_comes_when_it_is_durable(autojump_clock: trio.testing.MockClock) -> None:
    journal = FaultyJournal()
    async with bank(journal) as runtime:
        journal.commit_s = 3
        with pytest.raises(TimeoutError, match="Deposit was not answered within 2 s; send it again under the same id"):
            await runtime.send(Deposit("a", 5), id="1", source="shop", timeout_s=2)
        reply = await runtime.send(Deposit("a", 5), id="1", source="shop")
        assert reply.duplicate
        assert await events(runtime, "a") == [Deposited("a", 5)]


# From flows.


@on_both
async def test_a_flow_is_fed_what_was_decided(again: Opened) -> None:
    async with again() as runtime:
        await runtime.send(Deposit("a", 500))
        await runtime.publish(TransferRequested("t", "a", "target", 300))
        assert await runtime.flow(Transfer, "t").wait_ended(5) == "completed"
        assert await events(runtime, "a") == [Deposited("a", 500), Withdrawn("a", 300, "t")]
        assert await events(runtime, "target") == [Deposited("target", 300, "t")]


@on_both
async def test_a_flow_is_told_that_it_was_refused_and_the_stream_is_as_it_was(again: Opened) -> None:
    async with again() as runtime:
        await runtime.publish(TransferRequested("t", "a", "target", 300))
        assert await runtime.flow(Transfer, "t").wait_ended(5) == "refused"
        assert await runtime.aggregate(Account, "a").version() == 0


async def test_a_flow_that_asks_and_its_answer_share_a_commit() -> None:
    journal = FaultyJournal()
    async with bank(journal) as runtime:
        await runtime.send(Deposit("a", 500))
        before = len(journal.written)
        await runtime.publish(TransferRequested("t", "a", "target", 300))
        await runtime.flow(Transfer, "t").wait_ended(5)
        assert len(journal.written) - before <= 4
    assert breaches(journal) == []
    assert list(broken_commits(journal.written)) == []


async def test_a_refusal_that_no_handler_answers_sets_the_flow_aside() -> None:
    class Careless(ProcessManager, name="careless", key="transfer_id"):
        @starts
        def take(self, requested: TransferRequested) -> Effects:
            yield Withdraw(requested.source, requested.amount_cents, requested.transfer_id)

    async with open_runtime(MemoryJournal(), processes=[Careless], aggregates=[Account]) as runtime:
        await runtime.publish(TransferRequested("t", "a", "target", 300))
        found = r"account/a refused a command and no handler answers: TooLittleMoney\(missing_cents=300\)"
        with pytest.raises(FlowQuarantined, match=found):
            await runtime.flow(Careless, "t").wait_ended(5)


async def test_a_refusal_stands_in_the_history_of_the_flow_that_asked_only(again: Opened) -> None:
    async with again() as runtime:
        await runtime.publish(TransferRequested("t", "a", "target", 300))
        await runtime.flow(Transfer, "t").wait_ended(5)
        refused = (await runtime.events(types=["procession.command_refused"]))[0]
        assert refused.envelope.keys == (("transfer", "t"),)


# What fails.


async def test_a_decision_that_raises_is_tried_twice_and_then_told_to_its_sender(again: Opened) -> None:
    async with again() as runtime:
        await runtime.send(Deposit("a", 500))
        with pytest.raises(DecisionFailed, match=r"account/a can't decide Break: breaks: RuntimeError: a bug"):
            await runtime.send(Break("a"), id="1", source="shop")
        assert runtime.counters()["procession_decisions_failed"] == 2
        await runtime.send(Deposit("a", 1))
        assert await runtime.aggregate(Account, "a").version() == 2


async def test_a_flow_hears_that_its_command_could_not_be_decided(again: Opened) -> None:
    async with again() as runtime:
        await runtime.publish(BreakRequested("t", "a"))
        assert await runtime.flow(Breaker, "t").wait_ended(5) == "given up"


async def test_an_aggregate_whose_past_can_not_be_folded_is_set_aside_and_its_siblings_are_not() -> None:
    class Broken(Account, name="account", key="account_id"):
        @applies
        def deposited(self, deposited: Deposited) -> Broken:
            return self.evolve(balance_cents=self.balance_cents + 10_000 // deposited.amount_cents)

    journal = MemoryJournal()
    async with bank(journal) as runtime:
        await runtime.send(Deposit("a", 0))
        await runtime.send(Deposit("b", 1))
    async with open_runtime(journal.reopened(), processes=[Transfer, Breaker], aggregates=[Broken]) as runtime:
        with pytest.raises(AggregateSetAside, match=r"account/a is set aside: its past can't be folded: .*Division"):
            await runtime.send(Deposit("a", 1))
        await runtime.publish(BreakRequested("t", "a"))
        assert await runtime.flow(Breaker, "t").wait_ended(5) == "given up"
        await runtime.send(Deposit("b", 1))
        assert [row.key for row in await runtime.flows("account", status="quarantined")] == ["a"]
    async with bank(journal.reopened()) as runtime:
        await runtime.send(Deposit("a", 1))
        assert await runtime.flows("account", status="quarantined") == []
    assert breaches(journal) == []


# Bounds.


async def test_a_sender_that_may_not_wait_is_refused_where_the_intake_is_full(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = FaultyJournal(read_s=10)
    async with bank(journal, TINY) as runtime, trio.open_nursery() as nursery:
        for number in range(2):
            nursery.start_soon(partial(runtime.send, Deposit("a", 1), id=f"{number}"))
            await trio.sleep(1)
        with pytest.raises(Overloaded):
            await runtime.send(Deposit("a", 1), id="9", wait=False)


async def test_a_window_and_a_cache_of_one_decide_everything() -> None:
    journal = MemoryJournal()
    async with bank(journal, TINY) as runtime:
        for number in range(20):
            await runtime.send(Deposit(f"{number % 3}", 1000))
        for number in range(20):
            await runtime.publish(TransferRequested(f"{number}", f"{number % 3}", "target", 10))
        await runtime.drain()
        assert len(await events(runtime, "target")) == 20
        assert runtime.counters()["procession_aggregates_evicted"] > 0
    async with bank(journal.reopened(), TINY) as runtime:
        assert (await runtime.send(Withdraw("target", 201))).refusal == TooLittleMoney(1)
    assert breaches(journal) == []


# Crashes and failing commits.


@pytest.mark.parametrize("at", [sign * number for number in range(2, 8) for sign in (1, -1)])
async def test_a_crash_at_any_commit_decides_each_command_once(autojump_clock: trio.testing.MockClock, at: int) -> None:
    journal = FaultyJournal()
    with trio.CancelScope() as process:
        journal.dies_at, journal.on_death = at, process.cancel
        async with bank(journal) as runtime:
            await story(runtime)
    async with bank(journal.reopened()) as runtime:
        await story(runtime)
        assert await runtime.flow(Transfer, "t").wait_ended(5) == "completed"
        assert await events(runtime, "a") == [Deposited("a", 500), Withdrawn("a", 300, "t")]
        assert await events(runtime, "target") == [Deposited("target", 300, "t")]
    assert breaches(journal) == []


async def story(runtime: Runtime) -> None:
    await runtime.send(Deposit("a", 500), id="1", source="shop")
    await runtime.send(Withdraw("b", 1), id="2", source="shop")
    await runtime.publish(TransferRequested("t", "a", "target", 300), id="3", source="shop")
    await runtime.drain()


@pytest.mark.parametrize("fault", ["fail", "written", "reject"])
@pytest.mark.parametrize("at", range(1, 6))
async def test_whichever_commit_fails_each_command_is_decided_once(
    autojump_clock: trio.testing.MockClock, at: int, fault: str
) -> None:
    journal = FaultyJournal()
    async with bank(journal) as runtime:
        journal.count_anew({at: fault})  # type: ignore[dict-item]  # the parameters are its words
        await until_it_goes_well(lambda: runtime.send(Deposit("a", 500), id="1", source="shop"))
        await until_it_goes_well(lambda: runtime.publish(TransferRequested("t", "a", "target", 3), id="3", source="s"))
        assert await runtime.flow(Transfer, "t").wait_ended(60) == "completed"
        assert await events(runtime, "a") == [Deposited("a", 500), Withdrawn("a", 3, "t")]
    assert breaches(journal) == []


async def until_it_goes_well(act: Callable[[], object]) -> None:
    for _ in range(20):
        try:
            await act()  # type: ignore[misc]  # an awaitable of the runtime
        except ProcessionError:
            await trio.sleep(1)
        else:
            return
    raise AssertionError("it never went well")


# What is refused, in one sentence.


class Unheard(Command, name="bank.unheard"):
    account_id: str


async def test_what_can_not_be_decided_is_refused_in_one_sentence(again: Opened) -> None:
    async with again() as runtime:
        with pytest.raises(SendRefused, match=r"no aggregate decides Unheard .decided here: Break, Close, Deposit."):
            await runtime.send(Unheard("a"))
        with pytest.raises(InvalidKey, match=r"the key of 'account.deposit' for 'account' is empty"):
            await runtime.send(Deposit("", 1))
        with pytest.raises(InvalidPayload, match="amount_cents"):
            await runtime.send(Deposit("a", "1"))  # type: ignore[arg-type]  # what is to be refused
        with pytest.raises(NotFound, match="there is no aggregate 'safe'"):
            runtime.aggregate("safe", "a")
    with pytest.raises(RuntimeClosed):
        await runtime.send(Deposit("a", 1))


async def test_aggregates_are_told_apart_from_flows(again: Opened) -> None:
    async with again() as runtime:
        await runtime.send(Deposit("a", 500))
        await runtime.publish(TransferRequested("t", "a", "target", 300))
        await runtime.flow(Transfer, "t").wait_ended(5)
        assert [flow.name for flow in await runtime.flows()] == ["transfer/t"]
        assert sorted(map(name_of, await runtime.flows("account"))) == ["account/a", "account/target"]


def name_of(flow: FlowSummary) -> str:
    return flow.name


async def test_a_name_stays_that_of_an_aggregate() -> None:
    class Account2(Transfer, name="account", key="transfer_id"):
        pass

    journal = MemoryJournal()
    async with bank(journal):
        pass
    with pytest.raises(WiringError, match="'account' is an aggregate in the journal, and a process here"):
        async with open_runtime(journal.reopened(), processes=[Account2, Breaker], aggregates=[Other]):
            pass


class Other(Aggregate, name="other", key="account_id"):
    @decides
    def deposit(self, command: Deposit) -> None: ...

    @decides
    def withdraw(self, command: Withdraw) -> TooLittleMoney: ...  # type: ignore[empty-body]  # never called

    @decides
    def breaks(self, command: Break) -> None: ...
