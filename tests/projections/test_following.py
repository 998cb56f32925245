"""A projection follows the journal: caught up, then live, each event once, and in nobody's way."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
import trio

from flows.stock import ReceiveStock, StockItem, StockReceived
from procession import (
    Effects,
    ProcessManager,
    Projector,
    Runtime,
    Settings,
    Store,
    Wiring,
    allows,
    ends,
    on,
    open_runtime,
    projects,
    starts,
)
from procession.errors import RuntimeClosed
from procession.journal.memory import MemoryJournal
from procession.projection_errors import ProjectionBehind, ProjectionStopped
from procession.settings import ProjectorsSettings
from procession.testing import World
from tests.projections.purses import (
    BALANCES,
    EVENTS,
    QUICK,
    SMALL,
    TABLE,
    BellRang,
    Coins,
    CoinSaved,
    CoinSpent,
    PurseLost,
    Purses,
    coins,
    publish,
    purses_open,
)


async def test_you_read_what_you_wrote(tmp_path: Path) -> None:
    async with purses_open(tmp_path) as runtime:
        position = await publish(runtime, [CoinSaved("ann", 5), CoinSpent("ann", 2), CoinSaved("bob", 1)])
        found = await runtime.query(Purses, BALANCES, at_least=position)
    assert found == [("ann", 3, 1), ("bob", 1, 1)]


async def test_a_method_of_the_projector_answers_in_one_state(tmp_path: Path) -> None:
    async with purses_open(tmp_path) as runtime:
        position = await publish(runtime, [CoinSaved("ann", 5), CoinSaved("bob", 1)])
        assert await runtime.query(Purses, Purses.poorer_than, (5,), at_least=position) == ["bob"]


async def test_failure_events_are_projected_too(tmp_path: Path) -> None:
    async with purses_open(tmp_path) as runtime:
        position = await publish(runtime, [*coins(3), PurseLost("ann")])
        assert await runtime.query(Purses, BALANCES, at_least=position) == []


@pytest.mark.parametrize("projector", [Purses, Coins])
async def test_what_was_there_before_is_caught_up(tmp_path: Path, projector: type[Projector]) -> None:
    async with open_runtime(tmp_path / "purses.db", processes=[], events=EVENTS) as runtime:
        position = await publish(runtime, [*coins(7), BellRang(1), *coins(4, "bob")])
    async with purses_open(tmp_path, projector, settings=Settings(projectors=SMALL)) as runtime:
        name = projector.__projector__.name
        found = await runtime.query(projector, f"select purse from {name} order by 1", at_least=position)
        assert found == [("ann",), ("bob",)]
        assert runtime.projections()[0].events == 11


async def test_a_restart_counts_nothing_twice(tmp_path: Path) -> None:
    for number in range(1, 4):
        async with purses_open(tmp_path, Purses, Coins, settings=Settings(projectors=SMALL)) as runtime:
            position = await publish(runtime, coins(5))
            assert await runtime.query(Purses, BALANCES, at_least=position) == [("ann", 5 * number, 5 * number)]
            found = await runtime.query(Coins, "select saved, position from coins", at_least=position)
            assert found == [(5 * number, position)]


async def test_events_of_no_concern_move_it_all_the_same(tmp_path: Path) -> None:
    async with purses_open(tmp_path) as runtime:
        position = await publish(runtime, [BellRang(1), BellRang(2)])
        assert await runtime.query(Purses, BALANCES, at_least=position) == []
        assert runtime.projections()[0].lag_positions == 0


class Trip(ProcessManager, name="trip", key="purse"):
    @starts
    def begin(self, saved: CoinSaved) -> None: ...

    @ends
    def end(self, spent: CoinSpent) -> None: ...


@pytest.mark.parametrize("projector", [Purses, Coins])
async def test_archived_events_are_projected_as_well(tmp_path: Path, projector: type[Projector]) -> None:
    async with open_runtime(tmp_path / "purses.db", processes=[Trip]) as runtime:
        for purse in ("ann", "bob"):
            await publish(runtime, [CoinSaved(purse, 5)])
        await publish(runtime, [CoinSpent("ann", 1)])
        await runtime.drain()
        done = await runtime.archive(older_than=timedelta(0), by="ann", why="test")
        assert done.events > 0
        position = await publish(runtime, [CoinSaved("eve", 5)])
    async with open_runtime(tmp_path / "purses.db", processes=[Trip], projectors=[projector]) as runtime:
        name = projector.__projector__.name
        found = await runtime.query(projector, f"select purse from {name} order by 1", at_least=position)
        assert found == [("ann",), ("bob",), ("eve",)]


class Shelf(Projector, name="shelf", version=1):
    tables = ("create table shelf (item text primary key, free integer not null) strict",)

    @projects
    def received(self, received: StockReceived, store: Store) -> None:
        store.execute(
            "insert into shelf values (?, ?) on conflict (item) do update set free = free + excluded.free",
            (received.item_id, received.number),
        )


async def test_what_an_aggregate_decided_is_read_at_its_position_and_a_refusal_adds_nothing(tmp_path: Path) -> None:
    async with open_runtime(tmp_path / "stock.db", aggregates=[StockItem], projectors=[Shelf]) as runtime:
        for _ in range(2):  # sent again it is decided, and counted, once
            reply = await runtime.send(ReceiveStock("book", 3), id="d-1", source="dock")
        refused = await runtime.send(ReceiveStock("book", 0))
        for position in (reply.position, refused.position):
            assert await runtime.query(Shelf, "select * from shelf", at_least=position) == [("book", 3)]


async def test_two_runtimes_in_one_process_keep_theirs_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    async with purses_open(tmp_path / "one") as one, purses_open(tmp_path / "two") as two:
        first, second = await publish(one, coins(1)), await publish(two, coins(2))
        assert await one.query(Purses, BALANCES, at_least=first) == [("ann", 1, 1)]
        assert await two.query(Purses, BALANCES, at_least=second) == [("ann", 2, 2)]


async def test_a_journal_in_memory_has_its_projections_there_too() -> None:
    before = set(threading.enumerate())
    async with open_runtime(MemoryJournal(), processes=[], events=EVENTS, projectors=[Purses]) as runtime:
        position = await publish(runtime, coins(3))
        assert await runtime.query(Purses, BALANCES, at_least=position) == [("ann", 3, 3)]
        assert runtime.projections()[0].path == ""
        assert set(threading.enumerate()) <= before  # threads of earlier tests may end meanwhile


async def test_a_world_has_projections(autojump_clock: trio.testing.MockClock) -> None:
    async with World(Wiring((Trip,), (), projectors=(Purses,))) as world:
        (position,) = await world.publish(CoinSaved("ann", 5))
        assert await world.runtime.query(Purses, BALANCES, at_least=position) == [("ann", 5, 1)]


# Failing.


class Picky(Projector, name="picky", version=1):
    """Fails at coins of 13 cents."""

    tables = (TABLE,)

    @projects
    def saved(self, saved: CoinSaved, store: Store) -> None:
        store.execute("insert into purses values (?, 1, 1) on conflict do update set coins = coins + 1", (saved.purse,))
        if saved.cents == 13:
            raise ValueError("thirteen")


async def test_a_projector_that_fails_stops_before_its_event_and_disturbs_nobody(tmp_path: Path) -> None:
    async with purses_open(tmp_path, Picky, Purses) as runtime:
        bad = await publish(runtime, [*coins(3), CoinSaved("ann", 13)])
        position = await publish(runtime, coins(2))
        with pytest.raises(ProjectionStopped, match=r"Picky\.saved of projector picky failed") as stopped:
            await runtime.query(Picky, BALANCES, at_least=position)
        assert await runtime.query(Picky, BALANCES) == [("ann", 1, 3)]
        assert await runtime.query(Purses, "select coins from purses", at_least=position) == [(6,)]
        info = runtime.projections()[0]
        (shown, _) = runtime.tree().children[-1].children
    assert stopped.value.position == bad - 1
    assert (info.state, info.position, info.lag_positions, info.restarts) == ("stopped", bad - 1, 3, 2)
    assert info.lag_s > 0
    assert (shown.name, shown.state) == ("picky", "failed")
    assert f"stopped at position {bad - 1}, 3 positions and" in shown.detail
    assert "ValueError: thirteen at test_following.py" in shown.detail


async def test_mended_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    async with purses_open(tmp_path, Picky) as runtime:
        position = await publish(runtime, [*coins(3), CoinSaved("ann", 13), *coins(1)])
        with pytest.raises(ProjectionStopped):
            await runtime.query(Picky, BALANCES, at_least=position)

    class Mended(Projector, name="picky", version=2):
        tables = (TABLE,)
        saved = Purses.saved

    async with purses_open(tmp_path, Mended) as runtime:
        assert await runtime.query(Mended, BALANCES, at_least=position) == [("ann", 17, 5)]


async def test_counters_tell_of_batches_and_failures(tmp_path: Path) -> None:
    async with purses_open(tmp_path, Picky) as runtime:
        position = await publish(runtime, [*coins(3), CoinSaved("ann", 13)])
        with pytest.raises(ProjectionStopped):
            await runtime.query(Picky, BALANCES, at_least=position)
        counters = runtime.counters()
    assert counters["procession_projectors_failed"] == 3


# Waiting.


async def test_a_position_that_is_not_reached_says_where_it_stands(tmp_path: Path) -> None:
    async with purses_open(tmp_path) as runtime:
        position = await publish(runtime, coins(1))
        await runtime.query(Purses, BALANCES, at_least=position)
        with pytest.raises(TimeoutError, match=f"is at position {position}, asked for was 99 within 0.05 s") as behind:
            await runtime.query(Purses, BALANCES, at_least=99, timeout_s=0.05)
    assert isinstance(behind.value, ProjectionBehind)


async def test_who_waits_when_the_runtime_closes_is_told(tmp_path: Path) -> None:
    refused: list[RuntimeClosed] = []

    async def wait(runtime: Runtime) -> None:
        try:
            await runtime.query(Purses, BALANCES, at_least=99, timeout_s=40)
        except RuntimeClosed as error:
            refused.append(error)

    async with trio.open_nursery() as nursery, purses_open(tmp_path) as runtime:
        nursery.start_soon(wait, runtime)
        await trio.testing.wait_all_tasks_blocked()
    assert refused


async def test_what_is_asked_after_the_end_is_refused(tmp_path: Path) -> None:
    async with purses_open(tmp_path) as runtime:
        pass
    with pytest.raises(RuntimeClosed):
        await runtime.query(Purses, BALANCES)


# Law 7.


async def test_a_turn_can_not_ask_a_projection(tmp_path: Path) -> None:
    held: list[Runtime] = []

    @allows("LAW07", reason="what the guard must stop, where the check is told to look away")
    class Curious(ProcessManager, name="curious", key="purse"):
        @starts
        def look(self, saved: CoinSaved) -> Effects:
            _ask(held[0])
            return iter(())

        @on
        def spent(self, spent: CoinSpent) -> None: ...

    async with open_runtime(
        tmp_path / "a.db", processes=[Curious], events=EVENTS, projectors=[Purses], settings=QUICK
    ) as runtime:
        held.append(runtime)
        await publish(runtime, [CoinSaved("ann", 1)])
        await runtime.drain()
        (flow,) = await runtime.flows()
    assert flow.status == "quarantined"
    assert "called query in a turn" in (flow.reason or "")


async def test_a_projector_can_not_ask_another_one(tmp_path: Path) -> None:
    held: list[Runtime] = []

    @allows("LAW09", reason="as above")
    class Nosy(Projector, name="nosy", version=1):
        tables = (TABLE,)

        @projects
        def saved(self, saved: CoinSaved, store: Store) -> None:
            _ask(held[0])

    async with purses_open(tmp_path, Nosy, Purses) as runtime:
        held.append(runtime)
        position = await publish(runtime, [CoinSaved("ann", 1)])
        with pytest.raises(ProjectionStopped, match="called query in a turn"):
            await runtime.query(Nosy, BALANCES, at_least=position)


def _ask(runtime: Runtime) -> None:
    getattr(runtime, "que" + "ry")(Purses, BALANCES)


# In nobody's way.


async def test_folding_leaves_trio_its_thread(tmp_path: Path) -> None:
    seen: list[str] = []

    @allows("LAW04", reason="the thread is what is tested")
    @allows("LAW05", reason="as above")
    class Slow(Projector, name="slow", version=1):
        tables = (TABLE,)

        @projects
        def saved(self, saved: CoinSaved, store: Store) -> None:
            seen.append(threading.current_thread().name)

    async with purses_open(
        tmp_path, Slow, settings=Settings(projectors=ProjectorsSettings(batch_rows_max=10))
    ) as runtime:
        position = await publish(runtime, coins(30))
        await runtime.query(Slow, BALANCES, at_least=position)
    assert threading.current_thread().name not in seen
    assert len(seen) == 30
