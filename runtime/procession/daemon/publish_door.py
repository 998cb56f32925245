"""The two ways in for `procession publish`: a runtime of its own, or the running owner of the journal."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Protocol

import attrs
import trio

from procession.daemon.configuration import Configuration
from procession.daemon.exit_codes import AskedRefused
from procession.daemon.local_client import Owner
from procession.engine.opening import Since
from procession.errors import IdReused, ProcessionError, PublishRefused
from procession.facade import Runtime
from procession.journal.rows import JournalCounts
from procession.primitives.outside import Outside
from procession.primitives.wiring import Wiring
from procession.wiring import open_wired

_ASKED_BYTES_MAX = 1_048_576


@attrs.define(eq=False)
class Batch:
    """Events that are published together, with the lines they stand in."""

    numbers: list[int] = attrs.field(factory=list)
    events: list[Outside] = attrs.field(factory=list)
    texts: list[bytes] = attrs.field(factory=list)
    """As they came, for an owner that is asked to publish them."""


@attrs.frozen
class RefusedAt(ProcessionError):  # noqa: N818 - named as the errors of the package are
    """One event of a batch was refused: which one, and by what."""

    at: int
    error: ProcessionError

    def __str__(self) -> str:
        return str(self.error)


class Door(Protocol):
    """Where events go in."""

    async def publish(self, batch: Batch) -> tuple[int, int]:
        """How many were accepted, and how many were there before.

        Raises:
            RefusedAt: none of them was accepted that was not before.
        """
        ...

    async def drain(self) -> None:
        """Until all is handled and no command is open."""
        ...

    async def counts(self) -> JournalCounts:
        """What the journal holds then."""
        ...


@attrs.frozen
class OwnDoor:
    """A runtime of this process."""

    runtime: Runtime

    async def publish(self, batch: Batch) -> tuple[int, int]:
        try:
            positions = await self.runtime.publish(batch.events)
        except PublishRefused as error:
            raise RefusedAt(_place_of(batch, error), error) from error
        duplicates = sum(position.duplicate for position in positions)
        return len(positions) - duplicates, duplicates

    async def drain(self) -> None:
        await self.runtime.drain()

    async def counts(self) -> JournalCounts:
        return await self.runtime.journal.counts()


@attrs.frozen
class AskedDoor:
    """The running owner. A batch goes over in pieces, each accepted whole or not at all."""

    owner: Owner
    _one_by_one: trio.StrictFIFOLock = attrs.field(factory=trio.StrictFIFOLock)

    async def publish(self, batch: Batch) -> tuple[int, int]:
        async with self._one_by_one:  # each question has a connection of its own: what is sent later may come first
            return await self._publish(batch)

    async def _publish(self, batch: Batch) -> tuple[int, int]:
        accepted = duplicates = first = 0
        for piece in _pieces(batch.texts):
            try:
                done = await self.owner.ask("publish", events=[text.decode() for text in piece])
            except AskedRefused as error:
                if error.at is None:
                    raise  # no event is at fault
                raise RefusedAt(first + error.at, error) from error
            accepted += done["accepted"]
            duplicates += done["duplicates"]
            first += len(piece)
        return accepted, duplicates

    async def drain(self) -> None:
        await self.owner.ask("drain")

    async def counts(self) -> JournalCounts:
        return JournalCounts(**await self.owner.ask("counts"))


@contextlib.asynccontextmanager
async def door_of(
    owner: Owner | None, wiring: Wiring, configuration: Configuration, since: Mapping[str, Since]
) -> AsyncIterator[Door]:
    """The owner's door where there is an owner, else one of our own; raises as `open_wired`."""
    if owner is not None:
        yield AskedDoor(owner)
        return
    async with open_wired(wiring, configuration.settings, since=since, injecting=False) as runtime:
        yield OwnDoor(runtime)


def _place_of(batch: Batch, error: PublishRefused) -> int:
    if isinstance(error, IdReused):
        named = (error.source, error.id)
        return next((number for number, one in enumerate(batch.events) if (one.source, one.id) == named), 0)
    return 0


def _pieces(texts: list[bytes]) -> Iterator[list[bytes]]:
    piece: list[bytes] = []
    size = 0
    for text in texts:
        if piece and size + len(text) > _ASKED_BYTES_MAX:
            yield piece
            piece, size = [], 0
        piece.append(text)
        size += len(text)
    if piece:
        yield piece
