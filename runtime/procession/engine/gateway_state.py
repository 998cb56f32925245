"""Where one gateway stands, for people."""

from __future__ import annotations

import attrs


@attrs.frozen
class GatewayState:
    """Where one gateway stands."""

    name: str
    paused: bool
    held_back: str
    """Why no attempt begins, in words; empty where nothing holds them back."""
    running: int
    """Attempts under way."""
    waiting: int
    """Commands in memory that wait for an attempt."""
    more: bool
    """There may be others in the journal."""
    concurrency: int
    breaker: str
    last_error: str
