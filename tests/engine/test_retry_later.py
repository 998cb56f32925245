"""A gateway says when to try again, and what it found; the engine obeys, within its bound."""

from __future__ import annotations

from datetime import timedelta

import pytest

from procession import (
    Attempt,
    AttemptFailed,
    Command,
    CommandGivenUp,
    Effects,
    Event,
    Gateway,
    Outside,
    ProcessManager,
    RetryLater,
    Settings,
    ends,
    starts,
)
from procession.settings import GatewaysSettings
from procession.testing import World, raises


class Asked(Event, name="retry_later.asked"):
    id: str


class Told(Event, name="retry_later.told"):
    id: str


class Tell(Command, name="retry_later.tell"):
    id: str


class Asking(ProcessManager, name="retry_later.asking", key="id"):
    @starts
    def ask(self, asked: Asked) -> Effects:
        yield Tell(asked.id)

    @ends(outcome="told")
    def told(self, told: Told) -> None: ...

    @ends(outcome="lost")
    def lost(self, lost: CommandGivenUp[Tell]) -> None: ...


class Oracle(Gateway, name="oracle"):
    async def tell(self, command: Tell, attempt: Attempt) -> Told:
        return Told(command.id)


def a_world(**gateways: float) -> World:
    return World(processes=[Asking], gateways=[Oracle], settings=Settings(gateways=GatewaysSettings(**gateways)))  # type: ignore[arg-type]  # ints among them


async def waited(world: World) -> timedelta:
    began = world.now
    await world.publish(Asked("1"))
    assert await world.runtime.flow(Asking, "1").wait_ended() == "told"
    return world.now - began


async def test_no_attempt_comes_before_the_gateway_wants_one(autojump_clock: object) -> None:
    async with a_world() as world:
        world.script(Tell, [raises(RetryLater("busy", after_s=120))])
        assert timedelta(seconds=120) <= await waited(world) < timedelta(seconds=121)


async def test_a_wish_shorter_than_the_back_off_changes_nothing(autojump_clock: object) -> None:
    async with a_world(backoff_initial_s=10) as world:
        world.script(Tell, [raises(RetryLater("busy", after_s=0.01))])
        assert timedelta(seconds=8) <= await waited(world) <= timedelta(seconds=12.1)


async def test_a_wish_is_bounded(autojump_clock: object) -> None:
    async with a_world(retry_later_max_s=60) as world:
        world.script(Tell, [raises(RetryLater("gone fishing", after_s=1e9))])
        assert timedelta(seconds=60) <= await waited(world) < timedelta(seconds=61)


async def test_what_the_gateway_found_is_told_as_it_said_it(autojump_clock: object) -> None:
    async with a_world(attempts_max=2) as world:
        world.script(Tell, [raises(RetryLater("busy", after_s=1)), raises(AttemptFailed("the line is dead"))])
        await world.publish(Asked("1"))
        assert await world.outcome(Asking, "1") == "lost"
        (lost,) = world.events(CommandGivenUp)
        assert (lost.found, lost.reason, lost.attempts) == ("the line is dead", "unknown", 2)


async def test_an_attempt_knows_the_trace_of_the_event_it_follows_from(autojump_clock: object) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with a_world() as world:
        await world.publish(Outside(Asked("1"), "1", "test", trace))
        await world.settle()
        assert [called.attempt.trace for called in world.attempts()] == [trace]


@pytest.mark.parametrize("after_s", [-1, float("nan"), float("inf")])
def test_a_wait_that_is_none_is_refused(after_s: float) -> None:
    with pytest.raises(ValueError, match="give a number of seconds"):
        RetryLater("busy", after_s=after_s)


def test_a_class_that_hands_down_needs_no_name_and_hands_its_fields_down() -> None:
    class Lines(Gateway, abstract=True):
        number: str

    class Phone(Lines, name="phone"):
        prefix: str

        async def tell(self, command: Tell) -> Told:
            return Told(self.prefix + self.number)

    assert (Phone("421", "+49").number, Phone.__gateway__.name) == ("421", "phone")
