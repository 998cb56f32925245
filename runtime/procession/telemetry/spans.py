"""A span as it is told when all of it is known: its ids, times and parent are given, none is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from procession.telemetry.trace_context import Context


class Span(NamedTuple):
    """One span, whole."""

    operation: str
    destination: str
    context: Context
    parent: int
    """The span that it hangs below; 0 where it begins its trace."""
    began_us: int
    ended_us: int
    attributes: Mapping[str, str | int]
    links: tuple[Context, ...] = ()
    error: str | None = None
    from_outside: bool = False
    """Its parent was made by somebody else."""


class Spans(Protocol):
    """Where spans go."""

    def make(self, span: Span) -> None:
        """Hand one span on."""
        ...

    def current(self, context: Context) -> AbstractContextManager[None]:
        """In the block, what is instrumented finds this span as its parent."""
        ...
