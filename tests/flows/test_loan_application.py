"""Loan applications, by what they ask for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flows.loan_application import (
    AActivated,
    AApproved,
    ACancelled,
    ADeclined,
    AnswerWindowClosed,
    APartlySubmitted,
    AskAboutOffer,
    ASubmitted,
    LoanApplication,
    OAccepted,
    OCancelled,
    ODeclined,
    OfferFollowedUp,
    OSent,
    OSentBack,
    WorkCompleted,
)
from procession import CommandGivenUp, Event
from procession.primitives.definition import compile_definition
from procession.primitives.stored import stored_of
from procession.testing.scenario import given
from tests.flows.loan_log import EVENT_TYPES

TWO_WEEKS = timedelta(days=14)
SUBMITTED = ASubmitted("173688", "2011-10-01", "20000")
submitted = given(LoanApplication, SUBMITTED)
offered = given(LoanApplication, SUBMITTED, OSent("173688"))
closed, followed_up = AnswerWindowClosed("173688"), OfferFollowedUp("173688")


def test_an_application_is_concerned_by_every_type_of_the_log() -> None:
    concerned = {stored_of(event).name for event in compile_definition(LoanApplication).concerned}
    assert concerned >= set(EVENT_TYPES)


def test_a_submitted_application_goes_on() -> None:
    given(LoanApplication).when(SUBMITTED).then_nothing().then_goes_on()


@pytest.mark.parametrize(
    "event", [APartlySubmitted("173688"), WorkCompleted("173688", "W_Beoordelen fraude", "112")], ids=str
)
def test_what_the_flow_only_watches_leads_to_nothing(event: Event) -> None:
    submitted.when(event).then_nothing().then_goes_on()


@pytest.mark.parametrize(
    ("decision", "outcome"),
    [(AApproved("173688"), "approved"), (ADeclined("173688"), "declined"), (ACancelled("173688"), "cancelled")],
    ids=["approved", "declined", "cancelled"],
)
def test_the_decision_is_the_outcome(decision: Event, outcome: str) -> None:
    submitted.when(decision).then_ends(outcome)


@pytest.mark.parametrize("event", [AActivated("173688"), OAccepted("173688"), WorkCompleted("173688", "W_x")], ids=str)
def test_what_follows_the_decision_is_late(event: Event) -> None:
    submitted.when(AApproved("173688")).when(event).then_refused("late")


def test_a_second_submission_is_already_started() -> None:
    submitted.when(SUBMITTED).then_refused("already_started")


def test_an_event_before_the_submission_misses_its_flow() -> None:
    given(LoanApplication).when(OSent("173688")).then_refused("missing")


def test_an_offer_is_to_be_answered_in_two_weeks() -> None:
    submitted.when(OSent("173688")).then_nothing().then_armed(closed, after=TWO_WEEKS)


def test_an_unanswered_offer_is_followed_up() -> None:
    offered.elapse(TWO_WEEKS).then(AskAboutOffer("173688"))


def test_an_offer_is_not_followed_up_a_moment_too_early() -> None:
    offered.elapse(TWO_WEEKS - timedelta(microseconds=1)).then_nothing()


@pytest.mark.parametrize(
    "answer",
    [OSentBack("173688"), OAccepted("173688"), ODeclined("173688"), OCancelled("173688")],
    ids=lambda answer: type(answer).__name__,
)
def test_an_answered_offer_is_not_followed_up(answer: Event) -> None:
    offered.when(answer).then_unarmed().elapse(TWO_WEEKS).then_nothing()


def test_a_decided_application_is_not_followed_up() -> None:
    offered.when(ACancelled("173688")).then_unarmed().elapse(TWO_WEEKS).then_nothing()


def test_a_new_offer_starts_the_time_anew() -> None:
    again = offered.elapse(timedelta(days=10)).when(OCancelled("173688"), OSent("173688"))
    again.elapse(timedelta(days=13)).then_nothing()


def test_a_followed_up_offer_is_expected_again() -> None:
    offered.elapse(TWO_WEEKS).when(followed_up).then_armed(closed, after=TWO_WEEKS)


def test_an_answer_that_crosses_our_letter_ends_the_wait() -> None:
    offered.elapse(TWO_WEEKS).when(OSentBack("173688"), followed_up).then_unarmed()


def test_an_offer_is_followed_up_three_times_at_most() -> None:
    twice = offered.elapse(TWO_WEEKS).when(followed_up).elapse(TWO_WEEKS).when(followed_up)
    twice.elapse(TWO_WEEKS).then(AskAboutOffer("173688")).when(followed_up).then_unarmed()


def test_a_letter_given_up_is_tried_again_two_weeks_later() -> None:
    lost = CommandGivenUp(AskAboutOffer("173688"), "c1", "unknown", 5, "no answer")
    offered.elapse(TWO_WEEKS).when(lost).then_nothing().then_armed(closed, after=TWO_WEEKS)


def test_a_letter_given_up_after_the_answer_is_forgotten() -> None:
    lost = CommandGivenUp(AskAboutOffer("173688"), "c1", "unknown", 5, "no answer")
    offered.elapse(TWO_WEEKS).when(OSentBack("173688"), lost).then_unarmed()


@pytest.mark.parametrize(
    "crossing",
    [followed_up, CommandGivenUp(AskAboutOffer("173688"), "c1", "unknown", 5, "no answer")],
    ids=["answered", "given up"],
)
def test_a_letter_under_way_when_the_bank_decides_is_ignored_on_purpose(crossing: Event) -> None:
    offered.elapse(TWO_WEEKS).when(AApproved("173688")).when(crossing).then_refused("ignored")
