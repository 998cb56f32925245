"""One gateway as an actor: it begins attempts within its limits, and turns their ends into answers or retries."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable, Coroutine
from time import perf_counter
from typing import Any

import attrs
import trio

from procession.actors.supervisor import CallResult, contained_call
from procession.engine.answers import Answers
from procession.engine.breaker import Breaker, RateLimit, wait_s
from procession.engine.clock import Clock
from procession.engine.command_window import CommandWindow, Handle
from procession.engine.gateway_state import GatewayState
from procession.engine.host_loop import HOST_LOOP, HostLost
from procession.engine.turn import describe, shown
from procession.errors import Refused
from procession.primitives.gateway import Attempt, AttemptFailed, Gateway, RetryLater
from procession.settings import GatewaySettings
from procession.telemetry.measures import GatewayMeasures
from procession.telemetry.names import Counters

logger = logging.getLogger("procession.gateways")
_LOG_MAX = 20
_FOUND_CHARS_MAX = 300
_LOOK_AGAIN_S = 0.02
_NEVER = float("inf")
_EARLY_MAX = 0.001
"""Of its time-out, an attempt that follows another one at once may have so much less."""
_HOST_LOST_PAUSE_US = 1_000_000
_SLICE_S = 0.01
"""A task that makes one attempt after another lets others run after this long."""


RELOADED = frozenset(field.name for field in attrs.fields(GatewaySettings)) - {"commands_loaded_max", "paused"}
"""Settings of a gateway that may change while it runs. Pausing is an act, with a name and a reason."""


@attrs.define(eq=False)
class GatewayHost:
    """Lives as long as the runtime, so that running calls outlive a failed commit."""

    name: str
    gateway: Gateway
    drive: GatewaySettings
    ordered: bool
    answers: Answers
    clock: Clock
    counters: Counters
    measures: GatewayMeasures
    spread: Callable[[], float]
    """A number in 0..1, drawn for each back-off."""
    on_host: bool = False
    """Its `async def` methods are awaited on the asyncio loop of the host."""
    window: CommandWindow = attrs.field(init=False)
    breaker: Breaker = attrs.field(init=False)
    rate: RateLimit = attrs.field(init=False)
    is_paused: bool = attrs.field(init=False)
    """As the journal's last act, or the settings, have it."""
    pausing: int = 0
    """How many pauses are being written: they hold already."""
    running: int = 0
    open: bool = False
    """Attempts may begin: the journal is well and the runtime is not closing."""
    last_error: str = ""
    wake: trio.Event = attrs.field(factory=trio.Event)
    _held_back: bool = False
    """Breaker or rate hold the next attempt back."""
    _nursery: trio.Nursery | None = None
    _now: Callable[[], float] = trio.current_time
    _limiter: trio.CapacityLimiter = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.window = CommandWindow(self.drive.commands_loaded_max, ordered=self.ordered)
        self.breaker = Breaker(self.drive.breaker_failures, self.drive.breaker_cooldown_s)
        self.rate = RateLimit(self.drive.rate_per_s)
        self.is_paused = self.drive.paused
        # An abandoned thread keeps its token until it returns: twice the concurrency leaves room for new ones.
        self._limiter = trio.CapacityLimiter(2 * self.drive.concurrency)

    @property
    def paused(self) -> bool:
        """No attempt begins until somebody resumes it."""
        return self.is_paused or self.pausing > 0

    def state(self) -> GatewayState:
        """Where it stands, for people."""
        return GatewayState(
            self.name,
            self.paused,
            self.held_back(),
            self.running,
            len(self.window) - self.running,
            self.window.more,
            self.drive.concurrency,
            self.breaker.state,
            self.last_error,
        )

    def reload(self, drive: GatewaySettings) -> list[str]:
        """Go on with other limits; names those that changed. Running calls keep their time-out."""
        changed = [name for name in sorted(RELOADED) if getattr(self.drive, name) != getattr(drive, name)]
        if changed:
            self.drive = attrs.evolve(self.drive, **{name: getattr(drive, name) for name in RELOADED})
            self.breaker.failures_max, self.breaker.cooldown_s = drive.breaker_failures, drive.breaker_cooldown_s
            self._limiter.total_tokens = 2 * drive.concurrency
            if "rate_per_s" in changed:
                self.rate = RateLimit(drive.rate_per_s)
            self.wake.set()
        return changed

    def attach(self, nursery: trio.Nursery) -> None:
        """Run attempts in this nursery."""
        self._nursery = nursery
        self._now = trio.lowlevel.current_clock().current_time

    def begin_ready(self) -> bool:
        """Begin as many attempts as the limits allow, now; False where one is held back: the loop must look again."""
        while True:
            handle = self._begin_next(self._now())
            if handle is None:
                return not self._held_back
            assert self._nursery is not None, "attempts begin after attach"
            self._nursery.start_soon(self._attempts, handle, name=self.name)

    def _begin_next(self, now: float) -> Handle | None:
        """The command whose attempt begins now; None where none may."""
        self._held_back = False
        if not self.open or self.paused or self.running >= self.drive.concurrency or not self.window.stirs:
            return None
        alone = self._is_solo()
        if alone and self._waits_alone():
            self._held_back = True
            return None
        if not self.breaker.may_begin(now) or not self.rate.may_begin(now):
            self._held_back = True
            return None
        handle = self.window.next(self.clock)
        if handle is None:
            return None
        self.breaker.begun()
        self.rate.begun()
        handle.state = "running"
        if alone and self.answers.desk is not None:
            self.answers.desk.solo.command = handle
        handle.attempts += 1
        self.running += 1
        self.counters.attempts_started += 1
        self.measures.attempts += 1
        if handle.attempts == 1:
            self.counters.commands_sent += 1
            self.measures.sent += 1
        return handle

    def held_back(self) -> str:
        """Why no attempt begins, in words; empty where nothing holds them back."""
        if self.paused:
            return "paused"
        if not self.open:
            return "held: the journal is not well, or the runtime closes"
        if self.breaker.state == "closed":
            return ""
        return f"held back by its breaker: {self.breaker.failures} failures in a row, the last {self.last_error!r}"

    def _waits_alone(self) -> bool:
        """After the process died, commands run one at a time, and not beside a suspect."""
        desk = self.answers.desk
        return desk is not None and desk.solo.active and (desk.solo.command is not None or desk.solo.suspects > 0)

    def _is_solo(self) -> bool:
        return self.answers.desk is not None and self.answers.desk.solo.active

    def next_wake(self, now: float, now_us: int) -> float:
        """On trio's clock, when something may begin that may not now; infinity where only an event can tell."""
        if not self.open or self.paused or self.running >= self.drive.concurrency or self.breaker.probing:
            return float("inf")
        if self._waits_alone():
            return now + _LOOK_AGAIN_S
        limits = (self.breaker.wakes_at(), self.rate.wakes_at(now))
        held_until = max((at for at in limits if at is not None), default=now)
        if held_until > now:
            return held_until  # whatever is due: before that it may not begin
        due_us = self.window.next_due_us()
        return float("inf") if due_us is None else now + max(0, due_us - now_us) / 1_000_000

    def cancel(self, handle: Handle) -> None:
        """Stop an attempt at its next checkpoint; its outcome is not known."""
        if handle.scope is not None:
            handle.scope.cancel()
            handle.broken_off = True

    async def _attempts(self, handle: Handle | None) -> None:
        """One attempt after another, as long as all goes well: a task for each would cost more than a quick answer.

        They share a cancel scope: the one that is cancelled, or runs into its time-out, is the last.
        """
        until = (now := self._now()) + _SLICE_S
        with trio.CancelScope() as scope:
            while handle is not None:
                await self._attempt(handle, scope, now)
                now = self._now()
                if self.breaker.failures or handle.broken_off or now >= scope.deadline or self._is_solo():
                    return  # the gateway's loop decides what may begin next
                if now > until:
                    scope.deadline = _NEVER
                    await trio.lowlevel.checkpoint()
                    until = (now := self._now()) + _SLICE_S
                handle = self._begin_next(now)

    async def _attempt(self, handle: Handle, scope: trio.CancelScope, now: float) -> None:
        """One call of the gateway, with its time-out; whatever it ends with is recorded."""
        method: Any = getattr(self.gateway, handle.method.name)
        tracing = self.answers.tracing
        span = None if tracing is None or handle.trace is None else tracing.begin_attempt(handle)
        arguments: tuple[object, ...] = (handle.command,)
        if handle.method.wants_attempt:
            known = (handle.row.id.hex(), handle.attempts, handle.process, handle.key)
            arguments = (handle.command, Attempt(*known, self.drive.timeout_s, handle.context))
        result: CallResult[object] | None = None
        doomed = False
        handle.scope, handle.broken_off = scope, False
        began = perf_counter()
        try:
            if self._is_solo():
                doomed, now = not await self.answers.mark(handle), self._now()
                if doomed:
                    return
            deadline = now + self.drive.timeout_s
            if deadline - scope.deadline > self.drive.timeout_s * _EARLY_MAX or scope.deadline == _NEVER:
                scope.deadline = deadline  # that costs a place in trio's heap of deadlines
            if span is None or tracing is None:
                result = await self._call(handle, method, arguments)
            else:
                with tracing.within_attempt(handle, span):
                    result = await self._call(handle, method, arguments)
        finally:
            handle.timed_out = result is None and trio.current_time() >= scope.deadline
            handle.scope = None
            self.running -= 1
            self.measures.attempt.observe(perf_counter() - began)
            self._stands_aside(handle)
            if doomed:
                self.answers.gave_up(handle, "unknown", "the process died again and again while this command ran alone")
            elif result is None:
                self._interrupted(handle)
            else:
                self._finished(handle, result)
            if span is not None and not doomed:
                self.answers.note(handle, span, result)
            if self.window.stirs or self.window.more:
                self.wake.set()

    def _call(self, handle: Handle, method: Any, arguments: tuple[object, ...]) -> Awaitable[CallResult[object]]:  # noqa: ANN401
        if not handle.method.is_async:
            return contained_call(self._in_thread, handle, method, arguments)
        if self.on_host:
            return contained_call(self._on_host, handle, functools.partial(method, *arguments))
        return contained_call(method, *arguments)

    def _stands_aside(self, handle: Handle) -> None:
        desk = self.answers.desk
        if desk is not None and desk.solo.command is handle:
            desk.solo.command = None

    def forget(self, handle: Handle) -> None:
        """A command is done for good: there is room for one that is in the journal."""
        self.window.forget(handle)
        if self.window.more:
            self.wake.set()

    async def _in_thread(self, handle: Handle, method: Any, arguments: tuple[object, ...]) -> object:  # noqa: ANN401
        """A plain method in a worker thread; one that is cancelled goes on unseen, and its command waits for it."""
        token = trio.lowlevel.current_trio_token()
        returned = False

        def call() -> object:
            try:
                return method(*arguments)
            finally:
                with contextlib.suppress(trio.RunFinishedError):  # gone: the command is still open in the journal
                    token.run_sync_soon(done)

        def done() -> None:
            nonlocal returned
            returned = True
            self._returned(handle)

        try:
            return await trio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=self._limiter)
        finally:
            if not returned:
                handle.state = "stuck"

    async def _on_host(self, handle: Handle, work: Callable[[], Coroutine[Any, Any, object]]) -> object:
        """A method awaited on the host's loop; one that does not heed its cancellation goes on unseen, as a thread."""
        host = HOST_LOOP.get()
        assert host is not None, "refused at opening"
        call = host.begin(work, functools.partial(self._returned, handle))
        try:
            return await call.wait()
        finally:
            if not call.ended:
                handle.state = "stuck"

    def _returned(self, handle: Handle) -> None:
        """A call that was abandoned has returned: its command waits no longer."""
        if handle.state != "stuck":
            return
        if handle.ended == "open":
            self.window.rest(handle, handle.row.due_us, self.clock.now_us())
        else:
            self.forget(handle)
            self.window.more = True  # it may have been opened again, and read while this thread still ran
        self.wake.set()

    def _finished(self, handle: Handle, result: CallResult[object]) -> None:
        if result.error is None:
            answer = self.answers.examined(handle, result.value)
            if isinstance(answer, str):
                self._failed(handle, answer, refused=False)
            else:
                self.measures.attempts_answered += 1
                self.breaker.succeeded()
                self.answers.answered(handle, answer)
        elif isinstance(result.error, Refused):
            self.breaker.succeeded()
            self._failed(handle, shown(result.error, hands=(handle.command,)), refused=True)
        elif isinstance(result.error, AttemptFailed):
            after_s = result.error.after_s if isinstance(result.error, RetryLater) else 0
            self._failed(handle, shown(result.error, hands=(handle.command,)), refused=False, after_s=after_s)
        elif isinstance(result.error, HostLost):
            self._unmake(handle, f"{result.error}: outcome unknown, will retry under the same id")
            self._retry_at(handle, self.clock.now_us() + _HOST_LOST_PAUSE_US)
        else:
            self._failed(handle, describe(result.error, handle.command), refused=False)

    def _interrupted(self, handle: Handle) -> None:
        """The call was cancelled: by its time-out, with its flow, or by shutdown."""
        if handle.ended != "open":
            self.breaker.abandoned()
            self._count_cancelled()
        elif handle.timed_out:
            self._failed(handle, f"no answer within {self.drive.timeout_s:g} s: outcome unknown", refused=False)
        else:
            self._unmake(handle, "cancelled at shutdown: outcome unknown, will retry under the same id")
            self.answers.retry_later(handle, handle.row.due_us)
            if handle.state != "stuck":
                self.window.rest(handle, handle.row.due_us, self.clock.now_us())

    def _unmake(self, handle: Handle, found: str) -> None:
        """An attempt that was broken off by no fault of the gateway: it does not count."""
        self.breaker.abandoned()
        self._count_cancelled()
        handle.attempts -= 1
        self._note(handle, handle.attempts + 1, found)

    def _count_cancelled(self) -> None:
        self.counters.attempts_cancelled += 1
        self.measures.attempts_cancelled += 1

    def _failed(self, handle: Handle, found: str, *, refused: bool, after_s: float = 0) -> None:
        self.counters.attempts_failed += 1
        self.measures.attempts_failed += 1
        self.last_error = found[:_FOUND_CHARS_MAX]
        self._note(handle, handle.attempts, self.last_error)
        now_us = self.clock.now_us()
        if not refused and self.breaker.failed(trio.current_time()):
            self.counters.breakers_opened += 1
            self.measures.opened += 1
            logger.warning("gateway %s: breaker open after %d failures: %s", self.name, self.breaker.failures, found)
        if refused or handle.attempts >= self.drive.attempts_max:
            self.answers.gave_up(handle, "refused" if refused else "unknown", self.last_error)
            return
        self._retry_at(handle, now_us + int(wait_s(self.drive, handle.attempts, after_s, self.spread()) * 1_000_000))

    def _retry_at(self, handle: Handle, due_us: int) -> None:
        self.answers.retry_later(handle, due_us)
        if handle.state == "stuck":
            handle.row = handle.row._replace(due_us=due_us)
        elif handle.ended == "open":
            self.window.rest(handle, due_us, self.clock.now_us())

    def _note(self, handle: Handle, number: int, found: str) -> None:
        handle.log = (*handle.log, {"n": number, "at_us": self.clock.now_us(), "found": found})
        if len(handle.log) > _LOG_MAX:
            handle.log = (handle.log[0], *handle.log[2:])  # the first stays: it tells when the trouble began
