"""What a planted breach is: a definition that breaks one law, and a twin that does the same thing cleanly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

import attrs

from procession import Event
from tests.laws.planted.messages import Paid, Placed

Kind = Literal["turn", "class", "wiring", "journal", "tests"]
"""What `build` and `twin` make.

turn: a process manager, whose flow meets the breach when it handles `history`.
class: nothing; the statement that defines the class is refused, the twin's is not.
wiring: a `Wiring`, which is refused, or in which the check finds the breach.
journal: two wirings; a journal written by the first is refused by the second.
tests: a function of a module of tests, which is read and never run.
"""
Static = Literal["refused", "found", "missed"]
"""refused: when the class is defined or when a runtime opens. found: by `procession check` only. missed: by both."""

PLACED_AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def placed_and_paid() -> tuple[Event, ...]:
    """Drives a breach: the flow `o1` meets it in one of these turns. Made anew each time, since some change events."""
    return Placed("o1", PLACED_AT, ("pen", "ink", "book", "lamp", "desk"), "letter"), Paid("o1", 4200)


@attrs.frozen
class Breach:
    """One breach of one law, with its clean twin."""

    name: str
    code: str
    static: Static
    """What the static layer makes of it; its misses are part of the table."""
    build: Callable[[], object]
    twin: Callable[[], object]
    kind: Kind = "turn"
    history: Callable[[], tuple[Event, ...]] = placed_and_paid
    """For the kind `turn`: makes the events that one flow handles, in order."""
