"""Invariants judge what others can see of a flow; what can't judge is refused where it is marked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from procession import Command, Effects, Event, History, ProcessManager, ends, invariant, record, starts
from procession.errors import DefinitionError
from procession.primitives.history import Turned


class Lent(Event, name="book.lent"):
    book: str


class Returned(Event, name="book.returned"):
    book: str


class Noted(Event, name="book.noted"):
    book: str


class Remind(Command, name="book.remind"):
    book: str


class Loan(ProcessManager, name="loan", key="book"):
    @starts
    def remind(self, lent: Lent) -> Effects:
        yield Remind(lent.book)

    @ends
    def back(self, returned: Returned) -> None: ...


@invariant(Loan)
def reminded_once(history: History) -> bool:
    """Nobody is reminded twice.

    It would be rude.
    """
    return len(history.sent(Remind)) <= 1


LENT = Turned(Lent("b"), "remind", (Remind("b"), record(Noted("b"))))
RETURNED = Turned(Returned("b"), "back", (), "completed")


def test_an_invariant_judges_a_history() -> None:
    assert reminded_once(History(Loan, "b", (LENT, RETURNED)))
    assert not reminded_once(History(Loan, "b", (LENT, LENT)))


def test_an_invariant_says_its_first_line() -> None:
    assert reminded_once.says == "Nobody is reminded twice."
    assert reminded_once.name == "reminded_once"


def test_a_history_shows_what_was_handled_sent_and_recorded_in_order() -> None:
    history = History(Loan, "b", (LENT, RETURNED))
    assert history.handled(Lent, Returned) == (Lent("b"), Returned("b"))
    assert history.sent(Remind) == (Remind("b"),)
    assert history.recorded(Noted) == (Noted("b"),)
    assert history.outcome == "completed"
    assert History(Loan, "b").outcome is None


def test_a_history_can_begin_with_the_last_event_of_a_type() -> None:
    history = History(Loan, "b", (LENT, LENT, RETURNED))
    assert history.since(Lent).turns == (LENT, RETURNED)
    assert history.since(Lent, Returned).turns == (RETURNED,)
    assert history.since(Noted).turns == ()


async def _waits(history: History) -> bool:
    return True


def _takes_two(history: History, other: object) -> bool:
    return True


@pytest.mark.parametrize(("judge", "found"), [(_waits, "is no plain def"), (_takes_two, "does not take one history")])
def test_what_cannot_judge_is_refused(judge: Callable[[History], bool], found: str) -> None:
    with pytest.raises(DefinitionError, match=found):
        invariant(Loan)(judge)


def test_an_invariant_of_what_is_no_process_is_refused() -> None:
    with pytest.raises(DefinitionError, match="no process manager"):
        invariant(Lent)  # type: ignore[arg-type]  # that is the point
