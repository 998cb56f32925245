"""One run: processes live and die on one disk, senders do not give up; then comes a time in which all is well."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b

import attrs
import trio

from procession.actors.supervisor import contained, leaves
from procession.engine.engine import Engine
from procession.engine.ids import Ids
from procession.engine.turn import describe
from procession.errors import NotAccepted, OutcomeUnknown, RuntimeClosed
from procession.facade import Runtime
from procession.hosting import running
from procession.journal.rows import Commit, Contents
from procession.journal_errors import CommitFailed, CommitRejected, Fenced
from procession.laws.histories import Past
from procession.primitives.registry import Registry
from procession.settings import Settings
from procession.testing.outcomes import Outcomes
from procession.testing.rest import come_to_rest
from procession.testing.simulation.clock import SimulatedClock
from procession.testing.simulation.disk import Disk, DiskJournal, ReadError
from procession.testing.simulation.fault import Fault, numbers
from procession.testing.simulation.operator import act_at_random, repair
from procession.testing.simulation.plan import AtTime, Plan, Publish, settings_of
from procession.testing.simulation.sending import Senders
from procession.testing.simulation.surroundings import Surroundings
from procession.testing.simulation.trace import Trace
from procession.testing.stand_ins import Stage

LIVES_MAX = 40
DEADLINES_MAX = 60
"""Rounds of the calm time in which a deadline fires; one that arms deadlines for ever is left."""
REPAIRS_MAX = 12
"""Rounds in which flows are mended that stand where they stood when they were mended before; they stay there then."""
REST_S_MAX = 86_400.0
RUN_S_MAX = 1e10
"""Of virtual time, in which deadlines of some centuries fit; a run that waits for ever ends there."""

Breach = tuple[str, str]
"""The rule that was broken, and a sentence."""


@attrs.frozen
class Case:
    """What all runs of a simulation share."""

    registry: Registry
    stage: Stage
    outcomes: Outcomes
    settings: Settings


@attrs.frozen
class Run:
    """What is left of a run."""

    plan: Plan
    past: Past
    commits: tuple[Commit, ...]
    left: tuple[Contents, ...]
    """What each process left behind that died or ended before the calm."""
    trace: Trace
    breaches: tuple[Breach, ...]
    """What was seen while it ran; the laws are not judged yet."""
    lives: int
    calm: bool
    """It got to its end, where all must be at rest."""
    now_us: int
    left_alone: frozenset[int]
    """Flows that an operator took an event out of: nobody promises that they go on."""

    def digest(self) -> str:
        """A short text that differs where any row, any attempt or anything in the trace differs."""
        told = f"{self.past.contents}\n{self.past.begun}\n{self.past.acknowledged}\n{self.trace.digest()}"
        return blake2b(told.encode(), digest_size=16).hexdigest()


class Machine:
    """The machine that a run happens on."""

    def __init__(self, case: Case, plan: Plan) -> None:
        self.case = case
        self.plan = plan
        self.clock = SimulatedClock(drifts=any(one.fault is Fault.CLOCK_JUMPS for one in plan.at_times))
        self.trace = Trace(self.clock.now_us)
        self.disk = Disk(plan, self.clock.now_us, self.trace)
        self.surroundings = Surroundings(plan, case.registry, case.outcomes, self.disk, self.trace)
        self.lives = 0
        self.breaches: list[Breach] = []
        self.acknowledged: list[tuple[str, str, int]] = []
        self.unheard: list[Publish] = list(plan.publishes)
        self.senders = Senders(plan, self.trace, self.acknowledged, self.breaches)
        self.todo: list[AtTime] = list(plan.at_times)
        self.asked: dict[tuple[str | None, str | None], int] = {}
        self.left: list[Contents] = []
        self.left_alone: set[int] = set()
        self._entropy = numbers("entropy", plan.seed).randbytes

    async def run(self) -> Run:
        """The trouble, then the calm."""
        self.case.stage.player = self.surroundings
        calm = False
        whole = trio.CancelScope(deadline=trio.current_time() + RUN_S_MAX)
        with _stopped(whole), whole:
            self.disk.on_spinning = whole.cancel
            result = await contained(self._run)
            calm = result.error is None
            if result.error is not None:
                found = "; ".join(describe(error) for error in leaves(result.error))
                self.breaches.append(("the_engine_never_fails", f"it ended with {found}"))
        if whole.cancelled_caught:
            spent = f"{self.disk.touches} reads and commits, {trio.current_time():g} s of virtual time"
            self.breaches.append(("all_comes_to_rest", f"it did not come to an end: {spent}"))
        return Run(
            self.plan,
            self._past(),
            tuple(self.disk.written),
            tuple(self.left),
            self.trace,
            tuple(self.breaches),
            self.lives,
            calm,
            self.clock.now_us(),
            frozenset(self.left_alone),
        )

    async def _run(self) -> None:
        while self.lives < LIVES_MAX and trio.current_time() < self.plan.horizon_s and self._is_troubled():
            await self._life(self._disturbed)
            self.left.append(self.disk.journal.contents())
        self._calm_down()
        await self._life(self._calm)
        before = self.disk.journal.contents()
        await self._life(self._again)
        self._compare(before, self.disk.journal.contents())

    def _past(self) -> Past:
        journal = self.disk.journal
        ids = Ids(self.clock, journal.id, self._entropy)
        return Past(journal.contents(), tuple(self.acknowledged), tuple(self.surroundings.begun), ids.command)

    def _is_troubled(self) -> bool:
        plan = self.plan
        return bool(self.unheard or self.todo or self.disk.faults or plan.constant or plan.ends_by_crash)

    def _calm_down(self) -> None:
        self.disk.calm = self.surroundings.calm = True
        self.clock.drifts = False
        self.todo.clear()
        self.trace.add("calm", "from here on nothing goes wrong")

    async def _life(self, body: Callable[[Runtime, Engine], Awaitable[None]]) -> None:
        """One process, from its start to its end or death."""
        self.lives += 1
        journal = self.disk.start()
        if Fault.OTHER_CODE in self.plan.constant and not self.disk.calm:
            journal.forget_snapshots(self._first_states())
        self.surroundings.process_started()
        self.trace.add("start", f"process {self.lives}")
        engine = Engine(
            journal,
            self.case.registry,
            self.case.settings if self.disk.calm else settings_of(self.plan, self.lives, self.case.settings),
            self.clock,
            self._entropy,
        )
        opened = False
        try:
            with _mourned(journal), trio.CancelScope() as process:
                self.disk.on_death = process.cancel
                async with running(engine, {}) as runtime:
                    opened = True
                    await body(runtime, engine)
        except (CommitFailed, CommitRejected, ReadError) as error:
            if opened or self.disk.calm:
                raise
            self.trace.add("end", f"could not open: {error}")  # whoever watches over the process starts it again

    def _first_states(self) -> dict[str, str]:
        registry = self.case.registry
        known = {**registry.processes, **registry.aggregates}
        return {name: registry.codec.state_to_json(one.cls()) for name, one in known.items()}

    async def _disturbed(self, runtime: Runtime, engine: Engine) -> None:
        """Everybody publishes what nobody acknowledged yet, while things go wrong."""
        async with trio.open_nursery() as nursery:
            for publish in self.unheard:
                nursery.start_soon(self._send, runtime, publish)
            for sending in self.senders.unheard:
                nursery.start_soon(self.senders.send, runtime, sending)
            for one in list(self.todo):
                nursery.start_soon(self._strike, runtime, one, nursery.cancel_scope)
            await trio.sleep_until(self.plan.horizon_s)
            if self.plan.ends_by_crash:
                self._kill()
            nursery.cancel_scope.cancel()

    async def _strike(self, runtime: Runtime, one: AtTime, life: trio.CancelScope) -> None:
        """Something happens at a moment; once, however many lives there are."""
        await trio.sleep_until(one.at_s)
        self.todo.remove(one)
        if one.fault is Fault.CRASH:
            self._kill()
        elif one.fault is Fault.RESTART:
            self.trace.add("end", "in order")
            life.cancel()
        elif one.fault is Fault.CLOCK_JUMPS:
            self.trace.add("clock", f"jumps by {one.amount} s")
            self.clock.jump(one.amount)
        else:
            flow = await act_at_random(runtime, self.disk.journal.contents(), one.amount, self.trace)
            if flow is not None:
                self.left_alone.add(flow)

    def _kill(self) -> None:
        self.trace.add("crash", "at a moment")
        self.disk.journal.die()

    async def _send(self, runtime: Runtime, publish: Publish) -> None:
        """Publish, again and again under the same ids, until it is heard."""
        await trio.sleep_until(publish.at_s)
        chance = numbers("sender", self.plan.seed, publish.at_s, publish.events[0].id)
        while True:
            for one in publish.events:
                self.asked[one.source, one.id] = self.asked.get((one.source, one.id), 0) + 1
            try:
                positions = await runtime.publish(publish.events)
            except (OutcomeUnknown, RuntimeClosed):
                pass
            except NotAccepted:
                self._check_refusal(publish)
            else:
                self._heard(publish, positions)
                return
            await trio.sleep(chance.choice((0.001, 0.2, 1.0)))

    def _heard(self, publish: Publish, positions: Sequence[int]) -> None:
        self.unheard.remove(publish)
        heard = zip(publish.events, positions, strict=True)
        self.trace.add("heard", ", ".join(f"{one.id} at {position}" for one, position in heard))
        for one, position in zip(publish.events, positions, strict=True):
            self.acknowledged.append((one.source or "", one.id or "", int(position)))

    def _check_refusal(self, publish: Publish) -> None:
        """Whoever hears that nothing was written finds nothing, unless somebody else published it."""
        for one in publish.events:
            if self.asked[one.source, one.id] == 1 and self.disk.journal.holds(one.source, one.id):
                found = f"{one.id} was refused as not written, and it is in the journal"
                self.breaches.append(("nothing_refused_is_written", found))

    async def _calm(self, runtime: Runtime, engine: Engine) -> None:
        """All is published, all flows in quarantine are mended, all deadlines fire; then nothing is left to do."""
        async with trio.open_nursery() as nursery:
            for publish in self.unheard:
                nursery.start_soon(self._send, runtime, publish)
            for sending in self.senders.unheard:
                nursery.start_soon(self.senders.send, runtime, sending)
        deadlines_left, repairs_left = DEADLINES_MAX, REPAIRS_MAX
        mended: set[frozenset[str]] = set()
        while deadlines_left:
            await self._rest(engine)
            contents = self.disk.journal.contents()
            if repairs_left and (stood := await repair(runtime, contents, self.trace)):
                repairs_left -= stood in mended
                mended.add(stood)
                continue
            due_us = min((row.due_us for row in contents.timers), default=None)
            if due_us is None:
                break
            deadlines_left -= 1
            await trio.sleep(max(0, due_us - self.clock.now_us()) / 1_000_000 + _HAIR_S)

    async def _again(self, runtime: Runtime, engine: Engine) -> None:
        """Everything is published once more, and nothing may come of it."""
        for publish in self.plan.publishes:
            positions = await runtime.publish(publish.events)
            self._heard_again(publish, positions)
        await self.senders.again(runtime)
        await self._rest(engine)

    def _heard_again(self, publish: Publish, positions: Sequence[int]) -> None:
        for one, position in zip(publish.events, positions, strict=True):
            self.acknowledged.append((one.source or "", one.id or "", int(position)))

    async def _rest(self, engine: Engine) -> None:
        if not await come_to_rest(engine, REST_S_MAX):
            self.breaches.append(("all_comes_to_rest", f"after {REST_S_MAX:g} s of calm there is still work"))

    def _compare(self, before: Contents, after: Contents) -> None:
        """A start on a journal at rest, and what was published before, change nothing."""
        for field in attrs.fields(Contents):
            was, found = getattr(before, field.name), getattr(after, field.name)
            if was != found:
                new = [row for row in found if row not in was][:3]
                sentence = f"a start and duplicates changed {field.name}: {len(was)} became {len(found)}, new are {new}"
                self.breaches.append(("a_start_changes_nothing", sentence))


@contextmanager
def _stopped(run: trio.CancelScope) -> Iterator[None]:
    """A run that was stopped in its midst leaves what its process died of beside the cancellation."""
    try:
        yield
    except ExceptionGroup as group:
        if not run.cancelled_caught or any(not isinstance(leaf, _OF_THE_DISK) for leaf in leaves(group)):
            raise


@contextmanager
def _mourned(journal: DiskJournal) -> Iterator[None]:
    """A process that died ends with whatever it ends with; one that lives must end well."""
    try:
        yield
    except (*_OF_THE_DISK, ExceptionGroup) as error:
        if not journal.dead or any(not isinstance(leaf, _OF_THE_DISK) for leaf in leaves(error)):
            raise


_OF_THE_DISK = (Fenced, CommitFailed, ReadError)


_HAIR_S = 0.00001
"""Deadlines are whole microseconds."""
