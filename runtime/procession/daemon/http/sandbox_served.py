"""Sandboxes that are open: forks of flows, each in a journal of its own, served read-only at an address of its own."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import attrs
import trio

from procession.daemon.durations import now_us
from procession.daemon.http.source import About, JournalFile, Source, version
from procession.journal.scratch import scratch
from procession.journal.sqlite_reader import read_sqlite
from procession.reading.flow_file import FlowFile
from procession.reading.flow_journal import write_flow_journal

logger = logging.getLogger("procession.http")
OPEN_MAX = 4
"""Where one more is opened, the oldest is closed."""
OPEN_S = 3_600.0
PREFIX = "procession-sandbox-"


@attrs.define(eq=False)
class Sandbox(JournalFile):
    """The journal of a fork; none is opened out of it."""


Served = Callable[[Sandbox], contextlib.AbstractAsyncContextManager[str]]
"""Serves one for as long as a block, and yields its address."""


@attrs.define(eq=False)
class Sandboxes:
    """Those of one server; they end with it."""

    nursery: trio.Nursery
    served: Served
    _open: deque[trio.CancelScope] = attrs.field(factory=deque)
    """The oldest first."""
    _opening: trio.Lock = attrs.field(factory=trio.Lock)

    async def open(self, file: FlowFile, source: Source) -> str:
        """Serve a fork for a while; returns its address.

        Raises:
            ProcessionError: its rows do not fit each other, or nothing can be written.
        """
        async with self._opening:
            while len(self._open) >= OPEN_MAX:
                self._open.popleft().cancel()
            address: str = await self.nursery.start(self._serve, file, source)
            return address

    async def _serve(
        self, file: FlowFile, source: Source, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
    ) -> None:
        began = False
        try:
            with scratch(PREFIX) as folder, trio.move_on_after(OPEN_S) as scope:
                async with self._opened(file, source, Path(folder) / "flow.db") as address:
                    self._open.append(scope)
                    began = True
                    task_status.started(address)
                    await trio.sleep_forever()
        except Exception:
            if not began:
                raise  # whoever opens it is told
            logger.exception("a sandbox failed, and was closed")  # it must not end what it was forked from
        finally:
            if began and scope in self._open:
                self._open.remove(scope)

    @contextlib.asynccontextmanager
    async def _opened(self, file: FlowFile, source: Source, target: Path) -> AsyncIterator[str]:
        await write_flow_journal(target, file, now_us)
        reader = await read_sqlite(target)
        try:
            flow, position = file.flow, (await reader.heads()).position
            said = f"sandbox of {flow.process}/{flow.key}, up to step {flow.version}"
            no_classes = "" if source.registry.processes else "they are not at hand where it was forked"
            about = About("file", said, immutable=False, no_classes=no_classes, version=version())
            async with self.served(Sandbox(reader, source.registry, source.settings, position, about)) as address:
                yield address
        finally:
            with trio.CancelScope(shield=True):
                await reader.close()
