"""An account before and after its events changed: the code that wrote a journal, and the code that goes on with it.

Three versions: cents of one currency; with the currency; and under another stored name, with another field as key.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import attrs
import trio

from procession import (
    Command,
    Effects,
    Event,
    FailureEvent,
    Gateway,
    ProcessManager,
    Runtime,
    Settings,
    after,
    cancel,
    folds,
    lifts,
    on,
    open_runtime,
    record,
    starts,
)
from procession.engine.clock import TrioClock
from procession.engine.opening import Since
from procession.journal.journal import Journal
from procession.primitives.lifts import AnyLift


class PaidV1(Event, name="account.paid"):
    key: str
    cents: int


class PaidV2(Event, name="account.paid", version=2):
    key: str
    cents: int
    currency: str


class Credited(Event, name="account.credited"):
    account: str
    cents: int
    currency: str


class FrozeV1(Event, name="account.froze"):
    key: str


class Thawed(Event, name="account.thawed"):
    key: str


class AuditAsked(Event, name="account.audit_asked"):
    key: str


class ReviewFailed(FailureEvent, name="account.review_failed"):
    key: str


class Report(Command, name="account.report"):
    """What the flow has seen: the only way to look at it."""

    key: str
    seen: tuple[str, ...]


class Pay(Command, name="account.pay"):
    key: str
    cents: int


class Clerk(Gateway, name="clerk", attempts_max=1, jitter=0):
    """Keeps the reports; pays as the version of its day does."""

    paid: type[Event] = PaidV1
    reports: list[Report] = attrs.field(factory=list)

    async def report(self, command: Report) -> None:
        self.reports.append(command)

    async def pay(self, command: Pay) -> PaidV1:
        return PaidV1(command.key, command.cents)

    @property
    def seen(self) -> tuple[str, ...]:
        """What the last report says."""
        return self.reports[-1].seen


class OldAccount(ProcessManager, name="account", key="key"):
    seen: tuple[str, ...] = ()

    @folds
    def paid(self, paid: PaidV1) -> OldAccount:
        return self.evolve(seen=(*self.seen, f"{paid.cents}"))

    @starts
    def open(self, thawed: Thawed) -> Effects:
        yield after(timedelta(days=1), PaidV1(thawed.key, 1))
        yield after(timedelta(days=2), FrozeV1(thawed.key))

    @on(missing="wait")
    def credit(self, paid: PaidV1) -> None: ...

    @on
    def freeze(self, froze: FrozeV1) -> None: ...

    @on
    def report(self, asked: AuditAsked) -> Effects:
        yield Report(asked.key, self.seen)


def key_of(event: Event) -> str:
    """An account, whatever the field is called."""
    return str(event.account if isinstance(event, Credited) else getattr(event, "key"))  # noqa: B009 - of any event


class Froze(Event, name="account.frozen"):
    key: str
    why: str


class Account(ProcessManager, name="account", key=key_of):
    """The same process, as it is today."""

    seen: tuple[str, ...] = ()

    @folds
    def credited(self, credited: Credited) -> Account:
        return self.evolve(seen=(*self.seen, f"{credited.cents} {credited.currency}"))

    @folds
    def frozen(self, froze: Froze) -> Account:
        return self.evolve(seen=(*self.seen, f"frozen {froze.why}"))

    @starts
    def open(self, thawed: Thawed) -> Effects:
        yield Pay(thawed.key, 7)
        yield record(PaidV1(thawed.key, 8))

    @on(missing="wait")
    def credit(self, credited: Credited) -> Effects:
        if credited.cents == -1:
            yield cancel(Froze)
        if credited.cents == -2:
            yield after(timedelta(days=5), Froze(credited.account, "later"))
        if credited.cents == -3:
            yield after(timedelta(hours=1), PaidV1(credited.account, 30))

    @on
    def freeze(self, froze: Froze) -> None: ...

    @on
    def report(self, asked: AuditAsked) -> Effects:
        yield Report(asked.key, self.seen)


class Ledger(ProcessManager, name="ledger", key=key_of):
    """Another process, concerned by the same events."""

    seen: tuple[str, ...] = ()

    @folds
    def credited(self, credited: Credited) -> Ledger:
        return self.evolve(seen=(*self.seen, f"{credited.cents} {credited.currency}"))

    @on(missing="start")
    def credit(self, credited: Credited) -> None: ...

    @on
    def report(self, asked: AuditAsked) -> Effects:
        yield Report(asked.key, self.seen)


@lifts
def in_euros(old: PaidV1) -> PaidV2:
    if old.cents == BAD_CENTS:
        raise ValueError("no such amount")
    return PaidV2(old.key, old.cents, "EUR")


@lifts
def renamed(old: PaidV2) -> Credited:
    return Credited(old.key, old.cents, old.currency)


@lifts
def with_reason(old: FrozeV1) -> Froze:
    return Froze(old.key, "unknown")


@lifts
def in_euros_mended(old: PaidV1) -> PaidV2:
    return PaidV2(old.key, old.cents, "EUR")


BAD_CENTS = 13
"""An amount that the first lift can't lift."""
LIFTS: tuple[AnyLift, ...] = (in_euros, renamed, with_reason)
MENDED: tuple[AnyLift, ...] = (in_euros_mended, renamed, with_reason)


@contextlib.asynccontextmanager
async def before(journal: Journal, settings: Settings | None = None) -> AsyncIterator[Runtime]:
    """The runtime as it was."""
    async with open_runtime(
        journal, processes=[OldAccount], gateways=[Clerk()], settings=settings, clock=TrioClock()
    ) as runtime:
        yield runtime


@contextlib.asynccontextmanager
async def today(
    journal: Journal,
    clerk: Gateway | None = None,
    *,
    lifts: Sequence[AnyLift] = LIFTS,
    processes: Sequence[type[ProcessManager]] = (Account,),
    since: Mapping[str, Since] | None = None,
    settings: Settings | None = None,
    **more: Any,  # noqa: ANN401 - passed on
) -> AsyncIterator[Runtime]:
    """The runtime as it is."""
    since = {"account": "now"} if since is None else since
    with trio.fail_after(864_000):
        async with open_runtime(
            journal,
            processes=processes,
            gateways=[clerk or Clerk()],
            lifts=lifts,
            since=since,
            settings=settings,
            clock=TrioClock(),
            **more,
        ) as runtime:
            yield runtime


async def seen_by(runtime: Runtime, clerk: Clerk, key: str) -> tuple[str, ...]:
    """What a flow says that it saw."""
    await runtime.publish(AuditAsked(key))
    await runtime.drain()
    return clerk.seen
