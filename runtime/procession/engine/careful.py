"""Answers that could not be written yet; and the careful time, in which things run one by one until all rests."""

from __future__ import annotations

import logging

import trio

from procession.engine.life import Lasting, Life

logger = logging.getLogger("procession")
_CAREFUL_S_MAX = 60.0
_LOOK_AGAIN_S = 0.02


async def write_kept(lasting: Lasting, life: Life) -> None:
    """Answers that came while the engine was held, or whose commit failed, are written first."""
    while lasting.answers.kept:
        await _write_one(lasting)
    while lasting.answers.kept_late:
        await _record_one(lasting)
    await life.ledger.wait_durable(life.ledger.latest)


async def run_alone(lasting: Lasting, life: Life, closing: trio.Event) -> None:
    """While things run alone, answers are written one by one; when all has come to rest, the hurry begins again.

    Not where the runtime closes: no attempt begins then.
    """
    logger.warning("starting carefully, one thing at a time: %s", life.solo.why)
    until = trio.current_time() + _CAREFUL_S_MAX
    while trio.current_time() < until:
        if lasting.answers.kept:
            async with life.solo.alone():
                await _write_one(lasting)
        elif life.idle() and life.solo.command is None and not lasting.gateways.has_ready():
            break
        else:
            await trio.sleep(_LOOK_AGAIN_S)
    life.solo.active = False
    await write_kept(lasting, life)
    if not closing.is_set():
        lasting.gateways.resume()


async def _write_one(lasting: Lasting) -> None:
    verdict = lasting.answers.kept[0]
    row = verdict.handle.row
    # By its flow: a command is found by its id only by reading all that the journal has.
    stored = await lasting.journal.commands(row.flow, row.seq - 1, 1)
    lasting.answers.kept.remove(verdict)
    if not stored or stored[0].row.id != row.id or stored[0].row.state != "open":
        verdict.durable()
    elif verdict.state == "cancelled":
        verdict.withdraw()  # its flow is not cancelled: that stood in the same commit
    else:
        lasting.answers.write(verdict)


async def _record_one(lasting: Lasting) -> None:
    late = lasting.answers.kept_late[0]
    stored = await lasting.journal.events(late.position - 1, 1) if late.position else []
    lasting.answers.kept_late.remove(late)
    counted = late.handle.late is None  # it came in time: what had ended its command was lost
    if not counted and not (stored and stored[0].id == late.ids[0]):
        lasting.answers.record(late)
