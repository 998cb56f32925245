"""Two short lives, so short that every single call of them can be made to fail: `new`, and `left`.

`new` makes a journal, and takes one batch from its begin to its end. `left` opens what a killed one left, with a
write-ahead log to recover, events to handle and commands to send again, and takes an order to its end, with checkpoints
beside the work. Both end in order. A life is a process of its own, forked from one that has all imported already, and
asks no network, no chance and nobody else, so that its calls are about the same each time.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
import trio

import procession.laws.purity  # as below
import procession.primitives.converters  # noqa: F401 - a runtime takes it up late; so each life would do it anew
from procession import Outside, Runtime, Settings, open_runtime
from procession.engine.clock import SystemClock
from procession.errors import ProcessionError
from procession.journal.sqlite import SqliteJournal, open_sqlite
from procession.journal.sqlite_reader import read_sqlite
from procession.settings import CommitSettings, FlowsSettings, GatewaysSettings, JournalSettings
from tests.crash.child import PLANTED, come_to_rest, publish_until_accepted
from tests.crash.lines import LineLog
from tests.crash.power_loss import LOGS
from tests.crash.story import Bank, Batch, Order, Shop, World, burst, bursts_of

Work = Callable[[], Awaitable[object]]

JOURNAL = "journal.db"
FILES = tuple(JOURNAL + suffix for suffix in ("", "-wal", "-shm", "-journal", "-head", ".lock"))
"""All that a journal consists of; the folder is synced too."""
LIVES = ("new", "left")
OPENED = "open"
"""What the log of effects says once the runtime is open."""
_SEED = 1
_DIES_AFTER = 1
_WAL_PAGES_MAX = 30
_PAUSE_S = 0.01
_LATENCY_MS_MAX = 1.0
_SETTINGS = Settings(
    commit=CommitSettings(probe_interval_s=0.05),
    journal=JournalSettings(careful_after=1_000_000),
    flows=FlowsSettings(awake_max=2, cached_max=1, mailbox_max=2, snapshot_every_steps=3, load_slice_steps=3),
    gateways=GatewaysSettings(commands_loaded_max=16),
)


@attrs.frozen
class Believing:
    """A journal with a planted fault: a commit that failed is tried again on the same connection, and believed."""

    journal: SqliteJournal

    def __getattr__(self, name: str) -> object:
        return getattr(self.journal, name)

    async def commit(self, commit: object) -> None:
        """As often as it takes."""
        try:
            await self.journal.commit(commit)  # type: ignore[arg-type]  # it only passes it on
        except ProcessionError:
            self.journal._broken = None  # noqa: SLF001 - the fault itself
            await self.commit(commit)


_PLANTED = {**PLANTED, "believing": Believing}


def script(life: str) -> Iterator[list[Outside]]:
    """What is published, burst by burst."""
    for number in range(bursts_of(0)):
        keys = f"0-{_SEED}-b0" if life == "new" else f"0-{_SEED}-0"
        events = [one for one in burst(_SEED, number, 0) if str(one.id).startswith(f"{keys}/")]
        if events:
            yield events


async def live(folder: Path, life: str, options: Collection[str]) -> None:
    """Open, publish and come to rest, and close; with `dies`, be killed in the middle."""
    log = LineLog(folder / LOGS[1])
    outside = World(log, random.Random(_SEED), _LATENCY_MS_MAX)
    acknowledged = LineLog(folder / LOGS[0])
    journal = await open_sqlite(
        folder / JOURNAL,
        clock_us=SystemClock().now_us,
        wal_pages_max=100_000 if "dies" in options else _WAL_PAGES_MAX,
        readers=1,
    )
    planted = [_PLANTED[option] for option in options if option in _PLANTED]
    async with open_runtime(
        planted[0](journal) if planted else journal,  # type: ignore[arg-type]  # it passes on what it does not have
        processes=[Order, Batch],
        gateways=[Shop(outside), Bank(outside)],
        settings=_SETTINGS,
    ) as runtime:
        log.write(OPENED)
        for number, events in enumerate(script(life)):
            positions = await publish_until_accepted(runtime, events)
            told = (f"{one.id}={position}" for one, position in zip(events, positions, strict=True))
            acknowledged.write(f"{number} {' '.join(told)}")
            if "dies" in options and number == _DIES_AFTER:
                os.kill(os.getpid(), signal.SIGKILL)
            await _rest(runtime)


async def _rest(runtime: Runtime) -> None:
    """As a host does that is told that reading failed: it asks again."""
    while True:
        try:
            await come_to_rest(runtime)
        except ProcessionError:
            await trio.sleep(_PAUSE_S)
        else:
            return


async def last_life(folder: Path, life: str) -> None:
    """One without a fault; then every row is verified."""
    await live(folder, life, ())
    reader = await read_sqlite(folder / JOURNAL)
    try:
        faults = [f"{fault.code}: {fault.found}" for fault in await reader.verify()]
    finally:
        await reader.close()
    assert not faults, faults


@attrs.define
class Running:
    """A life that runs in a process of its own."""

    pid: int
    _gate: int
    _said: int
    _words: bytearray = attrs.field(factory=bytearray)
    ended: int | None = None
    """How it ended: an exit code, or minus a signal."""

    def let_go(self) -> None:
        """It waits for this before it does anything."""
        os.write(self._gate, b"\0")

    def has_ended(self) -> bool:
        """Looks, and takes up what it says."""
        if self.ended is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.ended = os.waitstatus_to_exitcode(status) if pid else None
        while True:
            try:
                found = os.read(self._said, 65536)
            except BlockingIOError:
                break
            self._words += found
            if not found:
                break
        return self.ended is not None

    @property
    def words(self) -> list[str]:
        """The lines that it wrote on stderr."""
        return self._words.decode(errors="replace").splitlines()


@contextmanager
def forked(work: Work, limit_bytes: int | None = None) -> Iterator[Running]:
    """A child process that awaits this once it is let go, killed at the end of the block."""
    gate, opener = os.pipe()
    said, speaker = os.pipe()
    pid = os.fork()
    if pid == 0:
        _run(work, gate, speaker, limit_bytes)
    os.close(gate)
    os.close(speaker)
    os.set_blocking(said, False)
    running = Running(pid, opener, said)
    try:
        yield running
    finally:
        if not running.has_ended():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(opener)
        os.close(said)


def _run(work: Work, gate: int, speaker: int, limit_bytes: int | None) -> None:
    """In the child: it never returns, and ends as an interpreter does, after its threads."""
    code = 1
    try:
        os.dup2(speaker, 2)
        os.read(gate, 1)
        if limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, resource.RLIM_INFINITY))
        trio.run(work)
        code = 0
    except BaseException:  # noqa: BLE001 - as an interpreter does: it is printed
        traceback.print_exc()
    finally:
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        sys.stderr.flush()
        os._exit(code)


def wait(running: Running, seconds: float, pause_s: float = 0.005) -> bool:
    """Whether it ended within that time."""
    until = time.monotonic() + seconds
    while not running.has_ended():
        if time.monotonic() >= until:
            return False
        time.sleep(pause_s)
    return True


def words_of(lines: Sequence[str]) -> str:
    """The last of them."""
    return " / ".join(lines[-3:])
