"""A greeting: greet whoever arrives, and once more a moment later. Turn it into a flow of your own.

A crash at any instant changes nothing: each guest is greeted twice, and the moment between is not forgotten.
"""

import logging
from datetime import timedelta

from procession import (
    Attempt,
    Command,
    Effects,
    Event,
    Gateway,
    ProcessManager,
    Settings,
    Wiring,
    after,
    end,
    folds,
    on,
    starts,
)


class GuestArrived(Event, name="guest.arrived"):
    """A fact, in the past tense."""

    guest: str


class GuestGreeted(Event, name="guest.greeted"):
    """What the gateway answers."""

    guest: str


class MomentPassed(Event, name="greeting.moment_passed"):
    """A deadline: one of the flow's own events."""

    guest: str


class Greet(Command, name="guest.greet"):
    """A wish, in the imperative."""

    guest: str


class Greeting(ProcessManager, name="greeting", key="guest"):
    """One flow for each guest. Its fields are its state."""

    greeted: int = 0

    @folds  # how the state moves: pure, and all that is replayed after a crash
    def count(self, event: GuestGreeted) -> "Greeting":
        return self.evolve(greeted=self.greeted + 1)

    @starts  # what should be done: yielded here, done by a gateway
    def welcome(self, arrived: GuestArrived) -> Effects:
        yield Greet(arrived.guest)

    @on
    def wait_or_end(self, greeted: GuestGreeted) -> Effects:
        yield end("acquainted") if self.greeted > 1 else after(timedelta(seconds=1), MomentPassed(greeted.guest))

    @on
    def greet_again(self, passed: MomentPassed) -> Effects:
        yield Greet(passed.guest)


class Doorman(Gateway, name="doorman"):
    """The only place where work is done. `attempt.command_id` is the same at every retry."""

    async def greet(self, command: Greet, attempt: Attempt) -> GuestGreeted:
        logging.getLogger("greeting").info("Hello, %s! (%s)", command.guest, attempt.command_id)
        return GuestGreeted(command.guest)


def wire_production(settings: Settings) -> Wiring:
    """What runs in production."""
    return Wiring(processes=(Greeting,), gateways=(Doorman(),))


def wire_testing(settings: Settings) -> Wiring:
    """What runs in tests: the same flow, with gateways that need nothing outside."""
    return Wiring(processes=(Greeting,), gateways=(Doorman(),))
