"""A process that does whatever its events tell it to, and the gateway that works for it: what engine tests run."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import trio

from procession import (
    Attempt,
    Command,
    Effects,
    Event,
    FailureEvent,
    Gateway,
    Invariant,
    ProcessManager,
    Runtime,
    Settings,
    after,
    cancel,
    end,
    ends,
    folds,
    on,
    open_runtime,
    record,
    starts,
)
from procession.engine.clock import Clock, TrioClock
from procession.engine.opening import Since
from procession.journal.journal import Journal
from procession.settings import (
    CommitSettings,
    FlowsSettings,
    GatewaysSettings,
    IntakeSettings,
    ShutdownSettings,
    TimersSettings,
)


class Opened(Event, name="tally.opened"):
    key: str


class Counted(Event, name="tally.counted"):
    key: str
    number: int


class Asked(Event, name="tally.asked"):
    """The flow sends a command for each number."""

    key: str
    numbers: tuple[int, ...]


class Armed(Event, name="tally.armed"):
    key: str
    timer: str
    after_s: float


class Disarmed(Event, name="tally.disarmed"):
    key: str
    timer: str


class Rang(Event, name="tally.rang"):
    key: str
    timer: str


class Noted(Event, name="tally.noted"):
    """The flow records a fact, `depth` times over."""

    key: str
    depth: int


class Broken(Event, name="tally.broken"):
    """Its handler raises, in the process that is broken."""

    key: str
    number: int


class Closed(Event, name="tally.closed"):
    key: str
    outcome: str = "closed"


class Shared(Event, name="tally.shared"):
    """It concerns several flows of several processes."""

    keys: tuple[str, ...]
    number: int


class Work(Command, name="work.do"):
    key: str
    number: int
    seen: tuple[str, ...]


class Done(Event, name="work.done"):
    key: str
    number: int


class Declined(FailureEvent, name="work.declined"):
    key: str
    number: int


class Tally(ProcessManager, name="tally", key="key"):
    """Remembers what it saw, in order."""

    seen: tuple[str, ...] = ()

    @folds
    def opened(self, opened: Opened) -> Tally:
        return self.evolve(seen=(*self.seen, "opened"))

    @folds
    def counted(self, counted: Counted) -> Tally:
        return self.evolve(seen=(*self.seen, f"counted {counted.number}"))

    @folds
    def done(self, done: Done) -> Tally:
        return self.evolve(seen=(*self.seen, f"done {done.number}"))

    @folds
    def noted(self, noted: Noted) -> Tally:
        return self.evolve(seen=(*self.seen, f"noted {noted.depth}"))

    @folds
    def rang(self, rang: Rang) -> Tally:
        return self.evolve(seen=(*self.seen, f"rang {rang.timer}"))

    @starts
    def start(self, opened: Opened) -> Effects:
        yield from ()

    @on(missing="wait")
    def count(self, counted: Counted) -> Effects:
        yield from ()

    @on
    def ask(self, asked: Asked) -> Effects:
        for number in asked.numbers:
            yield Work(asked.key, number, self.seen)

    @on
    def arm(self, armed: Armed) -> Effects:
        yield after(timedelta(seconds=armed.after_s), Rang(armed.key, armed.timer), name=armed.timer)

    @on
    def disarm(self, disarmed: Disarmed) -> Effects:
        yield cancel(disarmed.timer)

    @on
    def ring(self, rang: Rang) -> Effects:
        """A timer called `every <n>` is armed again n seconds later."""
        if rang.timer.startswith("every "):
            yield after(timedelta(seconds=float(rang.timer[6:])), rang, name=rang.timer)

    @on
    def note(self, noted: Noted) -> Effects:
        if noted.depth:
            yield record(Noted(noted.key, noted.depth - 1))

    @on
    def mended(self, broken: Broken) -> Effects:
        yield from ()

    @on
    def answer(self, event: Done | Declined) -> Effects:
        yield from ()

    @on(key="keys")
    def share(self, shared: Shared) -> Effects:
        yield from ()

    @ends
    def close(self, closed: Closed) -> Effects:
        yield end(closed.outcome)


class BrokenTally(Tally, name="tally", key="key"):
    """The same process, as it was deployed before somebody mended it."""

    @on
    def mended(self, broken: Broken) -> Effects:
        raise ValueError(f"broken at {broken.number}")


def keys_of(event: Event) -> str | tuple[str, ...]:
    """One key, or several."""
    keys: str | tuple[str, ...] = event.keys if isinstance(event, Shared) else getattr(event, "key", "")
    return keys


class Audit(ProcessManager, name="audit", key=keys_of):
    """Another process that is concerned by some of the same events."""

    numbers: tuple[int, ...] = ()

    @folds
    def folded(self, event: Counted | Done | Shared) -> Audit:
        return self.evolve(numbers=(*self.numbers, event.number))

    @starts
    def opened(self, opened: Opened) -> None: ...

    @on(missing="start")
    def counted(self, event: Counted | Done) -> None: ...

    @on(missing="start")
    def shared(self, event: Shared) -> None: ...


Answer = Callable[[Work, Attempt], Awaitable[Done | Declined | None]]


async def at_once(command: Work, attempt: Attempt) -> Done:
    """The work is done."""
    return Done(command.key, command.number)


class Desk(Gateway, name="desk", jitter=0):
    """Does what the test says; keeps what it was asked."""

    answer: Answer = at_once
    calls: list[tuple[Work, Attempt]] = attrs.field(factory=list)

    async def work(self, command: Work, attempt: Attempt) -> Done | Declined | None:
        self.calls.append((command, attempt))
        return await self.answer(command, attempt)

    @property
    def numbers(self) -> list[int]:
        """The numbers of the commands as they came."""
        return [command.number for command, _ in self.calls]


def settings(**changes: Any) -> Settings:  # noqa: ANN401 - each group checks its own
    """Settings with short waits, and changes by group: `settings(flows={"cached_max": 1})`."""
    groups: dict[str, Any] = {
        "flows": FlowsSettings,
        "gateways": GatewaysSettings,
        "timers": TimersSettings,
        "commit": CommitSettings,
        "intake": IntakeSettings,
        "shutdown": ShutdownSettings,
    }
    found = Settings()
    return attrs.evolve(
        found,
        **{
            name: (groups[name](**change) if name in groups else attrs.evolve(getattr(found, name), **change))
            for name, change in changes.items()
        },
    )


TINY = settings(
    flows={"awake_max": 1, "cached_max": 1, "mailbox_max": 1, "load_slice_steps": 1, "snapshot_every_steps": 3},
    gateways={"commands_loaded_max": 1, "concurrency": 1},
    timers={"loaded_max": 1},
    intake={"events_max": 1},
)
"""Every bound as low as it goes."""


@contextlib.asynccontextmanager
async def opened(
    journal: Journal | Path,
    *,
    processes: Sequence[type[ProcessManager]] = (Tally,),
    gateways: Sequence[Gateway] | None = None,
    events: Sequence[type[Event]] = (),
    invariants: Sequence[Invariant] = (),
    settings: Settings | None = None,
    since: Mapping[str, Since] | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Runtime]:
    """A runtime on virtual time, in which nothing may hang for more than a day."""
    given = [Desk()] if gateways is None else gateways
    with trio.fail_after(86_400):
        async with open_runtime(
            journal,
            processes=processes,
            gateways=given,
            events=events,
            invariants=invariants,
            settings=settings,
            since=since,
            clock=clock or TrioClock(),
        ) as runtime:
            yield runtime


@contextlib.asynccontextmanager
async def crashing(scope: trio.CancelScope, kill: Callable[[], None]) -> AsyncIterator[None]:
    """The process dies where the block ends: nothing is written after it."""
    yield
    kill()
    scope.cancel()


async def story(runtime: Runtime, key: str, process: str = "tally") -> list[str]:
    """The steps of a flow in order: the stored name of each event's type, with its number."""
    loaded = await runtime.journal.load(process, key, 10_000)
    found = await runtime.journal.steps(loaded.row.id, 0, 10_000) if loaded.row is not None else []
    assert [stepped.step.version for stepped in found] == list(range(1, len(found) + 1))
    return [
        told(stepped.event.type, stepped.event.payload) if stepped.step.outcome == "handled" else stepped.step.outcome
        for stepped in found
    ]


def told(kind: str, payload: str) -> str:
    """An event in a word or two."""
    data = json.loads(payload)
    detail = data.get("number", data.get("timer", data.get("depth", "")))
    return f"{kind.rsplit('.', maxsplit=1)[-1]} {detail}".strip()


async def reasons(runtime: Runtime) -> list[str]:
    """Why events were not handled, with what they were: `late counted 3`."""
    rows = await runtime.journal.unhandled(None, None, 0, 10_000)
    found = []
    for row in rows:
        (event,) = await runtime.journal.events(row.position - 1, 1)
        found.append(f"{row.reason} {told(event.type, event.payload)}")
    return found


def numbered(key: str, numbers: range) -> list[Event]:
    """One `Counted` for each number."""
    return [Counted(key, number) for number in numbers]


def ids() -> Callable[[], str]:
    """Fresh ids: `1`, `2` …"""
    counter = itertools.count(1)
    return lambda: str(next(counter))
