"""What a test has gateways do: answers, errors, delays, silence; one for each attempt, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import attrs
import trio

from procession.errors import WiringError
from procession.primitives.command import Command
from procession.primitives.event import Event
from procession.primitives.gateway import Attempt, CommandMethod

Value: TypeAlias = Event | tuple[Event, ...] | None


@attrs.frozen
class Raised:
    """The call raises."""

    error: BaseException | type[BaseException]


@attrs.frozen
class Delayed:
    """Something happens after a while; where that is longer than the gateway's time-out, the time-out comes first."""

    seconds: float
    then: Value | Raised | Silence


class Silence:
    """The call never returns: its time-out ends it."""

    def __repr__(self) -> str:
        return "SILENCE"


SILENCE = Silence()
Played: TypeAlias = Value | Raised | Delayed | Silence
Entry: TypeAlias = Played | Callable[..., Played]
"""One attempt, or a function of its command that says what happens."""


def raises(error: BaseException | type[BaseException]) -> Raised:
    """The attempt raises this; `Refused` is a no for good, any other error is retried by the gateway's policy."""
    return Raised(error)


def delay(seconds: float, then: Value | Raised | Silence) -> Delayed:
    """The attempt takes so long, in virtual time."""
    return Delayed(seconds, then)


@attrs.define(eq=False)
class Script:
    """What happens to the attempts of commands of one type, of one flow or of all."""

    method: CommandMethod
    key: str | None
    _entries: Iterator[Entry]

    @classmethod
    def of(cls, method: CommandMethod, key: str | None, entries: Iterable[Entry]) -> Script:
        """A script whose entries are used one for each attempt.

        Raises:
            WiringError: an answer breaks the gateway's contract.
        """
        if isinstance(entries, list | tuple):
            for entry in entries:
                _check(method, entry)
        return cls(method, key, iter(entries))

    def next(self, command: Command) -> tuple[bool, Played]:
        """Whether there is an entry left for this attempt, and what it says."""
        for entry in self._entries:
            played = entry(command) if callable(entry) else entry
            _check(self.method, played)
            return True, played
        return False, None


async def perform(played: Played) -> Value:
    """Do what an entry says."""
    if isinstance(played, Delayed):
        await trio.sleep(played.seconds)
        played = played.then
    if isinstance(played, Raised):
        raise played.error
    if isinstance(played, Silence):
        await trio.sleep_forever()
    assert not isinstance(played, Delayed | Raised | Silence)
    return played


@attrs.frozen
class Called:
    """One attempt, as its gateway saw it."""

    command: Command
    attempt: Attempt


def _check(method: CommandMethod, entry: Entry) -> None:
    value = entry.then if isinstance(entry, Delayed) else entry
    if isinstance(value, Raised | Silence) or (callable(value) and not isinstance(value, Event)):
        return
    if not method.contract.accepts(value):
        raise WiringError(
            f"{value!r:.200} is scripted as an answer to {method.command.__name__}",
            f"its contract is {method.contract.shown}; for an error write raises(...)",
        )
