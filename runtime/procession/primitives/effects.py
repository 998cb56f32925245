"""Effects: what a reaction asks for. Yield a command, or one of these."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import attrs

from procession.primitives.command import Command
from procession.primitives.event import Event
from procession.primitives.stored import stored_of

OUTCOME_CHARS_MAX = 100


@attrs.frozen
class After:
    """A deadline relative to the turn's commit request."""

    delay: datetime.timedelta
    event: Event
    name: str


@attrs.frozen
class At:
    """A deadline at an absolute time."""

    when: datetime.datetime
    event: Event
    name: str


@attrs.frozen
class Cancel:
    """Disarm a timer; nothing where none of this name is armed."""

    name: str


@attrs.frozen
class End:
    """The flow ends after this turn."""

    outcome: str


@attrs.frozen
class Record:
    """A fact that the flow itself found: journaled in the same commit, folded next."""

    event: Event


Effect = Command | After | At | Cancel | End | Record
Effects = Iterator[Effect]


def after(delay: datetime.timedelta, event: Event, *, name: str | None = None) -> After:
    """When the delay has passed, the flow gets `event`. Arming the same name again replaces it.

    Args:
        delay: from the commit of this turn; not negative.
        event: one of your own, in the past tense: "the payment window closed".
        name: tells timers of one event type apart; default: the event's stored name.
    """
    if delay < datetime.timedelta(0):
        msg = f"a delay of {delay} is in the past; give at least zero"
        raise ValueError(msg)
    return After(delay, event, name or stored_of(type(event)).name)


def at(when: datetime.datetime, event: Event, *, name: str | None = None) -> At:
    """At the given time (with a time zone), the flow gets `event`. A time that is past fires at once."""
    if when.tzinfo is None:
        msg = f"{when} has no time zone; give one, for example datetime.UTC"
        raise ValueError(msg)
    return At(when, event, name or stored_of(type(event)).name)


def cancel(timer: type[Event] | str) -> Cancel:
    """Disarm the timer of this event type or name, also when it has fired and is not handled yet."""
    return Cancel(timer if isinstance(timer, str) else stored_of(timer).name)


def end(outcome: str = "completed") -> End:
    """End the flow with this turn; its timers go, commands already yielded are still delivered."""
    if not outcome or len(outcome) > OUTCOME_CHARS_MAX or not outcome.isprintable():
        msg = f"the outcome {outcome[:40]!r} must be printable, of 1 to {OUTCOME_CHARS_MAX} characters"
        raise ValueError(msg)
    return End(outcome)


def record(event: Event) -> Record:
    """Journal a fact in the same commit; it is folded next, and other flows that it concerns get it."""
    return Record(event)
