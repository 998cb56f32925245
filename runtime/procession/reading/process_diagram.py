"""A process as a diagram: its steps, what leads from one to the next, and how many flows stand at each.

How it is made is in stages.py.
"""

from __future__ import annotations

from typing import Literal

import attrs

StageKind = Literal["start", "outside", "step", "end"]
LinkKind = Literal["outside", "answer", "failure", "deadline", "fact", "runtime"]


@attrs.frozen
class Stage:
    """A node: what a flow did last. A flow stands at the step whose turn handled its newest event."""

    id: str
    """`step:paid`, `end:completed`, `start`, `outside`."""
    kind: StageKind
    """`outside`: no flow stands there; from there come events that may come at any time while a flow runs."""
    name: str
    """The handler, or the outcome; `start` before the first event."""
    events: tuple[str, ...]
    """Stored names of the events that lead here."""
    about: str
    """The first line of the handler's docstring; empty where it has none."""
    waiting: int
    """Flows that stand here and go on; of an end, those that ended like this."""
    quarantined: int
    """Flows that stand here, set aside."""
    more: bool
    """There may be more: the count stopped at its bound."""
    search: str
    """The search that lists them; empty where there is none."""
    known: bool
    """False: flows stand here, and the classes at hand have no such handler."""


@attrs.frozen
class Link:
    """What leads from one stage to the next."""

    source: str
    """Id of a stage."""
    target: str
    kind: LinkKind
    event: str
    """Stored name of the event that leads there; empty where the flow ends by its handler."""
    by: str
    """The command that it answers, or the deadline's name; empty where it comes from outside."""


@attrs.frozen
class ProcessDiagram:
    """One process."""

    process: str
    about: str
    stages: tuple[Stage, ...]
    links: tuple[Link, ...]
    counted: int
    """Flows that have not ended and were looked at; the newest of them."""
    more: bool
    """There are more that were not looked at: the counts are of those that were."""
