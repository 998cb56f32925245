"""Waiting until an engine has nothing left to do, in virtual time, which passes as it must."""

from __future__ import annotations

import trio

from procession.engine.engine import Engine

_LOOK_AGAIN_S = 0.01


async def come_to_rest(engine: Engine, within_s: float) -> bool:
    """Wait until all that was accepted is handled and no command is open; False where that takes longer.

    Armed timers are not waited for.
    """
    look_again_s = _LOOK_AGAIN_S
    with trio.move_on_after(within_s):
        while not engine.idle():
            with trio.move_on_after(look_again_s) as quiet:
                await engine.watch.changed()
            # Long silences are long back-offs: looking again and again would cost more than all the rest.
            look_again_s = 2 * look_again_s if quiet.cancelled_caught else _LOOK_AGAIN_S
        return True
    return False
