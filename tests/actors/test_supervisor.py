"""A supervisor starts again what fails, with a pause that grows, and gives up aloud."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio

from procession.actors.supervisor import RestartPolicy, Supervised, contained, supervise
from procession.errors import RuntimeFailed

POLICY = RestartPolicy(restarts_max=3, period_s=60, backoff_initial_s=1, backoff_max_s=3)


def failing(times: int, every_s: float = 0) -> Callable[[], Awaitable[None]]:
    """An actor that fails so many times, and then ends."""
    left = [times]

    async def start() -> None:
        await trio.sleep(every_s)
        if left[0]:
            left[0] -= 1
            raise OSError(f"{left[0]} left")

    return start


async def run(actor: Supervised, start: Callable[[], Awaitable[None]], errors: list[Exception] | None = None) -> None:
    heard: list[Exception] = [] if errors is None else errors
    await supervise(actor, start, POLICY, jitter=lambda: 1.0, on_failure=heard.append, fatal=(KeyError,))


async def test_what_ends_of_itself_is_not_started_again(autojump_clock: trio.testing.MockClock) -> None:
    actor = Supervised("it")
    await run(actor, failing(0))
    assert (actor.state, actor.restarts) == ("ended", 0)


async def test_what_fails_is_started_again_after_a_pause_that_doubles(autojump_clock: trio.testing.MockClock) -> None:
    actor = Supervised("it")
    await run(actor, failing(3))
    assert (actor.state, actor.restarts, actor.last_error) == ("ended", 3, "OSError: 0 left")
    assert trio.current_time() == 1 + 2 + 3


async def test_what_fails_too_often_is_given_up_aloud(autojump_clock: trio.testing.MockClock) -> None:
    actor = Supervised("it")
    with pytest.raises(RuntimeFailed, match="it failed after 3 restarts: OSError: 0 left"):
        await run(actor, failing(4))
    assert actor.state == "failed"


async def test_failures_that_lie_far_apart_are_forgiven(autojump_clock: trio.testing.MockClock) -> None:
    actor = Supervised("it")
    await run(actor, failing(20, every_s=30))
    assert (actor.state, actor.restarts) == ("ended", 20)


async def test_every_failure_is_told(autojump_clock: trio.testing.MockClock) -> None:
    errors: list[Exception] = []
    await run(Supervised("it"), failing(2), errors)
    assert [str(error) for error in errors] == ["1 left", "0 left"]


async def test_what_no_start_can_help_is_raised_at_once_out_of_its_groups(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def hopeless() -> None:
        async with trio.open_nursery():
            raise KeyError("gone")

    actor = Supervised("it")
    with pytest.raises(KeyError, match="gone"):
        await run(actor, hopeless)
    assert (actor.state, actor.restarts) == ("failed", 0)


async def test_an_error_in_a_group_is_shown_as_itself(autojump_clock: trio.testing.MockClock) -> None:
    async def grouped() -> None:
        async with trio.open_nursery():
            raise OSError("inner")

    with pytest.raises(RuntimeFailed, match="OSError: inner"):
        await run(Supervised("it"), grouped)


async def test_cancellation_passes(autojump_clock: trio.testing.MockClock) -> None:
    actor = Supervised("it")
    with trio.move_on_after(1):
        await run(actor, trio.sleep_forever)
    assert actor.restarts == 0


def test_chance_spreads_the_pause_over_its_upper_half() -> None:
    assert (POLICY.backoff_s(1, 0.0), POLICY.backoff_s(1, 1.0)) == (0.5, 1.0)
    assert POLICY.backoff_s(1000, 1.0) == 3


async def test_foreign_errors_come_back_as_values(autojump_clock: trio.testing.MockClock) -> None:
    result = await contained(failing(1))
    assert isinstance(result.error, OSError)
    assert (await contained(failing(0))).error is None


async def test_cancellation_passes_through_foreign_code(autojump_clock: trio.testing.MockClock) -> None:
    with trio.move_on_after(1) as scope:
        await contained(trio.sleep_forever)
    assert scope.cancelled_caught
