"""Rule 21: the wall clock jumps, and nothing waits for it that should not."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from procession import Attempt, Refused
from procession.engine.clock import TrioClock
from procession.errors import FlowQuarantined
from procession.journal.memory import MemoryJournal
from tests.engine.tally import Asked, Desk, Done, Opened, Tally, Work, opened


class SettableClock(TrioClock):
    """Somebody sets it."""

    ahead_us = 0

    def now_us(self) -> int:
        return super().now_us() + self.ahead_us


async def test_a_command_is_sent_although_the_clock_was_set_back_since_its_event_was_accepted(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def refuse_once(command: Work, attempt: Attempt) -> Done:
        if len(desk.calls) == 1:
            raise Refused("not today")
        return Done(command.key, command.number)

    clock, desk = SettableClock(), Desk(refuse_once)
    async with opened(MemoryJournal(), gateways=[desk], clock=clock) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1,))])
        with pytest.raises(FlowQuarantined):
            await runtime.flow(Tally, "a").wait_ended()
        await runtime.publish(Asked("a", (2,)))
        clock.ahead_us = -3_600_000_000
        (_, refused) = desk.calls[0]
        await runtime.flow(Tally, "a").retry_command(refused.command_id, by="Ada", why="it is tomorrow")
        with trio.fail_after(60):
            await runtime.drain()
    assert desk.numbers == [1, 1, 2]
