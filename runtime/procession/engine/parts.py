"""The parts of the engine that a life runs: each has its state in the tree, and some are restarted alone."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from procession.actors.supervisor import ActorInfo, RestartPolicy, Supervised, supervise
from procession.errors import RuntimeFailed
from procession.settings import SupervisionSettings
from procession.telemetry.names import Counters

logger = logging.getLogger("procession")


class Parts:
    """Those that run once for the whole engine; gateways have theirs beside them."""

    def __init__(
        self, names: tuple[str, ...], limits: SupervisionSettings, jitter: Callable[[], float], counters: Counters
    ) -> None:
        self._actors = {name: Supervised(name) for name in names}
        self._jitter = jitter
        self._counters = counters
        self.policy = RestartPolicy(
            limits.restarts_max, limits.period_s, limits.backoff_initial_s, limits.backoff_max_s
        )

    def info(self) -> tuple[ActorInfo, ...]:
        """The parts for the tree."""
        return tuple(actor.info() for actor in self._actors.values())

    async def run(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """A part that can't be restarted alone: it shares its memory with the others. Its failure ends the life."""
        actor = self._actors[name]
        actor.state = "running"
        try:
            await run()
            actor.state = "ended"
        finally:
            if actor.state == "running":
                actor.state = "failed"

    async def restarting(self, actor: Supervised, run: Callable[[], Awaitable[None]]) -> None:
        """A part that is started again alone.

        Raises:
            RuntimeFailed: it failed more often than the policy allows.
        """
        await supervise(actor, run, self.policy, jitter=self._jitter, on_failure=self._failed)

    async def dispensable(self, name: str, run: Callable[[], Awaitable[None]], stop: Callable[[], None]) -> None:
        """A part that nothing else waits for: it is started again alone, and given up alone."""
        try:
            await self.restarting(self._actors[name], run)
        except RuntimeFailed as error:
            logger.error("%s; everything else goes on", error)  # noqa: TRY400 - each failure was logged
            stop()

    def _failed(self, error: Exception) -> None:
        logger.error("a part of the engine failed and starts again", exc_info=error)
        self._counters.actors_restarted += 1
