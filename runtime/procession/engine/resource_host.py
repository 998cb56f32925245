"""Opened resources: one task each, opened in order before anything runs, closed in the reverse order after all."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

import attrs
import trio

from procession.actors.supervisor import contained_call, leaves
from procession.engine.turn import shown
from procession.errors import WiringError
from procession.mask import without_credentials
from procession.primitives.resources import Factory, Plan, ResourceFailed, arguments
from procession.settings import ResourcesSettings

logger = logging.getLogger("procession")


@contextlib.asynccontextmanager
async def opened(plan: Plan, limits: ResourcesSettings) -> AsyncIterator[Mapping[str, object]]:
    """All resources of a plan by name, open for as long as the block.

    Each is opened and closed in a task of its own, so that a context manager may hold a nursery or a cancel scope.

    Raises:
        ResourceFailed: one can't be opened, failed in use (the block is cancelled then), or can't be closed. Whatever
            happens, all that was opened is closed; what fails while closing never hides what failed first.
        WiringError: one was opened as something that another does not take.

    Cancellation: an opening is cancelled; closing is shielded, bounded by `resources.close_s` for each.
    """
    async with trio.open_nursery() as nursery:
        held: list[_Held] = []
        ready = dict(plan.values)
        through = False
        try:
            for factory in plan.factories:
                one = _Held(factory, limits)
                ready[factory.name] = await nursery.start(one.hold, dict(ready))
                held.append(one)
            yield ready
            through = True
        finally:
            failures = await _closed(held)
            if failures and through:
                raise failures[0]
            first = sys.exception()
            for failure in failures:
                if first is not None:
                    first.add_note(str(failure))


async def _closed(held: list[_Held]) -> list[ResourceFailed]:
    """Close one after the other, the last opened first; what failed."""
    with trio.CancelScope(shield=True):
        for one in reversed(held):
            one.closing.set()
            await one.ended.wait()
    return [one.failure for one in reversed(held) if one.failure is not None]


@attrs.define(eq=False)
class _Held:
    """One resource, from its opening to its closing."""

    factory: Factory
    limits: ResourcesSettings
    closing: trio.Event = attrs.field(factory=trio.Event)
    ended: trio.Event = attrs.field(factory=trio.Event)
    failure: ResourceFailed | None = None
    """Why it could not be closed."""
    _open: bool = False

    async def hold(self, ready: Mapping[str, object], *, task_status: trio.TaskStatus[object]) -> None:
        """Open, wait until it is asked to close, close.

        Raises:
            ResourceFailed: it could not be opened, or failed in use.
        """
        try:
            # One scope around all of it, whose deadline moves: a context manager that holds a scope of its own must
            # be entered and left inside the same outer ones.
            with trio.CancelScope() as scope:
                unbounded = scope.deadline
                scope.deadline = trio.current_time() + self.limits.open_s
                result = await contained_call(lambda: self._use(scope, unbounded, ready, task_status))
            error = result.error if not scope.cancelled_caught else None
            if scope.cancelled_caught or error is not None:
                self._failed(error, timed_out=scope.cancelled_caught)
            elif not self.closing.is_set():
                raise ResourceFailed(
                    self.factory.name, "ended of itself while it was in use", "let it stay open until it is closed"
                )
        finally:
            self.ended.set()

    async def _use(
        self,
        scope: trio.CancelScope,
        unbounded: float,
        ready: Mapping[str, object],
        task_status: trio.TaskStatus[object],
    ) -> None:
        async with self._entered(ready) as value:
            scope.deadline, scope.shield = unbounded, True
            self._open = True
            task_status.started(value)
            await self.closing.wait()
            scope.deadline = trio.current_time() + self.limits.close_s

    def _entered(self, ready: Mapping[str, object]) -> contextlib.AbstractAsyncContextManager[object]:
        factory = self.factory
        made: Any = factory.open(**arguments(f"resource {factory.name!r}", factory.needs, ready))
        if hasattr(type(made), "__aenter__"):
            return made  # type: ignore[no-any-return] # by its method it is one
        if hasattr(type(made), "__enter__"):
            return _waiting(made)
        raise WiringError(
            f"resource {factory.name!r} made a {type(made).__name__}, which is no context manager",
            "return one, such as contextlib.nullcontext(value) where nothing is to be closed",
        )

    def _failed(self, error: BaseException | None, *, timed_out: bool) -> None:
        name, limits = self.factory.name, self.limits
        if isinstance(error, WiringError):
            raise error
        leaf = None if error is None else next(leaves(error))
        found = "" if leaf is None else f": {type(leaf).__name__}: {without_credentials(shown(leaf))}"
        if not self._open:
            found = f"was not open after {limits.open_s:g} s" if timed_out else f"could not be opened{found}"
            raise ResourceFailed(
                name, found, "mend it, or raise resources.open_s" if timed_out else "mend it"
            ) from error
        if not self.closing.is_set():
            raise ResourceFailed(name, f"failed while it was in use{found}", "mend it and start again") from error
        found = f"was not closed after {limits.close_s:g} s" if timed_out else f"could not be closed{found}"
        cure = "raise resources.close_s, or let it close sooner" if timed_out else "mend how it closes"
        self.failure = ResourceFailed(name, found, cure)
        self.failure.__cause__ = error
        logger.error("%s", self.failure, exc_info=error)


@contextlib.asynccontextmanager
async def _waiting(manager: contextlib.AbstractContextManager[object]) -> AsyncIterator[object]:
    """A plain context manager, entered and left in the runtime's own thread: what it opens may belong to that."""
    with manager as value:
        yield value
