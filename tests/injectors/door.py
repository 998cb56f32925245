"""What the tests of injectors bring in, and a runtime that counts it."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

import attrs
import trio

from procession import (
    Event,
    Injector,
    Intake,
    ProcessManager,
    Runtime,
    Settings,
    folds,
    open_runtime,
    starts,
)
from procession.actors.supervisor import ActorInfo
from procession.engine.clock import Clock
from procession.settings import SupervisionSettings

QUICK = Settings(supervision=SupervisionSettings(restarts_max=2, backoff_initial_s=0.001, backoff_max_s=0.001))


class DoorOpened(Event, name="door.opened"):
    door: str
    who: str = ""


class DoorClosed(Event, name="door.closed"):
    door: str
    who: str = ""


class Door(ProcessManager, name="door", key="door"):
    opened: int = 0

    @folds
    def count(self, opened: DoorOpened) -> Door:
        return self.evolve(opened=self.opened + 1)

    @starts
    def first(self, opened: DoorOpened) -> None: ...


def open_doors(
    folder: Path, *injectors: Injector, settings: Settings = QUICK, clock: Clock | None = None
) -> contextlib.AbstractAsyncContextManager[Runtime]:
    return open_runtime(
        folder / "doors.db",
        processes=[Door],
        events=[DoorClosed],
        injectors=injectors,
        settings=settings,
        clock=clock,
    )


class Watched(Injector, name="watched"):
    """Another injector, of which one can wait for its end."""

    inner: Injector
    ended: trio.Event = attrs.field(factory=trio.Event)

    @property
    def actor(self) -> str:
        return self.inner.actor

    async def run(self, publish: Intake) -> None:
        await self.inner.run(publish)
        self.ended.set()


async def until_ended(folder: Path, *injectors: Injector, settings: Settings = QUICK) -> Counter[str]:
    """Run until every injector has ended; how often each door was opened then."""
    watched = [Watched(injector) for injector in injectors]
    async with open_doors(folder, *watched, settings=settings) as runtime:
        for one in watched:
            await one.ended.wait()
        await runtime.drain()
        return await opened(runtime)


async def until_accepted(runtime: Runtime, count: int, types: tuple[str, ...] = ("door.opened",)) -> None:
    """Returns when so many events are durable."""
    found = 0
    async with contextlib.aclosing(runtime.follow()) as events:
        async for recorded in events:
            found += recorded.envelope.type in types
            if found == count:
                return


async def opened(runtime: Runtime) -> Counter[str]:
    """How often each door was opened."""
    events = [recorded.event for recorded in await runtime.events(limit=100_000)]
    return Counter(event.door for event in events if isinstance(event, DoorOpened))


def injectors_of(runtime: Runtime) -> dict[str, ActorInfo]:
    """The injectors in the tree, by name."""
    (node,) = [child for child in runtime.tree().children if child.name == "injectors"]
    return {child.name.removeprefix("injectors/"): child for child in node.children}
