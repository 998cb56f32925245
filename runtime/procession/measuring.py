"""What stands, beside what is counted: asked from memory, and from the journal only now and then."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import logging
import platform
from collections.abc import AsyncIterator, Iterator, Mapping

import trio

from procession.engine.engine import Engine
from procession.engine.gateway_state import GatewayState
from procession.errors import ProcessionError
from procession.journal.undone import Undone
from procession.settings import Settings
from procession.telemetry import names
from procession.telemetry.metric import Metric
from procession.telemetry.samples import Family, Sample, counted

logger = logging.getLogger("procession.telemetry")
_LOOK_EVERY_S = 0.5
_LAG_EVERY_S = 0.05
"""What holds the loop for longer than this is met by a measurement, whenever it comes."""
_LAG_COUNTED_MAX = 1_200
"""A minute: what holds the loop for longer counts no more."""
_SHARE_MAX = 0.02
"""Of the time, the journal is asked for so much at most, however much is undone."""
_STATUSES = ("unstarted", "active", "quarantined")
_DELIVERIES = ("pending", "waiting", "quarantined")
_BREAKER = {"closed": 0, "half_open": 1, "open": 2}


class Measuring:
    """Of one runtime. What it has seen last is read in any thread; it looks in the loop of the runtime."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._every_s = engine.settings.telemetry.sample_s
        self._undone: Undone | None = None
        self._tasks: int | None = None
        self._next_at = 0.0
        self._looking = False
        self._well = True

    async def run(self) -> None:
        """Look, and measure how late the loop is, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._measure_lag)  # on its own: a look may take as long as the journal does
            while True:
                await self.look()
                await trio.sleep(_LOOK_EVERY_S)

    async def _measure_lag(self) -> None:
        lag = self._engine.measures.lag
        while True:
            due = trio.current_time() + _LAG_EVERY_S
            await trio.sleep_until(due)
            late = trio.current_time() - due
            lag.observe(late)
            # While the loop stood still this task did too: without what it missed a long block would count as little
            # as a short one, and quantiles would be those of the good times.
            for _ in range(min(_LAG_COUNTED_MAX, int(late / _LAG_EVERY_S))):
                late -= _LAG_EVERY_S
                lag.observe(late)

    async def look(self) -> None:
        """Ask the journal again, where its last answer is old. One that can't be asked leaves its gauges out."""
        began = trio.current_time()
        self._tasks = trio.lowlevel.current_statistics().tasks_living
        if self._looking or began < self._next_at:
            return
        self._looking = True
        try:
            self._undone = await self._engine.lasting.journal.undone()
            self._well = True
        except (ProcessionError, OSError) as error:
            self._undone = None
            if self._well:
                logger.warning("the journal can't be measured, and is tried again: %s", error)
            self._well = False
        finally:
            self._looking = False
            ended = trio.current_time()
            self._next_at = ended + max(self._every_s, (ended - began) / _SHARE_MAX)

    def families(self) -> list[Family]:
        """All that is exported, in the order of `names.METRICS`; may be called in any thread."""
        found = {family.metric: family for family in (*self.counted(), *self._gauges())}
        return [found[metric] for metric in names.METRICS if metric in found]

    def count_dropped(self) -> None:
        """Metrics were not delivered; called in the thread that sends them, and in no other."""
        self._engine.counters.metrics_dropped += 1

    def count_log_dropped(self, lines: int) -> None:
        """So many lines of the log were not written, in all; may be called in any thread."""
        self._engine.counters.log_dropped = lines

    def counted(self) -> Iterator[Family]:
        """Counters and histograms."""
        return counted(self._engine.counters, self._engine.measures)

    def _gauges(self) -> Iterator[Family]:
        engine = self._engine
        yield _one(names.HELD, int(bool(engine.held)))
        yield _one(names.COMMITTING, engine.committing_s)
        yield Family(names.BUILD, [Sample(_build(), 1)])
        yield from _of_gateways([host.state() for host in engine.lasting.gateways])
        life = engine.life
        if life is not None:
            awake = life.table.awake
            yield _by(names.FLOWS_IN_MEMORY, {"awake": awake, "cached": max(0, len(life.table) - awake)})
        if self._tasks is not None:
            yield _one(names.TASKS, self._tasks)
        if self._undone is not None:
            yield from self._of_journal(self._undone)

    def _of_journal(self, undone: Undone) -> Iterator[Family]:
        registry, now_us = self._engine.registry, self._engine.clock.now_us()
        yield Family(
            names.FLOWS,
            [
                Sample((process, status), undone.flows.get(process, {}).get(status, 0))
                for process in registry.processes
                for status in _STATUSES
            ],
        )
        yield _by(names.EVENTS_UNDONE, {state: undone.deliveries.get(state, 0) for state in _DELIVERIES})
        ages_s = {state: (now_us - undone.oldest_us.get(state, now_us)) / 1_000_000 for state in _DELIVERIES}
        yield _by(names.OLDEST_EVENT, {state: max(0.0, age_s) for state, age_s in ages_s.items()})
        yield _by(names.COMMANDS_PENDING, {gateway: undone.commands.get(gateway, 0) for gateway in registry.gateways})
        yield _one(names.TIMERS_PENDING, undone.timers)
        if undone.file is not None:
            yield _by(names.JOURNAL_SIZE, {"main": undone.file.main_bytes, "wal": undone.file.wal_bytes})
            yield _by(names.JOURNAL_DISK, {"free": undone.file.disk_free_bytes, "all": undone.file.disk_bytes})


@contextlib.asynccontextmanager
async def measured(measuring: Measuring, settings: Settings) -> AsyncIterator[None]:
    """Measure for as long as the block, where somebody may ask."""
    telemetry = settings.telemetry
    if not telemetry.measure and telemetry.metrics_endpoint is None and settings.http.bind is None:
        yield
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(measuring.run)
        yield
        nursery.cancel_scope.cancel()


def _of_gateways(states: list[GatewayState]) -> Iterator[Family]:
    yield _by(names.GATEWAY_UP, {state.name: int(state.breaker != "open") for state in states})
    yield _by(names.GATEWAY_BREAKER, {state.name: _BREAKER[state.breaker] for state in states})
    yield _by(names.GATEWAY_PAUSED, {state.name: int(state.paused) for state in states})
    yield _by(names.GATEWAY_QUEUE, {state.name: state.waiting for state in states})
    yield _by(names.GATEWAY_RUNNING, {state.name: state.running for state in states})


def _one(metric: Metric, stands: float) -> Family:
    return Family(metric, [Sample((), stands)])


def _by(metric: Metric, standing: Mapping[str, float]) -> Family:
    return Family(metric, [Sample((value,), stands) for value, stands in standing.items()])


@functools.cache
def _build() -> tuple[str, str, str]:
    """Version, schema of the journals that it writes, and Python."""
    from procession.journal.sqlite_schema import SCHEMA  # noqa: PLC0415 - only where somebody looks

    return importlib.metadata.version("procession"), str(SCHEMA), platform.python_version()
