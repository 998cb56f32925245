"""One aggregate from outside: its version and its events; never its state."""

from __future__ import annotations

from procession.engine.engine import Engine
from procession.engine.envelopes import recorded_of
from procession.engine.turn import refuse_in_turn
from procession.primitives.envelope import Recorded


class AggregateHandle:
    """An aggregate by name; nothing need have been decided for it yet."""

    def __init__(self, engine: Engine, aggregate: str, key: str) -> None:
        self._engine = engine
        self.aggregate = aggregate
        self.key = key

    @property
    def name(self) -> str:
        """How people call it: `account/a1`."""
        return f"{self.aggregate}/{self.key}"

    async def version(self) -> int:
        """How many events its stream holds; 0 where nothing was decided yet. A refusal adds none."""
        refuse_in_turn("version")
        found = await self._engine.lasting.journal.look_up((), ((self.aggregate, self.key),))
        row = found.flows.get((self.aggregate, self.key))
        return 0 if row is None else row.version

    async def events(self, after_version: int = 0, *, limit: int = 1000) -> list[Recorded]:
        """Its events after a version, in order, at most `limit`."""
        refuse_in_turn("events")
        found = await self._engine.lasting.journal.look_up((), ((self.aggregate, self.key),))
        row = found.flows.get((self.aggregate, self.key))
        if row is None:
            return []
        steps = await self._engine.lasting.journal.steps(row.id, after_version, limit)
        return [recorded_of(self._engine.registry, stepped.event) for stepped in steps]
