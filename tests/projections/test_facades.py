"""`Runtime` is both facades, proved by the type checker; what depends on one of them takes a runtime, or a double."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import assert_type

from flows.stock import ReceiveStock, StockItem
from procession import (
    CommandFacade,
    Effects,
    Event,
    Position,
    ProcessManager,
    QueryFacade,
    Reading,
    Runtime,
    allows,
    on,
    open_runtime,
    starts,
)
from procession.primitives.projector import Row
from tests.projections.purses import EVENTS, CoinSaved, CoinSpent, Purses, publish, purses_open


def as_command_side(runtime: Runtime) -> CommandFacade:
    """Accepted by mypy because a runtime has all of it, with these very types."""
    return runtime


def as_query_side(runtime: Runtime) -> QueryFacade:
    return runtime


async def save(commands: CommandFacade, event: Event) -> Position:
    position = await commands.publish(event)
    assert_type(position, Position)
    return position


async def purses(queries: QueryFacade, at_least: int) -> list[Row]:
    rows = await queries.query(Purses, "select purse from purses", at_least=at_least)
    assert_type(rows, list[Row])
    return rows


async def poor(queries: QueryFacade) -> list[str]:
    found = await queries.query(Purses, Purses.poorer_than, (9,))
    assert_type(found, list[str])
    return found


async def test_a_runtime_is_both_sides(tmp_path: Path) -> None:
    async with purses_open(tmp_path) as runtime:
        position = await save(as_command_side(runtime), CoinSaved("ann", 5))
        assert await purses(as_query_side(runtime), position) == [("ann",)]
        assert await poor(as_query_side(runtime)) == ["ann"]


async def test_a_side_says_what_the_runtime_says(tmp_path: Path) -> None:
    async with purses_open(tmp_path) as runtime:
        commands, queries = as_command_side(runtime), as_query_side(runtime)
        assert (await commands.rebuild("purses")).projector == "purses"
        assert [info.name for info in queries.projections()] == ["purses"]
        assert (await queries.events(limit=1), await queries.flows()) == ([], [])


CALLS: dict[str, Callable[[Runtime], object]] = {
    "publish": lambda runtime: runtime.publish(CoinSaved("ann", 1)),
    "send": lambda runtime: runtime.send(ReceiveStock("book", 1)),
    "pause_gateway": lambda runtime: runtime.pause_gateway("legs", by="ann", why=""),
    "resume_gateway": lambda runtime: runtime.resume_gateway("legs", by="ann", why=""),
    "resume_process": lambda runtime: runtime.resume_process("curious", by="ann", why=""),
    "limit_gateway": lambda runtime: runtime.limit_gateway("legs", {"concurrency": 1}, by="ann", why=""),
    "begin_rebuild": lambda runtime: runtime.begin_rebuild(Purses, by="ann", why=""),
    "gateway_limits": lambda runtime: runtime.gateway_limits("legs"),
    "paused_processes": lambda runtime: runtime.paused_processes(),
    "rebuild": lambda runtime: runtime.rebuild(Purses),
    "flow": lambda runtime: runtime.flow("curious", "ann"),
    "aggregate": lambda runtime: runtime.aggregate(StockItem, "book"),
    "flows": lambda runtime: runtime.flows(),
    "events": lambda runtime: runtime.events(),
    "follow": lambda runtime: anext(runtime.follow()),
    "query": lambda runtime: runtime.query(Purses, "select 1"),
    "projections": lambda runtime: runtime.projections(),
    "counters": lambda runtime: runtime.counters(),
    "gateways": lambda runtime: runtime.gateways(),
    "tree": lambda runtime: runtime.tree(),
}


def begun(called: object) -> None:
    """As far as code that can't wait may come with it."""
    with contextlib.closing(called) if isinstance(called, Coroutine) else contextlib.nullcontext(called) as call:
        next(call.__await__()) if isinstance(call, Awaitable) else call


def test_both_sides_are_tried_whole() -> None:
    sides = {name for side in (CommandFacade, QueryFacade) for name in vars(side) if not name.startswith("_")}
    assert sides <= CALLS.keys()


async def test_nothing_of_them_can_be_called_from_inside_a_turn(tmp_path: Path) -> None:
    held: list[Runtime] = []

    @allows("LAW07", reason="what the guard must stop, where the check is told to look away")
    class Curious(ProcessManager, name="curious", key="purse"):
        @starts
        def look(self, saved: CoinSaved) -> Effects:
            begun(CALLS[saved.purse](held[0]))
            return iter(())

        @on
        def spent(self, spent: CoinSpent) -> None: ...

    async with open_runtime(tmp_path / "a.db", processes=[Curious], events=EVENTS, projectors=[Purses]) as runtime:
        held.append(runtime)
        await publish(runtime, [CoinSaved(name, 1) for name in CALLS])
        await runtime.drain()
        reasons = {flow.key: flow.reason or "" for flow in await runtime.flows(status="quarantined")}
    assert [name for name in CALLS if f"called {name} in a turn" not in reasons.get(name, "")] == []


def test_a_method_that_reads_is_typed_by_itself() -> None:
    assert Purses.poorer_than.__annotations__["reading"] == Reading.__name__
