"""What foreign code raises ends no runtime, be it meant to end a process, or not fit to be shown."""

from __future__ import annotations

import asyncio

import pytest
import trio
import trio.testing

from procession import Attempt, Effects, Event, on
from procession.journal.memory import MemoryJournal
from tests.engine.tally import Asked, Broken, Desk, Done, Opened, Tally, Work, opened, settings


class ShyError(ValueError):
    def __str__(self) -> str:
        raise SystemExit(1)


ERRORS = [
    SystemExit("out"),
    GeneratorExit(),
    asyncio.CancelledError(),
    ShyError(),
    BaseExceptionGroup("", [SystemExit()]),
]
ONCE = settings(gateways={"attempts_max": 1, "timeout_s": 1.0})


class ShyTally(Tally, name="tally", key="key"):
    @on
    def mended(self, broken: Broken) -> Effects:
        raise ShyError


async def reason_of(process: type[Tally], desk: Desk, event: Event) -> str:
    """Why the flow that met this was set aside, while another went on."""
    async with opened(MemoryJournal(), processes=[process], gateways=[desk], settings=ONCE) as runtime:
        await runtime.publish([Opened("bad"), Opened("well"), event])
        await runtime.drain()
        assert (await runtime.flow(process, "well").summary()).status == "active"
        bad = await runtime.flow(process, "bad").summary()
        assert bad.status == "quarantined"
        return bad.reason or ""


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_whatever_a_call_raises_is_a_failed_attempt(
    error: BaseException, autojump_clock: trio.testing.MockClock
) -> None:
    async def answer(command: Work, attempt: Attempt) -> Done:
        raise error

    assert type(error).__name__ in await reason_of(Tally, Desk(answer=answer), Asked("bad", (1,)))


async def test_what_a_call_raises_beside_its_cancellation_is_a_time_out(autojump_clock: trio.testing.MockClock) -> None:
    async def fails_at_its_end() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ConnectionError("while it was cancelled")

    async def answer(command: Work, attempt: Attempt) -> Done:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails_at_its_end)
            nursery.start_soon(trio.sleep_forever)
        return Done(command.key, command.number)

    assert "no answer within 1 s" in await reason_of(Tally, Desk(answer=answer), Asked("bad", (1,)))


async def test_an_error_that_can_not_be_shown_sets_its_flow_aside(autojump_clock: trio.testing.MockClock) -> None:
    assert "ShyError that can't be shown: SystemExit" in await reason_of(ShyTally, Desk(), Broken("bad", 1))
