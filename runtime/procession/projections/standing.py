"""Whether a store that is found is this journal's, and this projector's."""

from __future__ import annotations

from procession.journal.journal import JournalReader
from procession.primitives.projection import Projection
from procession.projection_errors import ProjectionChanged, StoreUnusable
from procession.projections.generation import Generation
from procession.projections.store import Place

_REBUILD = "procession projections rebuild"


async def check_standing(generation: Generation, projection: Projection, journal: JournalReader) -> None:
    """Refuse a store that can't be folded on; one of an older version is outdated, and none is refused for that.

    Raises:
        StoreUnusable: it is of another journal or projector, or ahead of this one.
        ProjectionChanged: the projector changed, and its version did not, or went back.
    """
    await check_journal(generation, projection, journal)
    await check_mark(generation, projection)


async def check_journal(generation: Generation, projection: Projection, journal: JournalReader) -> None:
    """Refuse a store of another journal, or of a later state of this one; raises as `check_standing`."""
    place, path = generation.place, generation.file.path
    rebuild = f"run `{_REBUILD} {projection.name}`"
    if place.journal != journal.id:
        raise StoreUnusable(
            path,
            f"it is of the journal {place.journal.hex()}, this one is {journal.id.hex()}",
            f"name the folder that belongs to this journal, or {rebuild}",
        )
    if place.projector != projection.name:
        raise StoreUnusable(
            path, f"projector {place.projector!r} made it", f"give {projection.name} a store of its own, or {rebuild}"
        )
    if await is_ahead(place, journal):
        head = (await journal.heads()).position
        raise StoreUnusable(
            path,
            f"it holds events up to {place.position} that this journal, up to {head}, has not: was a copy restored?",
            rebuild,
        )


async def is_ahead(place: Place, journal: JournalReader) -> bool:
    """Whether a store holds events that the journal, its own, has not: a copy was restored then."""
    head = (await journal.heads()).position
    found = await journal.columns(("position", "id"), place.event_position - 1, 1) if place.event_position else []
    return place.position > head or bool(place.event_position and found != [(place.event_position, place.event_id)])


async def check_mark(generation: Generation, projection: Projection) -> None:
    """Refuse a projector that changed under its version; raises as `check_standing`."""
    made, mark = generation.place.mark, projection.mark
    rebuild = f"run `{_REBUILD} {projection.name}`"
    if made == mark or made.version < mark.version:
        return
    if made.version > mark.version:
        raise ProjectionChanged(
            f"projector {projection.name!r} has version {mark.version}, its store was made by version {made.version}",
            f"start the newer code, or {rebuild}",
        )
    if made.shape == mark.shape and made.python != mark.python:
        await generation.work(lambda: generation.store.adopt(mark))
        generation.place = await generation.work(generation.store.place)
        return
    what = "its handlers" if made.shape == mark.shape else "its tables, or the events that it takes,"
    raise ProjectionChanged(
        f"projector {projection.name!r} changed and is still version {mark.version}: {what} are not those that made"
        " its store",
        f"give it version={mark.version + 1}, and it is rebuilt beside the old one; or {rebuild}",
    )
