"""What becomes of each of several events: those that can be accepted are, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs

from procession.errors import PublishRefused
from procession.primitives.outside import CloudEvent, Outside, Position


class Accepting(Protocol):
    """What of an `Intake` it takes to publish documents."""

    events_max: int
    """At most so many events in one call."""

    async def __call__(self, events: Sequence[Outside]) -> list[Position]:
        """Accept several together or not at all; raises as `Intake`."""
        ...

    def decoded(self, found: CloudEvent) -> Outside:
        """The event of a CloudEvent; raises as `Intake`."""
        ...


@attrs.frozen
class Answer:
    """What became of one event: its position, or why it was refused."""

    id: str | None
    source: str | None
    position: Position | None = None
    error: PublishRefused | None = None

    def as_json(self) -> dict[str, object]:
        """As a caller reads it."""
        said: dict[str, object] = {"id": self.id, "source": self.source}
        if self.position is not None:
            return said | {"position": int(self.position), "duplicate": self.position.duplicate}
        return said | {"error": str(self.error)}


async def publish_each(publish: Accepting, events: Sequence[Outside]) -> list[Answer]:
    """Publish events in as few calls as can be, in order; where one is refused, the others are accepted all the same.

    Raises:
        OutcomeUnknown: an event without an id can't be looked up.
        RuntimeClosed: the runtime is closing.
    """
    answers: list[Answer] = []
    due = [events[at : at + publish.events_max] for at in range(0, len(events), publish.events_max)]
    while due:
        batch = due.pop(0)
        try:
            positions = await publish(batch)
        except PublishRefused as error:
            if len(batch) > 1:
                # Nothing of the batch was written: halves of it are tried until the guilty stand alone.
                half = len(batch) // 2
                due[:0] = [batch[:half], batch[half:]]
            else:
                answers.append(Answer(batch[0].id, batch[0].source, error=error))
        else:
            found = zip(batch, positions, strict=True)
            answers += [Answer(one.id, one.source, position) for one, position in found]
    return answers
