"""Given what happened, when something more happens, then this is asked for. No state, no clock, no gateway."""

from datetime import timedelta

from flows.greeting import Greet, Greeting, GuestArrived, GuestGreeted, MomentPassed

from procession.testing import given

arrived, greeted = GuestArrived("ann"), GuestGreeted("ann")


def test_a_guest_who_arrives_is_greeted() -> None:
    given(Greeting).when(arrived).then(Greet("ann"))


def test_a_greeted_guest_is_left_alone_for_a_moment() -> None:
    given(Greeting, arrived).when(greeted).then_armed(MomentPassed("ann"), after=timedelta(seconds=1))


def test_a_guest_is_greeted_again_a_moment_later() -> None:
    given(Greeting, arrived, greeted).elapse(timedelta(seconds=1)).then(Greet("ann"))


def test_a_guest_who_was_greeted_twice_is_acquainted() -> None:
    given(Greeting, arrived, greeted, MomentPassed("ann")).when(greeted).then_ends("acquainted")
