"""Projections of a journal that no runtime of this process runs: where they stand, rebuilt, compared. For operators."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Literal

import attrs
import trio

from procession.engine.guard import make_guard
from procession.journal import ownership
from procession.journal.journal import JournalReader
from procession.journal_errors import JournalOwned
from procession.primitives.projection import Projection
from procession.primitives.registry import Registry
from procession.projection_errors import StoreUnusable
from procession.projections.comparison import Difference, compared, reading
from procession.projections.feed import Feed
from procession.projections.fold import Folder
from procession.projections.folder import StoreFile, StoreFolder
from procession.projections.generation import make, threaded
from procession.projections.rebuild import begin
from procession.projections.standing import is_ahead
from procession.projections.store import APPLICATION_ID, Place, file_uri
from procession.projections.store_guard import OWN_TABLE
from procession.projections.view import Rebuilt
from procession.settings import ProjectorsSettings

StoreState = Literal["ready", "none", "outdated", "changed", "newer", "ahead", "another journal", "unreadable"]


@attrs.frozen
class Standing:
    """Where the store of a projection stands, as its files tell."""

    name: str
    version: int
    """Of the projector at hand."""
    state: StoreState
    """`outdated`: an older version made it. `changed`: another projector of the same version did. `ahead`: it holds
    events that the journal has not, since a copy of that was restored."""
    version_stored: int | None
    position: int
    lag_positions: int
    """From the first event that it has not and that concerns it; 0 where there is none."""
    events: int
    path: str
    building_position: int | None
    """How far a rebuild beside it is, running or killed."""
    pid: int | None
    """The process that folds into it; None where none does."""


@attrs.frozen
class Verified:
    """What a rebuild aside made of the same events."""

    projector: str
    position: int
    events: int
    differences: tuple[Difference, ...]


async def survey(journal: JournalReader, registry: Registry, stores: StoreFolder) -> list[Standing]:
    """Where each projection stands; nothing is touched."""
    return [await _standing(projection, journal, stores) for projection in registry.projections.values()]


async def rebuild(
    projection: Projection,
    registry: Registry,
    journal: JournalReader,
    stores: StoreFolder,
    limits: ProjectorsSettings,
    now_us: int,
    on_progress: Callable[[Rebuilt], None],
) -> tuple[Rebuilt, bool]:
    """Make a projection anew, beside whoever folds it; whether somebody does, who then takes the new store up.

    Raises:
        ActRefused: it is being rebuilt already.
        ProjectionFailed: a handler raised; what is built so far is kept, the next rebuild goes on there.
        StoreUnusable, JournalError: as they say.

    Cancellation: between two batches; what is built so far is kept.
    """
    work = threaded(trio.CapacityLimiter(1))
    building = await begin(projection, _folder(projection, registry), journal, stores, work, limits, now_us)
    finished = None
    try:
        while True:
            until = (await journal.heads()).position
            if building.generation.place.position >= until:
                break
            while await building.step(until):
                on_progress(building.progress(until))
        with trio.CancelScope(shield=True):
            finished = await building.finish()
            await work(finished.retire)
    finally:
        if finished is None:
            with trio.CancelScope(shield=True):
                await work(building.generation.retire)
        building.release()
    return building.progress(until), not await _tidied(projection, stores, now_us)


async def _tidied(projection: Projection, stores: StoreFolder, now_us: int) -> bool:
    """Remove what was replaced, where nobody folds into it."""
    try:
        lock = await ownership.acquire(stores.lock_name(projection.store), now_us)
    except JournalOwned:
        return False
    try:
        stores.tidy(projection.store)
    finally:
        lock.release()
    return True


async def verify(
    projection: Projection,
    registry: Registry,
    journal: JournalReader,
    stores: StoreFolder,
    limits: ProjectorsSettings,
    aside: str,
    on_progress: Callable[[Rebuilt], None],
) -> Verified:
    """Law 5: fold the same events into a store aside, and compare it with the one that answers, row by row.

    Args:
        projection, registry, journal, stores, limits: as for `rebuild`.
        aside: path of a new file, which the caller removes.
        on_progress: told after each batch.

    Raises:
        StoreUnusable: there is no store, or it is of another journal, or made by another version.
        ProjectionFailed: a handler raised: it can't be rebuilt.
    """
    whole = stores.whole(projection.store)
    if whole is None:
        raise StoreUnusable(stores.path, f"there is no store of {projection.name}", "start the runtime, or rebuild it")
    with closing(reading(whole)) as live:
        place = _place(live)
        if place.journal != journal.id or place.mark != projection.mark:
            state = _state(place, projection, journal)
            raise StoreUnusable(whole.path, f"it is {state}", f"run `procession projections rebuild {projection.name}`")
        work = threaded(trio.CapacityLimiter(1))
        file = StoreFile(0, aside, file_uri(aside, "rwc"))
        generation = await make(file, projection, journal.id, work, limits.rows_max)
        try:
            feed = Feed(generation, projection, _folder(projection, registry), journal, limits)
            while await feed.step(place.position):
                done = generation.place
                on_progress(Rebuilt(projection.name, done.position, place.position, done.events, 0, 0.0))
        finally:
            with trio.CancelScope(shield=True):
                await work(generation.retire)
        with closing(reading(file)) as anew:
            differences = await work(partial(compared, live, anew))
    return Verified(projection.name, place.position, place.events, tuple(differences))


def _folder(projection: Projection, registry: Registry) -> Folder:
    return Folder(projection, registry, make_guard("report"))


async def _standing(projection: Projection, journal: JournalReader, stores: StoreFolder) -> Standing:
    whole, building = stores.whole(projection.store), stores.building(projection.store)
    holder = ownership.holder_of(stores.lock_name(projection.store))
    place, state = None, "none"
    if whole is not None:
        place, state = _looked_at(whole, projection, journal)
        if place is not None and state != "another journal" and await is_ahead(place, journal):
            state = "ahead"
    built = None if building is None else _looked_at(building, projection, journal)[0]
    position = 0 if place is None else place.position
    return Standing(
        projection.name,
        projection.version,
        state,  # type: ignore[arg-type]  # one of the words that _state has
        None if place is None else place.mark.version,
        position,
        await _lag(projection, journal, position),
        0 if place is None else place.events,
        "" if whole is None else whole.path,
        None if building is None else 0 if built is None else built.position,
        holder.pid if holder is not None and holder.running else None,
    )


async def _lag(projection: Projection, journal: JournalReader, position: int) -> int:
    """A store notes its position with the rows that it gets; what came since and does not concern it is no lag."""
    missing = await journal.columns(("position",), position, 1, projection.types)
    if not missing:
        return 0
    return (await journal.heads()).position - int(missing[0][0]) + 1


def _looked_at(file: StoreFile, projection: Projection, journal: JournalReader) -> tuple[Place | None, StoreState]:
    try:
        with closing(reading(file)) as connection:
            place = _place(connection)
    except (sqlite3.Error, StoreUnusable):
        return None, "unreadable"
    return place, _state(place, projection, journal)


def _state(place: Place, projection: Projection, journal: JournalReader) -> StoreState:
    made, mark = place.mark, projection.mark
    if place.journal != journal.id:
        return "another journal"
    if made.version != mark.version:
        return "outdated" if made.version < mark.version else "newer"
    if made.shape != mark.shape or (made.python == mark.python and made.code != mark.code):
        return "changed"
    return "ready"


def _place(connection: sqlite3.Connection) -> Place:
    if connection.execute("pragma application_id").fetchone() != (APPLICATION_ID,):
        raise StoreUnusable("the store", "it is another kind of file", "move it away")
    return Place.of(connection.execute(f"select * from {OWN_TABLE}").fetchone())
