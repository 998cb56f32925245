"""The end of a server, for answers that would never end by themselves."""

from __future__ import annotations

import attrs
import trio


@attrs.define(eq=False)
class Closing:
    """Whether the server ends; who waits for news hears of it at once."""

    begun: bool = False
    _waits: set[trio.CancelScope] = attrs.field(factory=set)

    def close(self) -> None:
        """End all waits."""
        self.begun = True
        for scope in self._waits:
            scope.cancel()

    def began_waiting(self, scope: trio.CancelScope) -> None:
        """A wait that ends when the server does."""
        self._waits.add(scope)

    def ended_waiting(self, scope: trio.CancelScope) -> None:
        """The wait is over."""
        self._waits.discard(scope)
