"""Flows and gateways of which a few are bad, each kind in a way of its own; all others do their work."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import attrs
import trio

from procession import (
    Aggregate,
    Command,
    Effects,
    Event,
    Gateway,
    ProcessManager,
    allows,
    applies,
    decides,
    ends,
    folds,
    on,
    starts,
)

WELL = "well"
GIGABYTE = 1 << 30
ATTEMPT_S = 0.15
ATTEMPTS = 2
_HELD_S = 0.3


class Begun(Event, name="errand.begun"):
    errand: str


class Told(Event, name="errand.told"):
    errand: str
    kind: str


class Fetched(Event, name="errand.fetched"):
    errand: str


class Filed(Event, name="errand.filed"):
    errand: str


class Fetch(Command, name="errand.fetch"):
    errand: str


class File(Command, name="errand.file"):
    errand: str


class Harm(Command, name="errand.harm"):
    errand: str
    kind: str


class HarmInThread(Command, name="errand.harm_in_thread"):
    errand: str
    kind: str


class ShyError(ValueError):
    """An error that can't be shown."""

    def __str__(self) -> str:
        raise SystemExit("not even its text")


class Mute:
    """An effect that is none, and can't be shown."""

    def __repr__(self) -> str:
        raise SystemExit("not even its name")


class LikeCancelled(BaseException):
    """As trio's own error of this kind, which nobody may make."""


def _raising(error: BaseException) -> Callable[[Event], Any]:
    def harm(_: Event) -> Any:  # noqa: ANN401 - any bad answer
        raise error

    return harm


def _allocates(_: Event) -> Any:  # noqa: ANN401 - as above
    return [bytearray(GIGABYTE)]


def _asks_for_ever(event: Event) -> Effects:
    while True:
        yield Fetch(getattr(event, "errand", ""))


def _recurses(event: Event) -> Any:  # noqa: ANN401 - as above
    return _recurses(event)


def _for_ever(_: object) -> None:
    os.write(1, f"{time.time()}\n".encode())
    while True:
        pass


def _killed(_: object) -> None:
    """As the kernel does when memory is out: at once, and nobody is asked."""
    os.kill(os.getpid(), signal.SIGKILL)


IN_TURNS: dict[str, Callable[[Event], Any]] = {
    "raises": _raising(ValueError("the errand is bad")),
    "raises what can't be shown": _raising(ShyError()),
    "yields nonsense": lambda _: [42],
    "yields what can't be shown": lambda _: [Mute()],
    "returns nonsense": lambda _: 42,
    "folds to nonsense": lambda _: (),
    "asks for ever": _asks_for_ever,
    "allocates a gigabyte": _allocates,
    "recurses for ever": _recurses,
    "exits": _raising(SystemExit("from inside of a turn")),
    "ends a generator": _raising(GeneratorExit()),
    "cancels": _raising(LikeCancelled("cancelled")),
    "cancels as asyncio does": _raising(asyncio.CancelledError()),
}
"""By kind, what the turn of a bad flow does; each must end in quarantine."""

TIME_IS_UP = "loops until its time is up"
LOOPS = ("loops until it is killed", TIME_IS_UP, "decides until it is killed")
FATAL: dict[str, Callable[[Event], Any]] = {
    "loops until it is killed": _for_ever,
    TIME_IS_UP: _for_ever,
    "dies of memory": _killed,
    "interrupts": _raising(KeyboardInterrupt()),
}
"""What stops or ends the whole process."""

FATAL_DECISIONS: dict[str, Callable[[Any], Any]] = {
    "decides until it is killed": _for_ever,
    "dies of memory in a decision": _killed,
}
"""The same of an aggregate: the command is given up, so that its flow is set aside, and the aggregate goes on."""

_TURNS = {**IN_TURNS, **FATAL}


class Judged(Event, name="errand.judged"):
    errand: str


class Judge(Command, name="errand.judge"):
    errand: str
    kind: str


class Book(Aggregate, name="book", key="errand"):
    """Decides for ever, or ends the process."""

    @applies
    def judged(self, judged: Judged) -> Book:
        return self

    @allows("LAW03", reason="it does what a fault would")
    @decides
    def judge(self, judge: Judge) -> Judged:
        FATAL_DECISIONS[judge.kind](judge)
        return Judged(judge.errand)


class Errand(ProcessManager, name="errand", key="errand"):
    fetched: bool = False

    @starts
    def begun(self, begun: Begun) -> None: ...

    @folds
    def heard(self, told: Told) -> Errand:
        return 42 if told.kind == "folds to nonsense" else self  # type: ignore[return-value]  # it is bad

    @allows("LAW03", reason="it does what a fault would")
    @on
    def told(self, told: Told) -> Effects:
        if told.kind == WELL:
            return iter([Fetch(told.errand)])
        if told.kind in IN_THREADS:
            return iter([HarmInThread(told.errand, told.kind)])
        if told.kind in FATAL_DECISIONS:
            return iter([Judge(told.errand, told.kind)])
        if told.kind in IN_GATEWAYS:
            return iter([Harm(told.errand, told.kind)])
        effects: Effects = _TURNS[told.kind](told)
        return effects

    @on
    def judged(self, judged: Judged) -> None: ...

    @on
    def take_it(self, fetched: Fetched) -> Effects:
        yield File(fetched.errand)

    @ends(outcome="filed")
    def filed(self, filed: Filed) -> None: ...


class Desk(Gateway, name="desk", concurrency=64, jitter=0):
    """Does the work of those that are well, and knows when each was done."""

    done_at: dict[str, float] = attrs.field(factory=dict)

    async def fetch(self, command: Fetch) -> Fetched:
        return Fetched(command.errand)

    async def file(self, command: File) -> Filed:
        self.done_at[command.errand] = time.perf_counter()
        return Filed(command.errand)


async def _hangs() -> None:
    await trio.sleep_forever()


async def _swallows() -> None:
    """It goes on after its cancellation."""
    try:
        await trio.sleep_forever()
    except trio.Cancelled:
        with trio.CancelScope(shield=True):
            await trio.sleep(_HELD_S)
    raise ConnectionError("long after it was cancelled")


def _ending(error: BaseException) -> Callable[[], Any]:
    async def end() -> None:
        raise error

    return end


async def _returns(value: object) -> object:
    return value


IN_GATEWAYS: dict[str, Callable[[], Any]] = {
    "hangs": _hangs,
    "swallows cancellation": _swallows,
    "answers nonsense": lambda: _returns(42),
    "answers what can't be shown": lambda: _returns(Mute()),
    "answers another": lambda: _returns(Fetched("another")),
    "call raises": _ending(ValueError("the outside is bad")),
    "call raises what can't be shown": _ending(ShyError()),
    "call allocates a gigabyte": lambda: _returns(bytearray(GIGABYTE)),
    "call exits": _ending(SystemExit("from inside of a call")),
    "call ends a generator": _ending(GeneratorExit()),
    "call cancels": _ending(LikeCancelled("cancelled")),
    "call cancels as asyncio does": _ending(asyncio.CancelledError()),
}
"""By kind, what a call of a bad gateway does; its command is given up, and its flow set aside."""


def _never_returns() -> None:
    threading.Event().wait()


def _exit() -> None:
    raise SystemExit("from inside of a thread")


IN_THREADS: dict[str, Callable[[], Any]] = {
    "thread never returns": _never_returns,
    "thread exits": _exit,
    "thread answers nonsense": lambda: 42,
}


class Pit(
    Gateway,
    name="pit",
    concurrency=64,
    jitter=0,
    timeout_s=ATTEMPT_S,
    attempts_max=ATTEMPTS,
    backoff_initial_s=0.01,
    breaker_failures=10_000,
):
    """Its calls are bad in every way."""

    async def harm(self, command: Harm) -> Fetched:
        answer: Fetched = await IN_GATEWAYS[command.kind]()
        return answer


class Shaft(
    Gateway,
    name="shaft",
    concurrency=4,
    jitter=0,
    timeout_s=ATTEMPT_S,
    attempts_max=1,
    backoff_initial_s=0.01,
    breaker_failures=10_000,
):
    """The same in threads, of which some never come back: their command would wait for them, so it is tried once."""

    def harm(self, command: HarmInThread) -> Fetched:
        answer: Fetched = IN_THREADS[command.kind]()
        return answer
