"""An act on a journal that no engine runs on: recorded all the same, with who and why in the event."""

from __future__ import annotations

from procession.engine.clock import Clock
from procession.engine.ids import Ids
from procession.journal.journal import Journal
from procession.journal.rows import Commit, EventRow, TypeRow
from procession.primitives.event import Event
from procession.primitives.registration import build_registry
from procession.primitives.schema import shape_of
from procession.primitives.stored import stored_of


async def log_act(journal: Journal, clock: Clock, act: Event) -> int:
    """Append an event that concerns no flow; its position, once it is durable."""
    stored, ids = stored_of(type(act)), Ids(clock, journal.id)
    payload = build_registry((), ()).codec.encode(act).decode()
    known = {(row.name, row.version) for row in await journal.types()}
    position = (await journal.heads()).position + 1
    commit = Commit()
    if (stored.name, stored.version) not in known:
        commit.types.append(TypeRow(stored.name, stored.version, stored.kind, shape_of(type(act))))
    commit.events.append(
        EventRow(
            position,
            ids.fresh(),
            None,
            None,
            None,
            stored.name,
            stored.version,
            payload,
            "{}",
            None,
            None,
            clock.now_us(),
            None,
        )
    )
    await journal.commit(commit)
    return position
