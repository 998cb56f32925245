"""Shutdown: the intake closes, nothing new begins, what runs ends within the grace; the rest is recorded."""

from __future__ import annotations

import trio

from procession.engine.life import Lasting, Life
from procession.engine.watch import Watch
from procession.errors import RuntimeClosed

_LOOK_AGAIN_S = 0.02


async def shut_down(life: Life, lasting: Lasting, grace_s: float) -> None:
    """Bring a life to rest. Answers and their turns are written, and histories judged, until the grace ends.

    A call that does not end is cancelled, and recorded as "unknown, will retry under the same id".
    """
    gateways, watch = lasting.gateways, lasting.watch
    for submission in life.intake.close():
        submission.refuse(RuntimeClosed())
    gateways.hold()
    life.aggregates.inbox.close()
    life.timers.close()
    with trio.move_on_after(grace_s):
        while not life.idle() or gateways.running() or lasting.answers.kept or not lasting.invariants.idle():
            await _stirred(watch)
    gateways.cancel_running()
    while gateways.running() or lasting.answers.kept:  # while things run alone, answers are written one by one
        await _stirred(watch)
    for flow in life.table:
        for act in flow.acts:
            act.refuse(RuntimeClosed())


async def _stirred(watch: Watch) -> None:
    """Wait until something may have changed: a commit, the end of a turn or of a call."""
    with trio.move_on_after(_LOOK_AGAIN_S):
        await watch.changed()
