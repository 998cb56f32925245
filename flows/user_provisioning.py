"""User provisioning: accounts in several systems at once, all of them or none.

    ProvisioningRequested → CreateAccount in each system, in parallel (fan-out)
                            ├ all created → provisioned (fan-in)
                            └ one refused → RemoveAccount wherever one was, or is still being, created → rolled_back

An account that is still being created when another is refused can't be called back: it is removed once it is there.
A removal that was given up has no handler: the flow goes to quarantine, since an account that nobody owns must not be
forgotten.
"""

from __future__ import annotations

from typing import Protocol

from flows.simulated.accounts import SimulatedAccounts
from flows.simulated.weather import CALM, Weather
from procession import (
    Attempt,
    Command,
    CommandGivenUp,
    Effects,
    Event,
    Gateway,
    History,
    ProcessManager,
    Settings,
    Wiring,
    end,
    folds,
    invariant,
    on,
    record,
    starts,
)

# What can happen.


class ProvisioningRequested(Event, name="user.provisioning_requested"):
    """Someone new needs accounts; here it begins."""

    user_id: str
    systems: tuple[str, ...]


class AccountCreated(Event, name="account.created"):
    """The user has an account there."""

    user_id: str
    system: str


class AccountRefused(Event, name="account.refused"):
    """The system does not want this user."""

    user_id: str
    system: str


class AccountRemoved(Event, name="account.removed"):
    """The user has no account there any more."""

    user_id: str
    system: str


class AccountLost(Event, name="account.lost"):
    """A system was given up. There may be an account, or not."""

    user_id: str
    system: str
    perhaps_created: bool


# What the flow may ask for.


class CreateAccount(Command, name="account.create"):
    """Create it."""

    user_id: str
    system: str


class RemoveAccount(Command, name="account.remove"):
    """Remove it, if it is there."""

    user_id: str
    system: str


# The flow.


class Provisioning(ProcessManager, name="provisioning", key="user_id"):
    """One user. `asked` are the systems that have not answered, `there` those in which something may be left."""

    asked: frozenset[str] = frozenset()
    there: frozenset[str] = frozenset()
    failures: int = 0

    # How the state moves. Only this is replayed.

    @folds
    def was_requested(self, event: ProvisioningRequested) -> Provisioning:
        return self.evolve(asked=frozenset(event.systems))

    @folds
    def was_created(self, event: AccountCreated) -> Provisioning:
        return self.evolve(asked=self.asked - {event.system}, there=self.there | {event.system})

    @folds
    def was_refused(self, event: AccountRefused) -> Provisioning:
        return self.evolve(asked=self.asked - {event.system}, failures=self.failures + 1)

    @folds
    def was_lost(self, event: AccountLost) -> Provisioning:
        there = self.there | {event.system} if event.perhaps_created else self.there
        return self.evolve(asked=self.asked - {event.system}, there=there, failures=self.failures + 1)

    @folds
    def was_removed(self, event: AccountRemoved) -> Provisioning:
        return self.evolve(there=self.there - {event.system})

    # What follows from it.

    @starts
    def create_all(self, requested: ProvisioningRequested) -> Effects:
        """Ask all systems at once. None to ask is all of them."""
        for system in sorted(self.asked):
            yield CreateAccount(requested.user_id, system)
        if not self.asked:
            yield end("provisioned")

    @on
    def count_or_remove(self, created: AccountCreated) -> Effects:
        """The last one, and none refused: done. Too late, since another refused: remove it again."""
        if self.failures:
            yield RemoveAccount(created.user_id, created.system)
        elif not self.asked:
            yield end("provisioned")

    @on
    def roll_back(self, failed: AccountRefused | AccountLost) -> Effects:
        """The first refusal removes all that is there; a lost account may be there as well."""
        for system in sorted(self.there):
            if self.failures == 1 or system == failed.system:
                yield RemoveAccount(failed.user_id, system)
        if not self.asked and not self.there:
            yield end("rolled_back")

    @on
    def removed(self, removed: AccountRemoved) -> Effects:
        """Rolled back once every system has answered and nothing is left."""
        if not self.asked and not self.there:
            yield end("rolled_back")

    @on
    def creation_given_up(self, given_up: CommandGivenUp[CreateAccount]) -> Effects:
        """A failure never changes state: what the flow must remember of it, it records as a fact."""
        command = given_up.command
        yield record(AccountLost(command.user_id, command.system, perhaps_created=given_up.reason == "unknown"))


# What must hold of every user, in whatever order systems answer.


@invariant(Provisioning)
def all_or_none(history: History) -> bool:
    """A user who is provisioned has every account that was asked for; one who is not has none left."""
    created = {event.system for event in history.handled(AccountCreated)}
    lost = {event.system for event in history.handled(AccountLost) if event.perhaps_created}
    removed = {event.system for event in history.handled(AccountRemoved)}
    if history.outcome == "provisioned":
        return created == {command.system for command in history.sent(CreateAccount)} and not removed
    return history.outcome is None or removed >= created | lost


@invariant(Provisioning)
def removes_nothing_twice(history: History) -> bool:
    """Nobody is asked again to remove the same account."""
    removals = history.sent(RemoveAccount)
    return len(removals) == len(set(removals))


# Where the work is done. Systems of yours take the place of simulated ones if they have these methods.


class AccountSystems(Protocol):
    """What the flow needs of the systems. `attempt.command_id` is the idempotency key."""

    async def create(self, system: str, user_id: str, attempt: Attempt) -> bool: ...
    async def remove(self, system: str, user_id: str, attempt: Attempt) -> None: ...


class Accounts(Gateway, name="accounts", concurrency=32):
    """Asks the systems, and says in events what they answered."""

    systems: AccountSystems

    async def create(self, command: CreateAccount, attempt: Attempt) -> AccountCreated | AccountRefused:
        created = await self.systems.create(command.system, command.user_id, attempt)
        answer = AccountCreated if created else AccountRefused
        return answer(command.user_id, command.system)

    async def remove(self, command: RemoveAccount, attempt: Attempt) -> AccountRemoved:
        await self.systems.remove(command.system, command.user_id, attempt)
        return AccountRemoved(command.user_id, command.system)


def wire_production(settings: Settings) -> Wiring:
    """A reference flow has no real systems behind it: these are simulated, a little slow. Swap in your own."""
    return wire_simulated(Weather(latency_s=0.02, slow_share=0.01, slow_s=0.5))


def wire_testing(settings: Settings) -> Wiring:
    """The same gateway; the systems answer at once, and always with yes."""
    return wire_simulated(CALM)


def wire_simulated(weather: Weather) -> Wiring:
    """Simulated systems in this weather."""
    return Wiring(
        processes=(Provisioning,),
        gateways=(Accounts(SimulatedAccounts(weather)),),
        invariants=(all_or_none, removes_nothing_twice),
    )
