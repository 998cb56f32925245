"""`Runtime` is both facades, proved by the type checker; what depends on one of them takes a runtime, or a double."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

from procession import CommandFacade, Event, Position, QueryFacade, Reading, Runtime
from procession.primitives.projector import Row
from tests.projections.purses import CoinSaved, Purses, purses_open


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


def test_a_method_that_reads_is_typed_by_itself() -> None:
    assert Purses.poorer_than.__annotations__["reading"] == Reading.__name__
