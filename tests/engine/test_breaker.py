"""Rule 17's parts: when the breaker and the rate let an attempt begin."""

from __future__ import annotations

import pytest

from procession.engine.breaker import Breaker, RateLimit


def test_a_breaker_opens_after_so_many_failures_in_a_row() -> None:
    breaker = Breaker(3, 10)
    assert [breaker.failed(0), breaker.failed(0), breaker.failed(0)] == [False, False, True]
    assert not breaker.may_begin(9.9)


def test_a_success_begins_a_new_count() -> None:
    breaker = Breaker(2, 10)
    breaker.failed(0)
    breaker.succeeded()
    assert not breaker.failed(0)
    assert breaker.may_begin(0)


def test_after_the_cool_down_one_attempt_probes() -> None:
    breaker = Breaker(1, 10)
    breaker.failed(0)
    assert breaker.wakes_at() == 10
    assert breaker.may_begin(10)
    breaker.begun()
    assert not breaker.may_begin(10)


def test_a_probe_that_fails_opens_the_breaker_again() -> None:
    breaker = Breaker(5, 10)
    for _ in range(5):
        breaker.failed(0)
    breaker.may_begin(10)
    breaker.begun()
    assert breaker.failed(11)
    assert (breaker.may_begin(20), breaker.may_begin(21)) == (False, True)


def test_a_probe_that_succeeds_closes_the_breaker() -> None:
    breaker = Breaker(1, 10)
    breaker.failed(0)
    breaker.may_begin(10)
    breaker.begun()
    breaker.succeeded()
    assert (breaker.state, breaker.may_begin(10)) == ("closed", True)


def test_a_probe_that_we_cancelled_says_nothing() -> None:
    breaker = Breaker(1, 10)
    breaker.failed(0)
    breaker.may_begin(10)
    breaker.begun()
    breaker.abandoned()
    assert (breaker.state, breaker.may_begin(10)) == ("half_open", True)


def test_a_bucket_holds_one_second_of_attempts() -> None:
    rate = RateLimit(3)
    begun = 0
    while rate.may_begin(0):
        rate.begun()
        begun += 1
    assert begun == 3
    assert rate.wakes_at(0) == pytest.approx(1 / 3)


def test_a_bucket_fills_with_time() -> None:
    rate = RateLimit(0.5)
    assert rate.may_begin(0)
    rate.begun()
    assert not rate.may_begin(1.9)
    assert rate.may_begin(2)


def test_without_a_rate_nothing_is_held_back() -> None:
    rate = RateLimit(None)
    rate.begun()
    assert rate.may_begin(0)
    assert rate.wakes_at(0) is None
