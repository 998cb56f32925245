"""The log made for tests has the properties of the real one."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from flows.loan_application import (
    AApproved,
    ACancelled,
    ADeclined,
    AnswerWindowClosed,
    LoanApplication,
    wire_simulated,
)
from flows.simulated.weather import CALM
from procession import Event
from procession.primitives.registration import build_registry
from procession.testing.scenario import Scenario, given
from tests.flows.loan_log import EVENT_TYPES, LoanLog, loan_log

OUTCOMES: dict[type[Event], str] = {AApproved: "approved", ADeclined: "declined", ACancelled: "cancelled"}


@pytest.fixture
def log() -> LoanLog:
    return loan_log(applications=60)


def test_the_same_seed_gives_the_same_log(log: LoanLog) -> None:
    assert loan_log(applications=60) == log


def test_every_type_occurs_even_in_the_smallest_log() -> None:
    assert {event["type"] for event in loan_log(applications=4).events} == set(EVENT_TYPES)


def test_ids_are_unique(log: LoanLog) -> None:
    assert len({event["id"] for event in log.events}) == len(log.events)


def test_times_only_rise(log: LoanLog) -> None:
    times = [str(event["time"]) for event in log.events]
    assert times == sorted(times)


def test_applications_are_interleaved(log: LoanLog) -> None:
    subjects = [event["subject"] for event in log.events]
    assert sum(one != other for one, other in pairwise(subjects)) > log.flows


def test_the_flow_gives_the_figures_that_the_log_promises(log: LoanLog) -> None:
    figures = followed(log)
    assert (figures.outcomes, figures.still_open, figures.late, figures.offers_waiting) == (
        log.outcomes,
        log.still_open,
        log.late,
        log.offers_waiting,
    )


def followed(log: LoanLog) -> LoanLog:
    """The figures as the flow gives them, application by application; every claim is also checked on the way."""
    wiring = wire_simulated(CALM)
    registry = build_registry(wiring.processes, wiring.gateways)
    messages: dict[object, list[Event]] = {}
    for event in log.events:
        message = registry.codec.structure(registry.event_class(str(event["type"])), event["data"])
        messages.setdefault(event["subject"], []).append(message)
    outcomes = dict.fromkeys(log.outcomes, 0)
    still_open = late = offers_waiting = 0
    for case_id, history in messages.items():
        types = [type(message) for message in history]
        decided = next((at for at, cls in enumerate(types) if cls in OUTCOMES), len(types))
        flow = given(LoanApplication, *history[:decided])
        if decided == len(types):
            flow.elapse(timedelta(0)).then_goes_on()
            still_open += 1
            offers_waiting += waits_for_an_answer(flow, str(case_id))
            continue
        outcome = OUTCOMES[types[decided]]
        ended = flow.when(history[decided]).then_ends(outcome)
        outcomes[outcome] += 1
        for message in history[decided + 1 :]:
            ended.when(message).then_refused("late")
            late += 1
    return LoanLog(log.events, len(messages), outcomes, still_open, late, offers_waiting)


def waits_for_an_answer(flow: Scenario, case_id: str) -> bool:
    try:
        flow.elapse(timedelta(0)).then_armed(AnswerWindowClosed(case_id))
    except AssertionError:
        return False
    return True
