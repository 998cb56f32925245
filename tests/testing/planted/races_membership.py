"""A membership that is paid each month, and that its member may leave at any time: repaired, and with three races."""

from __future__ import annotations

from datetime import timedelta

from procession import (
    Command,
    Effects,
    Event,
    Gateway,
    History,
    ProcessManager,
    after,
    cancel,
    end,
    folds,
    invariant,
    on,
    starts,
)

MONTH = timedelta(days=30)


class Joined(Event, name="race.joined"):
    member: str


class Left(Event, name="race.left"):
    member: str


class MonthPassed(Event, name="race.month_passed"):
    member: str


class FeeCharged(Event, name="race.fee_charged"):
    member: str


class FeeDeclined(Event, name="race.fee_declined"):
    member: str


class LockedOut(Event, name="race.locked_out"):
    member: str


class ChargeFee(Command, name="race.charge_fee"):
    member: str


class LockOut(Command, name="race.lock_out"):
    member: str


class Membership(ProcessManager, name="race.membership", key="member"):
    left: bool = False
    charging: bool = False
    locking: bool = False

    @folds
    def has_left(self, left: Left) -> Membership:
        return self.evolve(left=True)

    @folds
    def is_charged(self, passed: MonthPassed) -> Membership:
        return self.evolve(charging=True)

    @folds
    def was_charged(self, charged: FeeCharged) -> Membership:
        return self.evolve(charging=False)

    @folds
    def was_declined(self, declined: FeeDeclined) -> Membership:
        return self.evolve(charging=False, locking=not self.left)

    @starts
    def wait_a_month(self, joined: Joined) -> Effects:
        yield after(MONTH, MonthPassed(joined.member))

    @on
    def charge(self, passed: MonthPassed) -> Effects:
        yield ChargeFee(passed.member)

    @on
    def go_on(self, charged: FeeCharged) -> Effects:
        if self.left:
            yield end("left")
        else:
            yield after(MONTH, MonthPassed(charged.member))

    @on
    def lock_out(self, declined: FeeDeclined) -> Effects:
        if self.left:
            yield end("left")
        else:
            yield LockOut(declined.member)

    @on
    def leave(self, left: Left) -> Effects:
        yield cancel(MonthPassed)
        if not self.charging and not self.locking:
            yield end("left")

    @on
    def locked_out(self, locked_out: LockedOut) -> Effects:
        yield end("locked out")


class ChargedAfterLeaving(Membership, name="race.membership.charged_after_leaving", key="member"):
    """A charge that is under way when the member leaves begins another month."""

    @on
    def go_on(self, charged: FeeCharged) -> Effects:
        yield after(MONTH, MonthPassed(charged.member))


class StuckAfterDecline(Membership, name="race.membership.stuck_after_decline", key="member"):
    """Who has left before the fee is declined is not locked out, and nothing ends it."""

    @on
    def lock_out(self, declined: FeeDeclined) -> Effects:
        if not self.left:
            yield LockOut(declined.member)


class TimerAfterEnd(Membership, name="race.membership.timer_after_end", key="member"):
    """The next month is armed before it is asked whether there is one."""

    @on
    def go_on(self, charged: FeeCharged) -> Effects:
        yield after(MONTH, MonthPassed(charged.member))
        if self.left:
            yield end("left")


class Treasury(Gateway, name="race.treasury"):
    async def charge(self, command: ChargeFee) -> FeeCharged | FeeDeclined:
        raise NotImplementedError

    async def lock_out(self, command: LockOut) -> LockedOut:
        raise NotImplementedError


GATEWAYS = (Treasury,)


@invariant(Membership)
def never_charges_who_has_left(history: History) -> bool:
    return not history.since(Left).handled(MonthPassed)
