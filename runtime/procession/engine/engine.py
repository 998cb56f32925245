"""The engine: lives one after another on one journal, under a supervisor that gives up aloud."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Mapping
from time import perf_counter

import trio

from procession.actors.supervisor import ActorInfo, Supervised, leaves, supervise
from procession.engine.answers import Answers
from procession.engine.careful import run_alone, write_kept
from procession.engine.clock import Clock
from procession.engine.command_window import Handle
from procession.engine.delivery import Gateways
from procession.engine.guard import make_guard
from procession.engine.ids import Ids
from procession.engine.intake import Submission
from procession.engine.invariant_watch import InvariantWatch
from procession.engine.life import Lasting, Life, assemble
from procession.engine.measured import measures_for
from procession.engine.opening import Opening, Since, check, record
from procession.engine.parts import Parts
from procession.engine.payloads import payloads_of
from procession.engine.recovery import take_up
from procession.engine.shadow_host import shadow_of
from procession.engine.shutdown import shut_down
from procession.engine.standing import keep_paused
from procession.engine.starting import part_names, start_parts
from procession.engine.stream import Stream
from procession.engine.tracing import Tracing
from procession.engine.unsettled import Unsettled
from procession.engine.watch import Watch, nowhere
from procession.errors import NotAccepted, RuntimeClosed, RuntimeFailed
from procession.journal.journal import Journal
from procession.journal_errors import CommitFailed, CommitRejected, Fenced, JournalDamaged
from procession.primitives.registry import Registry
from procession.settings import Settings
from procession.telemetry.names import Counters
from procession.telemetry.spans import Spans

logger = logging.getLogger("procession")


class Engine:
    """One per journal. `run` in a nursery; everything else is called from the same trio run."""

    def __init__(
        self,
        journal: Journal,
        registry: Registry,
        settings: Settings,
        clock: Clock,
        entropy: Callable[[int], bytes] = os.urandom,
        spans: Spans | None = None,
    ) -> None:
        self._journal = journal
        self.registry = registry
        self.settings = settings
        self.clock = clock
        self.counters = Counters()
        self.measures = measures_for(registry)
        self.watch = Watch(journal)
        self.life: Life | None = None
        """None while the engine is held, before it is ready, and after it ended."""
        self.held = ""
        """Why it is held; empty while it runs."""
        self._random = random.Random(journal.id + clock.now_us().to_bytes(8))  # noqa: S311 - jitter, no secret
        self._closing = trio.Event()
        self._grace_s = settings.shutdown.grace_s
        self._ended = trio.Event()
        self._actor = Supervised("runtime")
        self._parts = Parts(part_names(registry), settings.supervision, self._random.random, self.counters)
        ids = Ids(clock, journal.id, entropy)
        ratio = settings.telemetry.trace_ratio
        tracing = None if spans is None else Tracing(spans, journal.id, ratio, clock)
        answers = Answers(
            registry,
            ids,
            self.counters,
            self.measures,
            self._forget,
            payloads=payloads_of(settings.intake, self.measures.large),
            tracing=tracing,
        )
        self.lasting = Lasting(
            journal,
            registry,
            settings,
            clock,
            ids,
            self.counters,
            self.measures,
            answers,
            Gateways(registry, settings.gateways, answers, clock, self.counters, self.measures, self._random.random),
            self.watch,
            InvariantWatch(registry, journal, ids, self.counters, settings.invariants, self.watch.stir),
            registry.fingerprints,
            make_guard(settings.purity.guard, self._count_impure),
            shadow_of(settings, registry.codec, self.counters),
            tracing,
        )
        self._unsettled = Unsettled(journal)
        self._ready = False
        self._careful = ""
        """Why things run alone at the next start; empty where they do not."""
        self._rejections = 0
        self._broken: CommitFailed | None = None
        """The commit after which the journal must be reopened before anything is read."""

    async def run(
        self,
        since: Mapping[str, Since],
        opening: Opening | None = None,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Open, live, and close the journal. Reports started when it is ready.

        Args:
            since: as `check` takes it.
            opening: what `check` found, where the journal was checked before it was taken over.

        Raises:
            WiringError: the classes do not fit the journal; nothing was written.
            RuntimeFailed: infrastructure kept failing.
            Fenced: another owner took the journal over.

        Cancellation: skips the grace; the last commit is shielded, bounded by `shutdown.last_commit_s`.
        """
        try:
            owner = await self._journal.owner()
            if owner is not None and owner.unclean_starts >= self.settings.journal.careful_after:
                self._careful = f"the last {owner.unclean_starts} runs did not end in order"
            opening = opening or await check(self._journal, self.registry, since)
            await record(self._journal, self.registry, opening, self.clock.now_us())
            async with trio.open_nursery() as nursery:
                with trio.CancelScope(shield=True) as shield:
                    nursery.start_soon(self._watch_cancellation, shield)
                    async with trio.open_nursery() as attempts:
                        self.lasting.gateways.attach(attempts)
                        if self.lasting.shadow is not None:
                            nursery.start_soon(self.lasting.shadow.run, self._parts.policy, self._random.random)
                        await supervise(
                            self._actor,
                            lambda: self._lives(task_status),
                            self._parts.policy,
                            jitter=self._random.random,
                            on_failure=self._failed,
                            fatal=(Fenced, JournalDamaged),
                        )
                        attempts.cancel_scope.cancel()
                nursery.cancel_scope.cancel()
        except CommitFailed as error:
            self._broken = error  # of the commit that opens: what is written now would stand on what nobody knows
            raise
        finally:
            self._end()
            with trio.CancelScope(shield=True):
                clean = self._actor.state in ("starting", "ended") and self._broken is None
                await (self._journal.close_clean() if clean else self._journal.close())

    async def close(self) -> None:
        """Close the outer intake, let running turns and calls end within the grace, and wait for the last commit."""
        self._closing.set()
        await self._ended.wait()

    async def submit(self, submission: Submission, *, wait: bool) -> None:
        """Accept outside events; returns when they are durable.

        Raises:
            PublishRefused: nothing was written.
            OutcomeUnknown: the commit failed and the journal is not readable yet.
            RuntimeClosed: the runtime is closing or closed.
        """
        if self._closing.is_set() or self._ended.is_set():
            raise RuntimeClosed
        if self.life is None:
            raise NotAccepted(f"the journal is held ({self.held or 'starting'})")
        intake = self.life.intake
        began = perf_counter()
        try:
            await intake.submit(submission, wait=wait)
        except RuntimeClosed:
            if self._closing.is_set():
                raise
            raise NotAccepted(f"the journal is held ({self.held})") from None
        try:
            await submission.done.wait()
        finally:
            if not submission.done.is_set():
                intake.withdraw(submission)
        if submission.error is not None:
            raise submission.error
        self.measures.accept.observe(perf_counter() - began)

    def running(self) -> Life:
        """The life that runs.

        Raises:
            RuntimeClosed: the runtime is closing or closed.
            NotAccepted: the engine is held.
        """
        if self._closing.is_set() or self._ended.is_set():
            raise RuntimeClosed
        if self.life is None:
            raise NotAccepted(f"the journal is held ({self.held or 'starting'})")
        return self.life

    @property
    def committing_s(self) -> float:
        """How long the commit that runs now has taken; 0 where none does."""
        return 0.0 if self.life is None else self.life.ledger.committing_s

    def idle(self) -> bool:
        """All that was accepted is handled and judged, and no command is open."""
        life = self.life
        return life is not None and life.idle() and self.lasting.gateways.idle() and self.lasting.invariants.idle()

    def tree(self) -> ActorInfo:
        """The supervision tree as it stands."""
        life = self.life
        flows: tuple[ActorInfo, ...] = ()
        if life is not None:
            flows = tuple(ActorInfo(flow.name, "running", 0) for flow in life.table if flow.running)
        children = (
            *self._parts.info(),
            ActorInfo("flows", "held" if life is None else "running", 0, flows),
            ActorInfo("gateways", "held" if self.held else "running", 0, self.lasting.gateways.info()),
            *(() if self.lasting.shadow is None else (self.lasting.shadow.actor.info(),)),
        )
        state = "held" if self.held else self._actor.state
        return ActorInfo("runtime", state, self._actor.restarts, children, self.held or self._actor.last_error)

    async def take_up_process(self, process: str) -> None:
        """A paused process goes on: its pending deliveries are taken up from the journal."""
        life = self.running()
        life.host.recoveries += 1
        life.table.paused.discard(process)
        life.quarantine.forget(process)
        for flow in life.table:
            if flow.process == process and flow.has_work():
                life.table.wake(flow)
        await take_up(self._journal, self.registry, life.table, life.host)

    async def _watch_cancellation(self, shield: trio.CancelScope) -> None:
        """The host cancelled us: no grace, and the last commit may take so long and no longer."""
        try:
            await trio.sleep_forever()
        finally:
            # Also where the block of the host was quicker and asked us to close: it was cancelled, as we are.
            self._grace_s = 0.0
            shield.deadline = trio.current_time() + self.settings.shutdown.last_commit_s
            self._closing.set()

    async def _lives(self, task_status: trio.TaskStatus[None]) -> None:
        """One life after another; between them the journal is held and reopened."""
        if self._broken is not None:  # that life failed by something else as well, and it was told first
            if not await self._hold(self._broken):
                return
        else:
            await self._unsettled.resolve(RuntimeFailed("runtime", self._actor.restarts, self._actor.last_error))
            self.lasting.gateways.reset()
        while True:
            rejection: CommitRejected | None = None
            try:
                await self._live(task_status)
            except* CommitFailed as group:
                self._broken = next(error for error in leaves(group) if isinstance(error, CommitFailed))
                self.counters.commits_failed += 1
            except* CommitRejected as group:
                rejection = next(error for error in leaves(group) if isinstance(error, CommitRejected))
            if self._broken is not None:
                self._drop(self._broken)
                if not await self._hold(self._broken):
                    return
            elif rejection is not None:
                self._rejected(rejection)
            else:
                return

    def _rejected(self, error: CommitRejected) -> None:
        """Nothing was written. What the batch held runs again, each alone, until the guilty one is found."""
        life = self._unsettled.life
        culprit = None if life is None else life.solo.culprit
        alone = life is not None and life.solo.active
        self._rejections += 1
        logger.error("a commit was rejected: %s", error)
        if self._rejections > _REJECTIONS_MAX or (alone and culprit is None):
            raise error
        if isinstance(culprit, Stream):
            self.lasting.guilty[culprit.process, culprit.key] = error.found
        self._drop(error, refuse=culprit if isinstance(culprit, Submission) else None)
        self._careful = f"a commit was rejected: {error.found}"

    async def _hold(self, failure: CommitFailed) -> bool:
        """Probe until the journal can be written again; False where the runtime closes first."""
        self.held = failure.found
        logger.error("the journal is held: %s; nothing is accepted until a probe write succeeds", failure.found)
        give_up_at = trio.current_time() + self.settings.commit.outcome_wait_s
        while True:
            try:
                await self._journal.reopen()
            except CommitFailed as again:
                self.held = again.found
            else:
                break
            if trio.current_time() >= give_up_at:
                self._unsettled.give_up(self.held)
            with trio.move_on_after(self.settings.commit.probe_interval_s):
                await self._closing.wait()
                self._unsettled.give_up(self.held)
                return False
        await self._unsettled.resolve(failure)
        self.lasting.gateways.reset()
        self.held, self._broken = "", None
        logger.warning("the journal is well again")
        return True

    async def _live(self, task_status: trio.TaskStatus[None]) -> None:
        """From reading the journal to the last commit."""
        began = perf_counter()
        heads = await self._journal.heads()
        life = assemble(self.lasting, heads)
        await keep_paused(self._journal, self.lasting, life, first=not self._ready)
        self.watch.reset(heads.position)
        self._unsettled.begin(life)
        life.solo.active, life.solo.why = bool(self._careful), self._careful
        async with trio.open_nursery() as outermost:
            outermost.start_soon(self._parts.run, "journal writer", life.ledger.run)
            async with trio.open_nursery() as nursery:
                life.host.attach(nursery)
                self.lasting.answers.desk = life.desk
                try:
                    await write_kept(self.lasting, life)
                    await life.timers.load()
                    await life.timers.fire_due()
                    self.lasting.gateways.resume()
                    start_parts(self._parts, self.lasting, life, nursery)
                    nursery.start_soon(self._parts.run, "recovery", lambda: self._recover(life, began))
                    if life.solo.active:
                        nursery.start_soon(self._leave_solo, life)
                    self.life = life
                    self.watch.find = life.table.find
                    if not self._ready:
                        self._ready = True
                        task_status.started()
                    await self._closing.wait()
                    await shut_down(life, self.lasting, self._grace_s)
                    nursery.cancel_scope.cancel()
                finally:
                    # This nursery may close long before a slow commit lets the life end: nothing is started in it then.
                    self.life = None
                    self.lasting.answers.desk = None
                    life.host.detach()
            life.ledger.close()
        self._unsettled.end()

    async def _recover(self, life: Life, began: float) -> None:
        await take_up(self._journal, self.registry, life.table, life.host)
        self.measures.recovery.observe(perf_counter() - began)
        self.watch.stir()

    async def _leave_solo(self, life: Life) -> None:
        await run_alone(self.lasting, life, self._closing)
        self._careful = ""

    def _failed(self, error: Exception) -> None:
        logger.error("the engine failed and starts again from the journal", exc_info=error)
        self.counters.actors_restarted += 1
        self._drop(error)

    def _drop(self, error: Exception, refuse: Submission | None = None) -> None:
        """Nothing in memory is used again; who waits hears of it once the journal was read."""
        self.life = None
        self.watch.find = nowhere
        self.lasting.answers.desk = None
        self.lasting.gateways.hold()
        self._unsettled.collect(error, refuse)

    def _count_impure(self) -> None:
        self.counters.turns_impure += 1

    def _end(self) -> None:
        self._closing.set()
        self.life = None
        self._unsettled.collect(RuntimeClosed(), None)  # where it did not end in order: nobody waits any longer
        self._unsettled.give_up("the runtime ended")
        self.watch.close()
        self._ended.set()

    def _forget(self, handle: Handle) -> None:
        self.lasting.gateways.host(handle.row.gateway).forget(handle)


_REJECTIONS_MAX = 100
