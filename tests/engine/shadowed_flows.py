"""Flows that other processes can import by name; some of them are not pure."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from procession import Command, Effects, Event, Gateway, ProcessManager, allows, folds, on, record, starts

HIDDEN: dict[str, Callable[..., Any]] = {"clock": time.time, "exit": os._exit, "write": os.write}


def hidden(name: str, *arguments: object) -> Any:  # noqa: ANN401 - as the function that is meant
    """What no scan finds: a runtime would not open with it."""
    return HIDDEN[name.strip()](*arguments)


class Counted(Event, name="shadowed.counted"):
    key: str
    amount: int
    by: str = ""


class Asked(Event, name="shadowed.asked"):
    key: str


class Noted(Event, name="shadowed.noted"):
    key: str
    text: str


class Say(Command, name="shadowed.say"):
    key: str
    text: str


class Speaker(Gateway, name="speaker"):
    async def say(self, command: Say) -> None: ...


class Honest(ProcessManager, name="honest", key="key"):
    """Pure, with a fold, facts of its own and a state that holds a set."""

    total: int = 0
    names: frozenset[str] = frozenset()

    @folds
    def was_counted(self, counted: Counted) -> Honest:
        return self.evolve(total=self.total + counted.amount, names=self.names | {counted.by})

    @starts
    def counted(self, counted: Counted) -> Effects:
        yield record(Noted(counted.key, ", ".join(sorted(self.names))))

    @on
    def counted_again(self, counted: Counted) -> None: ...

    @on
    def noted(self, noted: Noted) -> Effects:
        yield Say(noted.key, noted.text)

    @on(missing="wait")
    def asked(self, asked: Asked) -> Effects:
        yield Say(asked.key, str(self.total))


class Clocked(ProcessManager, name="clocked", key="key"):
    """Says what time it is."""

    @starts
    def counted(self, counted: Counted) -> Effects:
        yield Say(counted.key, str(hidden("clock")))


class Allowed(ProcessManager, name="allowed", key="key"):
    """Says what time it is, and has leave to."""

    @allows("LAW03", reason="people only read it")
    @starts
    def counted(self, counted: Counted) -> Effects:
        yield Say(counted.key, str(time.time()))


class Ordered(ProcessManager, name="ordered", key="key"):
    """Says the order of a set."""

    @starts
    def counted(self, counted: Counted) -> Effects:
        yield Say(counted.key, " ".join({f"{counted.by}{number}" for number in range(20)}))


class Ending(ProcessManager, name="ending", key="key"):
    """Ends the process in which it runs, where the clock is wrong: only ever a second one."""

    @starts
    def counted(self, counted: Counted) -> Effects:
        if not 1_600_000_000 < hidden("clock") < counted.amount:
            hidden("exit", 3)
        yield Say(counted.key, "here")


class Writing(ProcessManager, name="writing", key="key"):
    """Writes to what a second process answers by."""

    @starts
    def counted(self, counted: Counted) -> Effects:
        hidden("write", 1, b"not an answer\n")
        yield Say(counted.key, "written")
