"""Waiting until an engine has nothing left to do, in virtual time, which passes as it must."""

from __future__ import annotations

import trio

from procession.engine.engine import Engine

_LOOK_AGAIN_S = 5.0


async def come_to_rest(engine: Engine, within_s: float) -> bool:
    """Wait until all that was accepted is handled and no command is open; False where that takes longer.

    Armed timers are not waited for.
    """
    with trio.move_on_after(within_s):
        while not engine.idle():
            with trio.move_on_after(_LOOK_AGAIN_S):
                await engine.watch.changed()
        return True
    return False
