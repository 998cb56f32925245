"""What outlives a turn: hidden counters, shared state, and events or states that are changed in place."""

from __future__ import annotations

import itertools
from collections import deque
from contextvars import ContextVar
from typing import ClassVar

from procession import Effects, Event, ProcessManager, folds, on, starts
from tests.laws.planted.breach import Breach, placed_and_paid
from tests.laws.planted.messages import Declined, Note, Paid, Placed

count = 0
NUMBERS = itertools.count()
SEEN: list[str] = []
LAST: dict[str, str] = {}
RECENT: deque[str] = deque(maxlen=10)
PRICES: dict[str, int] = {"letter": 80, "parcel": 590}
WORDS: list[str] = ["letter", "parcel"]
TENANT: ContextVar[str] = ContextVar("planted_tenant", default="none")


class CountsGlobally(ProcessManager, name="planted.counts_globally", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        global count  # noqa: PLW0603 - what is to be found
        count += 1
        yield Note(placed.order_id, str(count))


class CountsInState(ProcessManager, name="planted.counts_in_state", key="order_id"):
    placed: int = 0

    @folds
    def was_placed(self, placed: Placed) -> CountsInState:
        return self.evolve(placed=self.placed + 1)

    @starts
    def note(self, placed: Placed) -> Effects:
        count = self.placed
        yield Note(placed.order_id, str(count))


class CountsByIterator(ProcessManager, name="planted.counts_by_iterator", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(next(NUMBERS)))


class CountsHere(ProcessManager, name="planted.counts_here", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        numbers = itertools.count()
        yield Note(placed.order_id, str(next(numbers)))


class AppendsToGlobal(ProcessManager, name="planted.appends_to_global", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        SEEN.append(placed.order_id)
        yield Note(placed.order_id, str(len(SEEN)))


class AppendsToLocal(ProcessManager, name="planted.appends_to_local", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        seen = list(WORDS)
        seen.append(placed.order_id)
        yield Note(placed.order_id, str(len(seen) + WORDS.count(placed.token)))


class WritesToGlobal(ProcessManager, name="planted.writes_to_global", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        LAST["order"] = LAST.get("order", "") + placed.order_id
        yield Note(placed.order_id, LAST["order"])


class ReadsTable(ProcessManager, name="planted.reads_table", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        mine = dict(PRICES)
        mine["other"] = 0
        yield Note(placed.order_id, str(PRICES[placed.token] + PRICES.get("other", 0) + mine["other"]))


class RemembersByHelper(ProcessManager, name="planted.remembers_by_helper", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, remember(RECENT, placed.order_id))


class RemembersHere(ProcessManager, name="planted.remembers_here", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, remember(deque(), placed.order_id))


def remember(where: deque[str], order_id: str) -> str:
    where.appendleft(order_id)
    return str(len(where))


def remembering() -> type[ProcessManager]:
    number = 0

    class CountsInClosure(ProcessManager, name="planted.counts_in_closure", key="order_id"):
        @starts
        def note(self, placed: Placed) -> Effects:
            nonlocal number
            number += 1
            yield Note(placed.order_id, str(number))

    return CountsInClosure


class CountsInOwnScope(ProcessManager, name="planted.counts_in_own_scope", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        number = 0

        def following() -> int:
            nonlocal number
            number += 1
            return number

        following()
        yield Note(placed.order_id, str(following()))


class SeesGlobal(ProcessManager, name="planted.sees_global", key="order_id"):
    """It only reads what another flow of the process writes."""

    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(len(SEEN)))


class ReadsContext(ProcessManager, name="planted.reads_context", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, TENANT.get())


# Law 6: a flow's state is its own, and can't change in place.


class SharesList(ProcessManager, name="planted.shares_list", key="order_id"):
    seen: ClassVar[list[str]] = []

    @starts
    def note(self, placed: Placed) -> Effects:
        self.seen.append(placed.order_id)
        yield Note(placed.order_id, str(len(self.seen)))


class SharesNothing(ProcessManager, name="planted.shares_nothing", key="order_id"):
    words: ClassVar[tuple[str, ...]] = ("letter", "parcel")
    seen: tuple[str, ...] = ()

    @folds
    def was_placed(self, placed: Placed) -> SharesNothing:
        return self.evolve(seen=(*self.seen, placed.order_id))

    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(len(self.seen) + self.words.index(placed.token)))


class SharesCounter(ProcessManager, name="planted.shares_counter", key="order_id"):
    total: ClassVar[int] = 0

    @starts
    def note(self, placed: Placed) -> Effects:
        type(self).total += 1
        yield Note(placed.order_id, str(self.total))


class ChangesState(ProcessManager, name="planted.changes_state", key="order_id"):
    placed: int = 0

    @starts
    def note(self, placed: Placed) -> Effects:
        object.__setattr__(self, "placed", self.placed + 1)
        yield Note(placed.order_id, str(self.placed))


class ChangesStateByDict(ProcessManager, name="planted.changes_state_by_dict", key="order_id"):
    placed: int = 0

    @starts
    def note(self, placed: Placed) -> Effects:
        self.__dict__["placed"] = 1
        yield Note(placed.order_id, str(self.placed))


class AssignsState(ProcessManager, name="planted.assigns_state", key="order_id"):
    placed: int = 0

    @starts
    def note(self, placed: Placed) -> Effects:
        self.placed = 1  # type: ignore[misc]  # what is to be found
        yield Note(placed.order_id, str(self.placed))


class SharesNothingByHelper(ProcessManager, name="planted.changes_by_helper", key="order_id"):
    placed: int = 0

    @starts
    def note(self, placed: Placed) -> Effects:
        mark(self)
        yield Note(placed.order_id, str(self.placed))


def mark(flow: object) -> None:
    flow.__dict__.update(placed=1)


# Law 1: an event can't change.


class ChangesEvent(ProcessManager, name="planted.changes_event", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        object.__setattr__(placed, "token", "changed")
        yield Note(placed.order_id, placed.token)


class ChangesEventInFold(ProcessManager, name="planted.changes_event_in_fold", key="order_id"):
    token: str = ""

    @starts
    def begin(self, placed: Placed) -> None: ...

    @folds
    def was_placed(self, placed: Placed) -> ChangesEventInFold:
        vars(placed)["token"] = "changed"
        return self.evolve(token=placed.token)


class AssignsEvent(ProcessManager, name="planted.assigns_event", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        placed.token = "changed"  # type: ignore[misc]  # what is to be found
        yield Note(placed.order_id, placed.token)


# Law 2: a failure event returns the previous state.


def placed_declined_and_paid() -> tuple[Event, ...]:
    placed, paid = placed_and_paid()
    return placed, Declined("o1", "no funds"), paid


class FailureChangesState(ProcessManager, name="planted.failure_changes_state", key="order_id"):
    failures: int = 0

    @starts
    def begin(self, placed: Placed) -> None: ...

    @on
    def failed(self, declined: Declined) -> None:
        object.__setattr__(self, "failures", self.failures + 1)

    @on
    def note(self, paid: Paid) -> Effects:
        yield Note(paid.order_id, str(self.failures))


class FailureChangesDict(ProcessManager, name="planted.failure_changes_dict", key="order_id"):
    failures: int = 0

    @starts
    def begin(self, placed: Placed) -> None: ...

    @on
    def failed(self, declined: Declined) -> None:
        self.__dict__["failures"] = self.failures + 1

    @on
    def note(self, paid: Paid) -> Effects:
        yield Note(paid.order_id, str(self.failures))


class FailureReturnsState(ProcessManager, name="planted.failure_returns_state", key="order_id"):
    failures: int = 0

    @starts
    def begin(self, placed: Placed) -> None: ...

    @on
    def failed(self, declined: Declined) -> FailureReturnsState:
        return self.evolve(failures=self.failures + 1)


class FailureAnswered(ProcessManager, name="planted.failure_answered", key="order_id"):
    paid_cents: int = 0

    @starts
    def begin(self, placed: Placed) -> None: ...

    @folds
    def was_paid(self, paid: Paid) -> FailureAnswered:
        return self.evolve(paid_cents=paid.amount_cents)

    @on
    def failed(self, declined: Declined) -> Effects:
        yield Note(declined.order_id, declined.reason)


SHARED = (
    Breach("global counter", "LAW03", "refused", lambda: CountsGlobally, lambda: CountsInState),
    Breach("global iterator", "LAW03", "refused", lambda: CountsByIterator, lambda: CountsHere),
    Breach("global list appended to", "LAW03", "refused", lambda: AppendsToGlobal, lambda: AppendsToLocal),
    Breach("global dict written to", "LAW03", "refused", lambda: WritesToGlobal, lambda: ReadsTable),
    Breach("global deque by helper", "LAW03", "refused", lambda: RemembersByHelper, lambda: RemembersHere),
    Breach("counter in a closure", "LAW03", "refused", remembering, lambda: CountsInOwnScope),
    Breach("global that others write", "LAW03", "missed", lambda: SeesGlobal, lambda: AppendsToLocal),
    Breach("context variable", "LAW03", "refused", lambda: ReadsContext, lambda: CountsHere),
    Breach("list shared by all flows", "LAW06", "refused", lambda: SharesList, lambda: SharesNothing),
    Breach("counter shared by all flows", "LAW06", "refused", lambda: SharesCounter, lambda: SharesNothing),
    Breach("state changed by object.__setattr__", "LAW06", "refused", lambda: ChangesState, lambda: SharesNothing),
    Breach("state changed by its __dict__", "LAW06", "refused", lambda: ChangesStateByDict, lambda: SharesNothing),
    Breach("state assigned to", "LAW06", "refused", lambda: AssignsState, lambda: SharesNothing),
    Breach("state changed by helper", "LAW06", "refused", lambda: SharesNothingByHelper, lambda: SharesNothing),
    Breach("event changed by object.__setattr__", "LAW01", "refused", lambda: ChangesEvent, lambda: SharesNothing),
    Breach("event changed in a fold", "LAW01", "refused", lambda: ChangesEventInFold, lambda: SharesNothing),
    Breach("event assigned to", "LAW01", "refused", lambda: AssignsEvent, lambda: SharesNothing),
    Breach(
        "failure changes state by object.__setattr__",
        "LAW02",
        "refused",
        lambda: FailureChangesState,
        lambda: FailureAnswered,
        history=placed_declined_and_paid,
    ),
    Breach(
        "failure changes state by its __dict__",
        "LAW02",
        "refused",
        lambda: FailureChangesDict,
        lambda: FailureAnswered,
        history=placed_declined_and_paid,
    ),
    Breach(
        "failure returns a state",
        "LAW02",
        "found",
        lambda: FailureReturnsState,
        lambda: FailureAnswered,
        history=placed_declined_and_paid,
    ),
)
