"""The answer to "why?": a chain of causes. How it is found is in causes.py, which loads only where somebody asks."""

from __future__ import annotations

import datetime
from typing import Any, Literal

import attrs

CauseKind = Literal["event", "step", "command", "timer", "unknown"]


@attrs.frozen
class Cause:
    """One link: something that happened, because of the link before it."""

    kind: CauseKind
    """`unknown`: the journal names a cause that it does not hold."""
    name: str
    """Stored name of an event or command, name of a timer, or the handler of a step."""
    says: str
    """The link in words."""
    id: str
    """In hex; empty for a step, which is named by flow and version."""
    flow: str | None
    """The flow that handled or asked, as `order/421`."""
    position: int
    """Of the event, or of the event whose turn asked."""
    at: datetime.datetime | None
    """When an event was accepted; None for what its turn made of it."""
    data: Any
    """Of an event or command, as JSON; None else."""


@attrs.frozen
class Why:
    """The chain of causes of one thing, the first cause first."""

    flow: str
    what: str
    """What was asked about, as it was named."""
    causes: tuple[Cause, ...]
    """The last of them is what was asked about."""
    complete: bool
    """False: there are more before the first, and they were left out."""

    def __str__(self) -> str:
        lines = [f"why {self.what} of {self.flow}:"]
        if not self.complete:
            lines.append(f"    (the last {len(self.causes)} links; those before are left out)")
        for cause in self.causes:
            at = "" if cause.at is None else shown_time(cause.at)
            lines.append(f"    {at:<24}  {'' if cause.kind == 'event' else '→ '}{cause.says}")
        return "\n".join(lines)


def shown_time(at: datetime.datetime) -> str:
    """A time in UTC for people, to the millisecond."""
    return at.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
