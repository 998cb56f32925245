"""Effects: what a reaction may ask for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from procession import Event, after, at, cancel, end, record
from procession.errors import DefinitionError
from procession.primitives.effects import After, At, Cancel, End, Record


class Overdue(Event, name="test.overdue"):
    order: str


NEW_YEAR = datetime(2001, 1, 1, tzinfo=UTC)


def test_a_timer_has_the_name_of_its_event() -> None:
    assert after(timedelta(0), Overdue("421")) == After(timedelta(0), Overdue("421"), "test.overdue")


def test_a_timer_may_have_a_name_of_its_own() -> None:
    assert at(NEW_YEAR, Overdue("421"), name="second") == At(NEW_YEAR, Overdue("421"), "second")


def test_an_absolute_timer_has_the_name_of_its_event() -> None:
    assert at(NEW_YEAR, Overdue("421")).name == "test.overdue"


def test_a_timer_is_cancelled_by_its_event_type() -> None:
    assert cancel(Overdue) == Cancel("test.overdue")


def test_a_timer_is_cancelled_by_its_name() -> None:
    assert cancel("second") == Cancel("second")


def test_an_end_is_completed_unless_it_says_otherwise() -> None:
    assert (end(), end("approved")) == (End("completed"), End("approved"))


def test_a_fact_is_recorded_as_it_is() -> None:
    assert record(Overdue("421")) == Record(Overdue("421"))


def test_a_delay_is_not_in_the_past() -> None:
    with pytest.raises(ValueError, match="is in the past"):
        after(timedelta(seconds=-1), Overdue("421"))


def test_an_absolute_time_has_a_time_zone() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        at(NEW_YEAR.replace(tzinfo=None), Overdue("421"))


def test_a_class_without_a_stored_name_is_no_timer() -> None:
    with pytest.raises(DefinitionError, match="Event has no stored name"):
        cancel(Event)


@pytest.mark.parametrize("outcome", ["", "a\nb", "a" * 101], ids=["empty", "unprintable", "too long"])
def test_an_outcome_is_short_and_printable(outcome: str) -> None:
    with pytest.raises(ValueError, match="must be printable"):
        end(outcome)
