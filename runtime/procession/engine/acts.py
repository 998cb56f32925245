"""Operator acts on a flow: what was asked, by whom and why, on its way through the flow's own mailbox."""

from __future__ import annotations

from typing import Literal

import attrs
import trio

from procession.errors import ProcessionError

ActKind = Literal["retry", "skip", "release", "cancel", "retry_command"]


@attrs.define(eq=False)
class Act:
    """One request; `done` is set when it is durable or refused."""

    kind: ActKind
    by: str
    why: str
    force: bool = False
    command_id: bytes = b""
    """Of the command to send again, for `retry_command`."""
    done: trio.Event = attrs.field(factory=trio.Event)
    error: ProcessionError | None = None
    position: int = 0
    """Of the event that records the act."""

    def refuse(self, error: ProcessionError) -> None:
        """Answer that it can't be done; nothing was changed."""
        self.error = error
        self.done.set()
