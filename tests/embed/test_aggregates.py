"""Aggregates from asyncio and from threads."""

from __future__ import annotations

import asyncio
from pathlib import Path

from procession import Aggregate, Command, Event, applies, decides, embed


class StampsBought(Event, name="stamps.bought"):
    box: str
    number: int


class BuyStamps(Command, name="stamps.buy"):
    box: str
    number: int


class Box(Aggregate, name="box", key="box"):
    stamps: int = 0

    @applies
    def bought(self, bought: StampsBought) -> Box:
        return self.evolve(stamps=self.stamps + bought.number)

    @decides
    def buy(self, command: BuyStamps) -> StampsBought:
        return StampsBought(command.box, command.number)


def test_a_thread_has_a_command_decided(tmp_path: Path) -> None:
    with embed.start(tmp_path / "stamps.db", aggregates=[Box]) as runtime:
        assert runtime.send(BuyStamps("a", 3)).events == (StampsBought("a", 3),)
        assert runtime.aggregate(Box, "a").version() == 1


def test_an_asyncio_task_has_a_command_decided(tmp_path: Path) -> None:
    async def main() -> None:
        async with embed.open_async(tmp_path / "stamps.db", aggregates=[Box]) as runtime:
            assert (await runtime.send(BuyStamps("a", 3))).events == (StampsBought("a", 3),)
            assert [found.event for found in await runtime.aggregate(Box, "a").events()] == [StampsBought("a", 3)]

    asyncio.run(main())
