"""What tests may ask for: a state, which breaks law 10, or an outcome."""

from __future__ import annotations

from collections.abc import Sequence

from procession import Event
from procession.testing import given
from tests.laws.planted.shared import FailureAnswered


def state_after(events: Sequence[Event]) -> FailureAnswered:
    return FailureAnswered()


def goes_on_after(events: Sequence[Event]) -> None:
    given(FailureAnswered, *events[:-1]).when(*events[-1:]).then_nothing()
