"""Aggregates in the long run: archiving, shutdown, operators, careful starts, purity, changed schemas."""

from __future__ import annotations

import builtins
import os
from datetime import timedelta
from pathlib import Path

import pytest
import trio

from procession import (
    Aggregate,
    Command,
    CommandGivenUp,
    Effects,
    Event,
    Gateway,
    ProcessManager,
    Refusal,
    Runtime,
    Settings,
    allows,
    decides,
    ends,
    open_runtime,
    starts,
)
from procession.errors import NotFound, SchemaChanged, UnknownInJournal, WiringError
from procession.journal.memory import MemoryJournal
from procession.laws.histories import LAWS, Past
from procession.send_errors import DecisionFailed
from procession.settings import JournalSettings, PuritySettings
from procession.testing.faults import FaultyJournal
from tests.engine.bank import (
    Account,
    Break,
    BreakRequested,
    Deposit,
    TooLittleMoney,
    Transfer,
    TransferRequested,
    Withdraw,
)

BY = {"by": "ann", "why": "a test"}


def breaches(journal: MemoryJournal) -> list[str]:
    return [breach for law in LAWS for breach in law(Past(journal.contents()))]


async def test_flows_are_archived_and_aggregates_stay(tmp_path: Path) -> None:
    path = tmp_path / "bank.db"
    async with open_runtime(path, processes=[Transfer], aggregates=[Account]) as runtime:
        await runtime.send(Deposit("a", 500), id="1", source="shop")
        await runtime.publish(TransferRequested("t", "a", "target", 300))
        await runtime.flow(Transfer, "t").wait_ended(5)
        await runtime.archive(older_than=timedelta(0), by="ann", why="a test")
        before = [recorded.event for recorded in await runtime.aggregate(Account, "a").events()]
    async with open_runtime(path, processes=[Transfer], aggregates=[Account]) as runtime:
        assert (await runtime.send(Withdraw("a", 201))).refusal == TooLittleMoney(1)
        assert (await runtime.send(Deposit("a", 500), id="1", source="shop")).duplicate
        assert [recorded.event for recorded in await runtime.aggregate(Account, "a").events()] == before
        assert await runtime.journal.verify() == []


class Mended(Account, name="account", key="account_id"):
    """What could not be decided now can."""

    @decides
    def breaks(self, command: Break) -> None: ...


class Patient(ProcessManager, name="patient", key="transfer_id"):
    """Does not handle that its command was given up."""

    @starts
    def ask(self, requested: BreakRequested) -> Effects:
        yield Break(requested.account_id, requested.transfer_id)


async def test_a_command_that_was_given_up_is_decided_once_it_is_sent_again() -> None:
    journal = MemoryJournal()
    async with open_runtime(journal, processes=[Patient], aggregates=[Account]) as runtime:
        await runtime.publish(BreakRequested("t", "a"))
        await runtime.drain()
        assert (await runtime.flow(Patient, "t").summary()).status == "quarantined"
        command = (await runtime.journal.commands(1, 0, 10))[0].row.id.hex()
    async with open_runtime(journal.reopened(), processes=[Patient], aggregates=[Mended]) as runtime:
        await runtime.flow(Patient, "t").retry_command(command, **BY)
        await runtime.drain()
        assert (await runtime.journal.commands(1, 0, 10))[0].row.state == "answered"
    assert breaches(journal) == []


async def test_operators_act_on_flows_and_not_on_aggregates() -> None:
    async with open_runtime(MemoryJournal(), aggregates=[Account]) as runtime:
        await runtime.send(Deposit("a", 500))
        with pytest.raises(NotFound, match=r"there is no process 'account'; it is an aggregate: `send` it commands"):
            runtime.flow("account", "a")


# Careful starts.


async def test_a_decision_of_which_the_process_dies_is_given_up_in_the_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Deadly(Account, name="account", key="account_id"):
        @allows("LAW03", reason="it counts, for the test")
        @allows("LAW04", reason="it is what is tested")
        @decides
        def breaks(self, command: Break) -> None:
            killed.append(command)
            journal.kill()

    class Asking(ProcessManager, name="asking", key="transfer_id"):
        @starts
        def ask(self, requested: BreakRequested) -> Effects:
            yield Break(requested.account_id, requested.transfer_id)

        @ends(outcome="given up")
        def lost(self, lost: CommandGivenUp[Break]) -> None: ...

    killed: list[Command] = []
    journal = FaultyJournal()
    settings = Settings(journal=JournalSettings(careful_after=2), purity=PuritySettings(guard="off"))
    outcomes: list[str] = []
    while not outcomes and len(killed) < 12:
        journal = FaultyJournal.of(journal.reopened())
        with trio.CancelScope() as process:
            journal.on_death = process.cancel
            async with open_runtime(journal, processes=[Asking], aggregates=[Deadly], settings=settings) as runtime:
                await runtime.publish(BreakRequested("t", "a"), id="1", source="s")
                outcomes.append(await runtime.flow(Asking, "t").wait_ended(60))
    assert outcomes == ["given up"]
    assert 2 <= len(killed) <= 10
    assert breaches(journal) == []


class Fetch(Command, name="bank.fetch"):
    transfer_id: str


class Fetched(Event, name="bank.fetched"):
    transfer_id: str


class FetchRequested(Event, name="bank.fetch_requested"):
    transfer_id: str


class Fetching(ProcessManager, name="fetching", key="transfer_id"):
    @starts
    def ask(self, requested: FetchRequested) -> Effects:
        yield Fetch(requested.transfer_id)

    @ends(outcome="fetched")
    def fetched(self, fetched: Fetched) -> None: ...


class Runner(Gateway, name="runner"):
    """Takes longer than a process lives that a decision kills."""

    async def fetch(self, command: Fetch) -> Fetched:
        await trio.sleep(3)
        return Fetched(command.transfer_id)


async def test_a_command_beside_a_decision_that_kills_the_process_is_not_blamed_with_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Deadly(Account, name="account", key="account_id"):
        @allows("LAW03", reason="it stands for code that kills the process")
        @allows("LAW04", reason="as above")
        @decides
        def breaks(self, command: Break) -> None:
            journal.kill()

    class Asking(ProcessManager, name="asking", key="transfer_id"):
        @starts
        def ask(self, requested: BreakRequested) -> Effects:
            yield Break(requested.account_id, requested.transfer_id)

        @ends(outcome="given up")
        def lost(self, lost: CommandGivenUp[Break]) -> None: ...

    journal = FaultyJournal()
    settings = Settings(journal=JournalSettings(careful_after=2), purity=PuritySettings(guard="off"))
    outcomes: list[str] = []
    for _ in range(12):
        journal = FaultyJournal.of(journal.reopened())
        with trio.CancelScope() as process:
            journal.on_death = process.cancel
            async with open_runtime(
                journal, processes=[Asking, Fetching], gateways=[Runner()], aggregates=[Deadly], settings=settings
            ) as runtime:
                await runtime.publish(FetchRequested("f"), id="1", source="s")
                await runtime.publish(BreakRequested("t", "a"), id="2", source="s")
                outcomes.append(await runtime.flow(Asking, "t").wait_ended(60))
                outcomes.append(await runtime.flow(Fetching, "f").wait_ended(60))
                break
    assert outcomes == ["given up", "fetched"]


# Purity.


class Sly(Aggregate, name="sly", key="account_id"):
    """Does work by a name that it puts together, so that nobody sees it who only reads."""

    @decides
    def deposit(self, command: Deposit) -> None:
        getattr(builtins, "".join(WORDS))(os.devnull, encoding="utf-8").close()


WORDS = ("op", "en")


async def test_the_guard_finds_work_in_a_decision() -> None:
    for guard, found in (("report", 1), ("raise", 1)):
        settings = Settings(purity=PuritySettings(guard="raise" if guard == "raise" else "report"))
        async with open_runtime(MemoryJournal(), aggregates=[Sly], settings=settings) as runtime:
            if guard == "raise":
                with pytest.raises(DecisionFailed, match=r"Sly.deposit called open"):
                    await runtime.send(Deposit("a", 1))
            else:
                await runtime.send(Deposit("a", 1))
            assert runtime.counters()["procession_turns_impure"] == found


async def test_the_runtime_can_not_be_called_from_a_decision() -> None:
    runtimes: list[Runtime] = []

    class Asker(Aggregate, name="asker", key="account_id"):
        @decides
        def deposit(self, command: Deposit) -> None:
            runtimes[0].send(command).send(None)

    async with open_runtime(MemoryJournal(), aggregates=[Asker]) as runtime:
        runtimes.append(runtime)
        with pytest.raises(DecisionFailed, match=r"Asker.deposit called send in a turn"):
            await runtime.send(Deposit("a", 1))


# What a journal holds, and what is given.


async def test_a_refusal_of_another_shape_is_refused_with_the_difference() -> None:
    def shop(field: str) -> type[Aggregate]:
        class Missing(Refusal, name="life.missing"):
            __annotations__ = {field: int}

        class Shop(Aggregate, name="shop", key="account_id"):
            @decides
            def deposit(self, command: Deposit) -> Missing: ...  # type: ignore[empty-body]  # never called

        return Shop

    journal = MemoryJournal()
    async with open_runtime(journal, aggregates=[shop("cents")]):
        pass
    with pytest.raises(SchemaChanged, match=r"'life.missing' version 1 with another shape"):
        async with open_runtime(journal.reopened(), aggregates=[shop("euros")]):
            pass


async def test_an_aggregate_that_the_journal_knows_must_be_given() -> None:
    journal = MemoryJournal()
    async with open_runtime(journal, aggregates=[Account]) as runtime:
        await runtime.send(Deposit("a", 1))
    with pytest.raises(UnknownInJournal, match="'account'"):
        async with open_runtime(journal.reopened()):
            pass


@pytest.mark.parametrize("given", [(Account, Account), (Account, Mended)])
async def test_two_receivers_of_one_command_are_refused(given: tuple[type[Aggregate], ...]) -> None:
    with pytest.raises(WiringError, match="two aggregate classes have the stored name 'account'"):
        async with open_runtime(MemoryJournal(), aggregates=given):
            pass


async def test_a_command_without_a_receiver_is_refused() -> None:
    with pytest.raises(
        WiringError,
        match=r"Transfer.take sends Withdraw, which no gateway takes; give .* or the aggregate that decides it",
    ):
        async with open_runtime(MemoryJournal(), processes=[Transfer]):
            pass
