"""`procession run`: the configured flows as a service, under a service manager or on a terminal."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator

import attrs
import trio

from procession.daemon.collecting import collect_seldom
from procession.daemon.configuration import Configuration, configured, refuse_early, since_of
from procession.daemon.descriptors import make_room
from procession.daemon.http_door import Door, http_door
from procession.daemon.local_server import LocalServer
from procession.daemon.local_socket import LINE_BYTES_MIN, address_of, listen
from procession.daemon.log_lines import log_to
from procession.daemon.log_writer import LogWriter
from procession.daemon.operations import Operations
from procession.daemon.output import Output
from procession.daemon.reloading import Reloaded, limits_of, reload
from procession.daemon.service_notify import ServiceManager
from procession.daemon.snapshot import Snapshots
from procession.daemon.stopping import Stop, run_stoppable
from procession.engine.clock import SystemClock
from procession.errors import ProcessionError
from procession.facade import Runtime
from procession.journal.holding import held
from procession.journal.ownership import HeldJournal
from procession.journal.sqlite import SqliteJournal
from procession.primitives.wiring import Wiring
from procession.settings import Settings
from procession.wiring import load_wiring, open_wired, registry_of

logger = logging.getLogger("procession.daemon")
_EXTRA_BYTES = 65_536
"""What an event may have beside its data."""


def run(options: argparse.Namespace, output: Output) -> int:
    """Serve until somebody wants it to stop; 0 where it ended in order."""
    configuration = configured(options)
    writer = log_to(output.stderr, configuration.settings.log.level)
    if configuration.settings.http.bind is not None:
        make_room(configuration.settings.http.connections_max)
    try:
        return run_stoppable(_Daemon(options, configuration, writer).run)
    finally:
        if writer is not None:
            writer.finish()


@attrs.define(eq=False)
class _Daemon:
    """One run of it."""

    options: argparse.Namespace
    configuration: Configuration
    writer: LogWriter | None = None
    settings: Settings = attrs.field(init=False)
    """Those in force."""

    def __attrs_post_init__(self) -> None:
        self.settings = self.configuration.settings

    async def run(self, stop: Stop) -> int:
        """Own the journal, take the address, serve, close."""
        manager = ServiceManager.of(os.environ)
        refuse_early(self.configuration.journal)
        wiring = load_wiring(self.settings)
        with trio.open_signal_receiver(signal.SIGHUP) as hangups, contextlib.closing(manager):
            # The journal first: who does not own it takes no address that its owner is to have.
            async with held(self.configuration.journal, SystemClock().now_us()) as journal:
                with http_door(self.settings) as http:
                    await self._serve(stop, wiring, journal, http, hangups, manager)
        logger.info("closed in order")
        return 0

    async def _serve(
        self,
        stop: Stop,
        wiring: Wiring,
        journal: HeldJournal,
        http: Door,
        hangups: AsyncIterator[int],
        manager: ServiceManager,
    ) -> None:
        """Open what is owned, serve it until somebody wants it to stop, close it."""
        # What is told to the manager ends last: closing may take as long as the grace.
        async with trio.open_nursery() as telling:
            since = since_of(self.options)
            async with open_wired(wiring, self.settings, journal=journal, since=since) as runtime:
                if self.writer is not None:
                    self.writer.on_dropped = runtime.measuring.count_log_dropped
                    runtime.measuring.count_log_dropped(self.writer.dropped)
                snapshots = Snapshots(runtime, self.configuration.journal)
                operations = Operations(runtime, registry_of(wiring), snapshots, http.reread_tokens)
                async with (
                    self._listening(runtime, operations),
                    http.serve(runtime),
                    trio.open_nursery() as nursery,
                ):
                    telling.start_soon(manager.keep_told, snapshots.status)
                    nursery.start_soon(self._reload_on, hangups, runtime, manager, http)
                    collect_seldom()
                    await self._ready(manager, snapshots)
                    await stop.asked.wait()
                    await manager.tell(STOPPING="1", STATUS="closing")
                    logger.info("closing: %s", stop.signal.name if stop.signal else "asked to")
                    nursery.cancel_scope.cancel()
            telling.cancel_scope.cancel()

    @contextlib.asynccontextmanager
    async def _listening(self, runtime: Runtime, operations: Operations) -> AsyncIterator[None]:
        """Serve the local socket, and name it in the lock file, for as long as the block."""
        journal = runtime.journal
        assert isinstance(journal, SqliteJournal), "the settings name a file"
        server = LocalServer(operations, LINE_BYTES_MIN + 2 * (self.settings.intake.payload_bytes_max + _EXTRA_BYTES))
        listening = listen(address_of(self.configuration.journal))
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(server.serve, listening.listener)
                journal.announce(listening.address)
                yield
                nursery.cancel_scope.cancel()
        finally:
            journal.announce(None)
            listening.leave()

    async def _ready(self, manager: ServiceManager, snapshots: Snapshots) -> None:
        await manager.tell(READY="1", MAINPID=str(os.getpid()), STATUS=snapshots.status())
        logger.info("ready: process %d owns %s", os.getpid(), self.configuration.journal)
        try:
            aside = await snapshots.anything_quarantined()
        except ProcessionError as error:
            logger.warning("whether flows are in quarantine can't be read now: %s", error)
            return
        if aside:
            logger.warning("flows are in quarantine; `procession ls --status quarantined` lists them")

    async def _reload_on(
        self, hangups: AsyncIterator[int], runtime: Runtime, manager: ServiceManager, http: Door
    ) -> None:
        """At each SIGHUP read the configuration again; one that can't be used changes nothing."""
        async for _ in hangups:
            await manager.tell(RELOADING="1", MONOTONIC_USEC=str(time.monotonic_ns() // 1_000))
            self._read_again(http)
            try:
                settings = configured(self.options).settings
                found = reload(runtime, self.settings, settings)
            except ProcessionError as error:
                logger.error("the configuration was not reloaded: %s", error)  # noqa: TRY400 - it is a sentence
            else:
                self.settings = settings
                logger.info("reloaded; %s", found)
                await self._record(runtime, found)
            await manager.tell(READY="1")

    async def _record(self, runtime: Runtime, found: Reloaded) -> None:
        """Limits that the configuration brought are acts, as those of an operator are."""
        try:
            for act in limits_of(runtime, found.changed):
                await runtime.record_act(act)
        except ProcessionError as error:
            logger.error("what was reloaded is in force, and not in the journal: %s", error)  # noqa: TRY400 - as above

    def _read_again(self, http: Door) -> None:
        """Whatever becomes of the configuration: a fault in it keeps no revoked token in force."""
        try:
            changed = http.reload()
        except ProcessionError as error:
            logger.error("tokens and certificate were not all read again: %s", error)  # noqa: TRY400 - as above
        else:
            if changed:
                logger.info("read again, and in force: %s", ", ".join(changed))
