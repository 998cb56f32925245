"""What is looked at: a running runtime, or a journal's file that nobody runs."""

from __future__ import annotations

import functools
import importlib.metadata
from typing import Protocol

import attrs
import trio

from procession.actors.supervisor import ActorInfo
from procession.daemon.durations import now_us
from procession.engine.gateway_state import GatewayState
from procession.facade import Runtime
from procession.journal.journal import JournalReader
from procession.primitives.registry import Registry
from procession.projections.view import ProjectionInfo
from procession.reading.causes import read_why
from procession.reading.waits import read_why_not
from procession.reading.why import Why
from procession.reading.why_not import Surroundings, WhyNot
from procession.settings import Settings
from procession.telemetry.samples import Family


class Source(Protocol):
    """What reading routes ask. A `Runtime` is one."""

    @property
    def journal(self) -> JournalReader:
        """To read from."""
        ...

    @property
    def registry(self) -> Registry:
        """The classes at hand; none of a file that is opened without its flows."""
        ...

    @property
    def settings(self) -> Settings:
        """Those in force."""
        ...

    @property
    def position(self) -> int:
        """The last position that is known to be durable."""
        ...

    @property
    def held(self) -> str:
        """Why nothing is accepted, in words; empty while all is well."""
        ...

    @property
    def committing_s(self) -> float:
        """How long the commit that runs now has taken; 0 where none does."""
        ...

    async def wait_beyond(self, position: int) -> None:
        """Wait until something is durable after a position."""
        ...

    def counters(self) -> dict[str, int]:
        """What was counted since this runtime was opened; empty where none runs."""
        ...

    def histograms(self) -> list[Family]:
        """What was measured; empty where none runs."""
        ...

    def tree(self) -> ActorInfo:
        """The supervision tree."""
        ...

    def gateways(self) -> list[GatewayState]:
        """Where each gateway stands."""
        ...

    def projections(self) -> list[ProjectionInfo]:
        """Where each projection stands."""
        ...


_LOOK_AGAIN_S = 1.0


@attrs.frozen
class About:
    """What a dashboard must say of its source."""

    kind: str
    """`runtime`, or `file`: nothing runs, and nothing can be done."""
    journal: str
    """The journal's file; empty in memory."""
    immutable: bool
    """The file lies in a folder that nobody can write: it is read as it stood when it was opened."""
    no_classes: str
    """Why the classes of the flows are not at hand; empty where they are."""
    version: str


@attrs.define(eq=False)
class JournalFile:
    """A journal's file without a runtime."""

    journal: JournalReader
    registry: Registry
    settings: Settings
    position: int
    """Where it ended when it was looked at last."""
    about: About

    @property
    def held(self) -> str:
        """There is nobody who would accept anything."""
        return "this is a file, and no runtime"

    @property
    def committing_s(self) -> float:
        """Nobody commits."""
        return 0.0

    async def wait_beyond(self, position: int) -> None:
        """Look again now and then: another process may write it."""
        await self.look()
        while self.position <= position:
            await trio.sleep(_LOOK_AGAIN_S)
            await self.look()

    async def look(self) -> None:
        """See where it ends now."""
        self.position = (await self.journal.heads()).position

    def counters(self) -> dict[str, int]:
        """Nothing was counted."""
        return {}

    def histograms(self) -> list[Family]:
        """Nothing was measured."""
        return []

    def tree(self) -> ActorInfo:
        """Nothing runs."""
        return ActorInfo("no runtime", "ended", 0)

    def gateways(self) -> list[GatewayState]:
        """None runs."""
        return []

    def projections(self) -> list[ProjectionInfo]:
        """None is fed."""
        return []


def about(source: Source) -> About:
    """What a dashboard must say of it."""
    if isinstance(source, JournalFile):
        return source.about
    path = getattr(source.journal, "path", "")
    return About("runtime", str(path), immutable=False, no_classes="", version=version())


@functools.cache
def version() -> str:
    """Of this package."""
    return importlib.metadata.version("procession")


async def why_of(source: Source, process: str, key: str, what: str) -> Why:
    """The chain of causes of something that a flow asked for or got.

    Raises:
        NotFound: nothing has been heard of the flow, or it has no such command or event.
    """
    if isinstance(source, Runtime):
        return await source.flow(process, key).why(what)
    return await read_why(source.journal, process, key, what)


async def why_not_of(source: Source, process: str, key: str) -> WhyNot:
    """What a flow waits for, or how it ended.

    Raises:
        NotFound: nothing has been heard of it.
    """
    if isinstance(source, Runtime):
        return await source.flow(process, key).why_not()
    owner = await source.journal.owner()
    around = Surroundings(running=owner is not None and owner.running)
    return await read_why_not(source.journal, process, key, now_us(), around, registry=source.registry)


def check_process(source: Source, process: str) -> None:
    """Refuse a process that the source can't have; a file without classes may have any.

    Raises:
        NotFound: there is no such process.
    """
    if isinstance(source, Runtime):
        source.flow(process, "any")
