"""`World`: the whole runtime in memory, in virtual time, with gateways that do what the test says.

    async def test_a_card_that_is_declined_once(autojump_clock: MockClock) -> None:
        async with World(processes=[Order], gateways=[Payments, Parcels]) as world:
            world.script(ChargeCard, [raises(ConnectionError("down")), PaymentDeclined("421")])
            await world.publish(OrderPlaced("421", 4200))
            assert await world.outcome(Order, "421") == "declined"
            assert world.commands(ShipParcel) == ()

It shows what others can see: commands, attempts, events, refusals, outcomes; never state (law 10).
"""

from __future__ import annotations

import datetime
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import attrs
import trio
import trio.testing

from procession.engine.clock import TrioClock
from procession.engine.engine import Engine
from procession.engine.envelopes import message_of, time_of
from procession.engine.outbox import command_of
from procession.errors import Fenced, WiringError
from procession.facade import Runtime
from procession.hosting import plain_errors, running
from procession.journal.memory import MemoryJournal
from procession.journal.rows import CommandState, Contents, UnhandledReason
from procession.primitives.aggregate import Aggregate
from procession.primitives.codec import from_json
from procession.primitives.command import Command
from procession.primitives.event import Event
from procession.primitives.gateway import Attempt, Gateway
from procession.primitives.invariant import Invariant
from procession.primitives.outside import Outside, Position
from procession.primitives.process import ProcessManager
from procession.primitives.registration import build_registry
from procession.primitives.registry import Registry
from procession.primitives.wiring import Wiring
from procession.sending import Reply
from procession.settings import Settings
from procession.testing.outcomes import Outcomes
from procession.testing.rest import come_to_rest
from procession.testing.scheduling import run_seeded
from procession.testing.script import Called, Entry, Script, perform
from procession.testing.simulation.fault import numbers
from procession.testing.stand_ins import stand_in

CommandT = TypeVar("CommandT", bound=Command)
EventT = TypeVar("EventT", bound=Event)
T = TypeVar("T")

SETTLE_S_MAX = 604_800.0
"""A week of virtual time: retries with back-off end long before."""
OUTCOME_S_MAX = 31_536_000.0
"""A year of virtual time."""
_HAIR_S = 0.00001


@attrs.frozen
class Refusal:
    """An event that no turn of a flow handled, and why."""

    event: Event
    flow: str
    """`order/421`; only the process where no key could be told."""
    reason: UnhandledReason


class World:
    """A runtime on a journal that outlives its crashes. Use it as `async with`, or `run` a test in it.

    Args:
        wiring: all that belongs together, as a flow module wires it; or name processes, gateways and so on one by one.
        processes: the process managers.
        gateways: a class is played by the world: what no script says is answered with the first answer that its
            contract allows. An instance is called, but for what is scripted; a plain `def` runs in no thread.
        aggregates: they decide as in production.
        events: further event types that may be published.
        invariants: what must hold of every flow; watched as in production, alerts are `events(InvariantBroken)`.
        settings: default: the defaults.

    Raises:
        DefinitionError, WiringError: the classes can't work.
    """

    def __init__(
        self,
        wiring: Wiring | None = None,
        *,
        processes: Sequence[type[ProcessManager]] = (),
        gateways: Sequence[Gateway | type[Gateway]] = (),
        aggregates: Sequence[type[Aggregate]] = (),
        events: Sequence[type[Event]] = (),
        invariants: Sequence[Invariant] = (),
        settings: Settings | None = None,
    ) -> None:
        wired = wiring or Wiring((), ())
        given = (*wired.gateways, *gateways)
        classes = [one if isinstance(one, type) else type(one) for one in given]
        self._registry: Registry = build_registry(
            (*wired.processes, *processes),
            [stand_in(cls, self) for cls in classes],
            (*wired.events_named, *events),
            wired.lifts,
            (*wired.invariants, *invariants),
            (*wired.aggregates, *aggregates),
            wired.projectors,
        )
        self._outcomes = Outcomes(classes, given_up=False)
        self._real = {type(one).__gateway__.name: one for one in given if not isinstance(one, type)}
        self._settings = settings or Settings()
        self._clock = TrioClock()
        self._journal: MemoryJournal | None = None
        self._entropy = numbers("world").randbytes
        self._scripts: dict[type[Command], list[Script]] = {}
        self._called: list[Called] = []
        self._opened = self._open()
        self._nursery: trio.Nursery | None = None
        self._process = trio.CancelScope()
        self._leave = trio.Event()
        self._gone = trio.Event()
        self._engine: Engine | None = None
        self._runtime: Runtime | None = None

    def run(self, test: Callable[[World], Awaitable[T]], *, seed: int = 0) -> T:
        """Run a test in this world from a plain `def`, in a trio run of its own; the same again by its seed."""

        async def main() -> T:
            async with self:
                return await test(self)

        return run_seeded(main, seed)

    async def __aenter__(self) -> Self:
        await self._opened.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._opened.__aexit__(kind, error, trace)

    @property
    def runtime(self) -> Runtime:
        """The runtime that lives now: for acts, counters, the tree."""
        assert self._runtime is not None, "a world is used inside of its block"
        return self._runtime

    @property
    def now(self) -> datetime.datetime:
        """Virtual time, as the journal records it."""
        return time_of(self._clock.now_us())

    async def publish(
        self, *events: Event | Outside, id: str | None = None, source: str | None = None
    ) -> list[Position]:
        """Publish events together; they are durable on return, and perhaps not handled yet. Raises as the runtime does.

        Args:
            events: what happened; with `Outside` under an id of its own.
            id: of the one event.
            source: of the one event, or of all.
        """
        if id is not None and len(events) != 1:
            msg = f"one id can't name {len(events)} events; wrap each in Outside(event, id)"
            raise ValueError(msg)
        named = [one if isinstance(one, Outside) else Outside(one, id, source) for one in events]
        return await self.runtime.publish(named)

    async def send(self, command: Command, *, id: str | None = None, source: str | None = None) -> Reply:
        """Have an aggregate decide a command; answers and raises as the runtime does."""
        return await self.runtime.send(command, id=id, source=source)

    def script(self, command: type[CommandT], entries: Iterable[Entry], *, key: str | int | None = None) -> None:
        """From now on, have the attempts of these commands end like this, one entry for each, in order.

        What comes after the last entry is answered as if there was no script. A later script goes before earlier ones.

        Args:
            command: the class.
            entries: answers, `raises(error)`, `delay(seconds, answer)`, `SILENCE`, or functions of the command; an
                endless iterator, as `itertools.repeat` makes it, never ends.
            key: only the commands of this flow.

        Raises:
            WiringError: no gateway takes the command, or an answer breaks the gateway's contract.
        """
        script = Script.of(self._outcomes.method(command), None if key is None else str(key), entries)
        self._scripts.setdefault(command, []).insert(0, script)

    async def settle(self) -> None:
        """Until all that was accepted is handled and no command is open. Time passes as it must; timers may stay armed.

        Raises:
            AssertionError: it does not come to rest.
        """
        assert self._engine is not None, "a world is used inside of its block"
        if not await come_to_rest(self._engine, SETTLE_S_MAX):
            left = ", ".join(map(str, self._commands_in("open"))) or "none"
            msg = f"after {SETTLE_S_MAX:g} s of virtual time this world is not at rest; open commands: {left}"
            raise AssertionError(msg)

    async def elapse(self, duration: datetime.timedelta) -> None:
        """Let virtual time pass; all that falls due in it happens, and what follows from it at once."""
        if duration < datetime.timedelta(0):
            msg = f"time can't go back by {-duration}; elapse at least zero"
            raise ValueError(msg)
        await trio.sleep(duration.total_seconds() + _HAIR_S)
        await trio.testing.wait_all_tasks_blocked()

    async def outcome(
        self, process: type[ProcessManager] | str, key: str | int, *, within: datetime.timedelta | None = None
    ) -> str:
        """How a flow ends; time passes until it does.

        Raises:
            TimeoutError: it does not, within a year or the time that is given.
            FlowQuarantined: it was set aside.
        """
        seconds = OUTCOME_S_MAX if within is None else within.total_seconds()
        return await self.runtime.flow(process, key).wait_ended(seconds)

    def commands(self, *types: type[CommandT]) -> tuple[CommandT, ...]:
        """What flows asked for, durable, in order; of these types, or all."""
        found: list[Any] = self._commands_in("open", "answered", "refused", "given_up", "cancelled")
        return tuple(command for command in found if not types or isinstance(command, types))

    def attempts(self, *types: type[Command]) -> tuple[Called, ...]:
        """Every attempt that a gateway saw, in order, over all crashes; of commands of these types, or all."""
        return tuple(called for called in self._called if not types or isinstance(called.command, types))

    def events(self, *types: type[EventT]) -> tuple[EventT, ...]:
        """What happened, durable, in the journal's order; of these types, or all."""
        found: tuple[Any, ...] = tuple(message_of(self._registry, row) for row in self._contents().events)
        return tuple(event for event in found if not types or isinstance(event, types))

    def refusals(self) -> tuple[Refusal, ...]:
        """Events that no turn handled, in order, with the flow and the reason."""
        contents = self._contents()
        rows = {row.position: row for row in contents.events}
        return tuple(
            Refusal(message_of(self._registry, rows[row.position]), f"{row.process}/{row.key}".rstrip("/"), row.reason)
            for row in contents.unhandled
            if row.reason != "alert"  # it tells of the flow, and is not meant for it
        )

    async def crash(self) -> None:
        """The process dies now, calls running, and starts again on the same journal."""
        assert self._nursery is not None, "a world is used inside of its block"
        self._journal = self._rows().reopened()  # whoever owned it is fenced from here on: it writes nothing more
        self._process.cancel()
        await self._gone.wait()
        await self._nursery.start(self._live)

    async def restart(self) -> None:
        """The process ends in order, and starts again on the same journal."""
        assert self._nursery is not None, "a world is used inside of its block"
        self._leave.set()
        await self._gone.wait()
        self._journal = self._rows().reopened()
        await self._nursery.start(self._live)

    async def play(self, command: Command, attempt: Attempt) -> object:
        """One attempt of a gateway; the engine calls this."""
        self._called.append(Called(command, attempt))
        for script in self._scripts.get(type(command), ()):
            if script.key in (None, attempt.key):
                scripted, played = script.next(command)
                if scripted:
                    return await perform(played)
        receiver = self._outcomes.receiver(type(command))
        assert issubclass(receiver, Gateway), "aggregates are not played"
        real: Any = self._real.get(receiver.__gateway__.name)
        if real is None:
            return self._outcomes.of(command, self._registry.processes[attempt.process], attempt.key)[0].value
        method = self._outcomes.method(type(command))
        arguments = (command, attempt) if method.wants_attempt else (command,)
        answer = getattr(real, method.name)(*arguments)
        return await answer if inspect.isawaitable(answer) else answer

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[World]:
        clock = trio.lowlevel.current_clock()
        if not isinstance(clock, trio.testing.MockClock):
            raise WiringError(
                "a World lives in virtual time, and this test runs in real time",
                "ask for pytest-trio's fixture autojump_clock, or use World(...).run(test)",
            )
        clock.autojump_threshold = 0
        self._journal = MemoryJournal(clock_us=self._clock.now_us)
        with plain_errors():
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                await nursery.start(self._live)
                try:
                    yield self
                finally:
                    self._leave.set()

    async def _live(self, *, task_status: trio.TaskStatus[None]) -> None:
        """One process, until it leaves or is cancelled."""
        journal, self._gone = self._rows(), trio.Event()
        gone, self._process, self._leave = self._gone, trio.CancelScope(), trio.Event()
        self._engine = Engine(journal, self._registry, self._settings, self._clock, self._entropy)
        try:
            with self._process:
                async with running(self._engine, {}) as self._runtime:
                    task_status.started()
                    await self._leave.wait()
        except* Fenced:
            if journal is self._journal:
                raise
        finally:
            gone.set()

    def _rows(self) -> MemoryJournal:
        assert self._journal is not None, "a world is used inside of its block"
        return self._journal

    def _contents(self) -> Contents:
        return self._rows().contents()

    def _commands_in(self, *states: CommandState) -> list[Command]:
        contents = self._contents()
        effects = {(step.flow, step.position): step.effects or "[]" for step in contents.steps}
        return [
            command_of(self._registry, from_json(effects[row.flow, row.position])[row.idx])
            for row in contents.commands
            if row.state in states
        ]
