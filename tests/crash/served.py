"""The command `procession`, with a fault planted where one is named, or a slower disk.

    python -m tests.crash.served FAULT run [--config …]

FAULT is `-` for none. What is planted replaces a part of the product in this process alone; the harnesses prove by it
that they would find such a fault in the product.
"""

# What is replaced is no name for users.
# ruff: noqa: SLF001

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import trio
from starlette.requests import Request
from starlette.types import Scope

from procession.actors.mailbox import Mailbox
from procession.daemon import verb_run
from procession.daemon.cli import main
from procession.daemon.local_server import LocalServer
from procession.engine.gateway_host import GatewayHost
from procession.engine.ids import Ids
from procession.engine.intake import Intake, Submission
from procession.engine.ledger import Ledger, Released
from procession.facade import Runtime
from procession.http_settings import HttpSettings
from procession.journal import sqlite_write
from procession.journal.rows import Commit
from procession.journal.sqlite import SqliteJournal
from procession.primitives.event import Event
from procession.primitives.outside import Outside, Position
from procession.primitives.wiring import Wiring
from procession.settings import Settings
from procession.wiring import Kind, load_wiring
from tests.crash.full_disk_faults import FULL_DISK_FAULTS
from tests.crash.planting import by_name, plant, plant_named
from tests.daemon.http.fuzz_faults import FUZZ_FAULTS

COMMIT_MS = "LAB_COMMIT_MS"
"""In the environment: each commit takes so much longer, as on a slow disk."""
_DROPPED_OF = 10
_EARLY_S = 0.3
"""So long one who listens too early does not own the journal yet."""


def _told_early(early: Callable[[Released], bool]) -> None:
    when_durable = Ledger.when_durable

    def tell(ledger: Ledger, waiter: Released) -> None:
        if early(waiter):
            ledger.wake()
            waiter.durable()
        else:
            when_durable(ledger, waiter)

    plant(Ledger, "when_durable", tell)


def answers_before_the_commit() -> None:
    """Senders hear that their events are durable when they are only about to be."""
    _told_early(lambda waiter: isinstance(waiter, Submission))


def sends_before_the_commit() -> None:
    """Commands reach their gateway before the step that asked for them is durable."""
    _told_early(lambda waiter: not isinstance(waiter, Submission))


def ids_by_chance() -> None:
    """The id of a command is another each time its turn runs."""

    def by_chance(ids: Ids, event_id: bytes, process: str, key: str, index: int) -> bytes:
        return ids.fresh()

    plant(Ids, "command", by_chance)


def calls_twice() -> None:
    """Each command is done, and done again, before its flow hears of it."""
    call = GatewayHost._call

    async def twice(host: GatewayHost, *given: Any) -> object:  # noqa: ANN401 - whatever a call takes
        await call(host, *given)
        return await call(host, *given)

    plant(GatewayHost, "_call", twice)


def commits_whoever_owns() -> None:
    """A commit does not look whether the journal is still this owner's."""
    sqlite_write._RENEW = sqlite_write._RENEW.replace(" and epoch = ?", " and ? > 0")


def drops_what_it_accepted() -> None:
    """Under load, some senders hear that their events are durable, and nobody has them."""
    publish = Runtime.publish
    calls = iter(range(sys.maxsize))

    async def forgetful(runtime: Runtime, events: Sequence[Event | Outside], *, wait: bool = True) -> list[Position]:
        if next(calls) % _DROPPED_OF == _DROPPED_OF - 1:
            await trio.lowlevel.checkpoint()
            return [Position(runtime.position + at, duplicate=False) for at, _ in enumerate(events, 1)]
        return await publish(runtime, events, wait=wait)

    plant(Runtime, "publish", forgetful)


def takes_without_bound() -> None:
    """The intake is never full."""

    def never(_: Intake, __: int) -> bool:
        return False

    plant(Intake, "_is_full", never)


def sends_one_after_another() -> None:
    """What one connection does not take, all others wait for."""
    # Only where HTTP is served is its part loaded.
    from procession.daemon.http.connections import BoundedStream  # noqa: PLC0415

    send_all = BoundedStream.send_all
    line = trio.Lock()

    async def in_line(stream: BoundedStream, data: bytes | bytearray | memoryview) -> None:
        async with line:
            await send_all(stream, data)

    plant(BoundedStream, "send_all", in_line)


def takes_last_first() -> None:
    """What came to a flow last is handled first."""

    def take(mailbox: Mailbox[Any]) -> object:
        last = [*mailbox][-1]
        mailbox.remove(last)
        return last

    plant(Mailbox, "take", take)


def takes_again_what_it_has() -> None:
    """Now and then an event under an id that is there already counts as new."""
    publish = Runtime.publish
    calls = iter(range(sys.maxsize))

    async def forgetful(runtime: Runtime, events: Sequence[Event | Outside], *, wait: bool = True) -> list[Position]:
        call = next(calls)
        if call % _DROPPED_OF == 0:
            events = [attrs.evolve(one, id=f"{one.id} {call}") if isinstance(one, Outside) else one for one in events]
        return await publish(runtime, events, wait=wait)

    plant(Runtime, "publish", forgetful)


def ends_without_closing() -> None:
    """The last process to have the journal does not say that it closed it in order."""
    plant(SqliteJournal, "close_clean", SqliteJournal.close)


def _at_each_publish(also: Callable[[], object]) -> None:
    publish = Runtime.publish

    async def with_more(runtime: Runtime, events: Sequence[Event | Outside], *, wait: bool = True) -> list[Position]:
        also()
        return await publish(runtime, events, wait=wait)

    plant(Runtime, "publish", with_more)


def keeps_what_it_is_sent() -> None:
    """Each request leaves a megabyte behind, refused or not."""
    kept: list[bytes] = []
    _at_each_publish(lambda: kept.append(b"x" * 1_000_000))


def takes_a_thread_for_each_request() -> None:
    """Each request leaves a thread behind."""
    _at_each_publish(lambda: threading.Thread(target=threading.Event().wait, daemon=True).start())


def syncs_in_the_loop() -> None:
    """Each commit is followed by a sync in the loop's own thread."""
    commit = SqliteJournal.commit

    async def commit_and_sync(journal: SqliteJournal, rows: Commit) -> None:
        await commit(journal, rows)
        folder = os.open(os.path.dirname(journal.path), os.O_RDONLY)  # noqa: PTH120 - in the loop, as is the fault
        os.fsync(folder)  # not the file itself: to close it would let SQLite's locks go
        os.close(folder)

    plant(SqliteJournal, "commit", commit_and_sync)


def keeps_what_was_asked() -> None:
    """Each request leaves something behind in memory."""
    from procession.daemon.http.frame import Frame  # noqa: PLC0415 - as above

    check = Frame._check
    kept: list[bytes] = []

    def keeping(frame: Frame, scope: Scope) -> None:
        kept.append(bytes(scope["raw_path"]) + bytearray(20_000))
        check(frame, scope)

    plant(Frame, "_check", keeping)


def reads_all_that_comes() -> None:
    """A body is read into memory to its end, and refused then."""
    from procession.daemon.http import publishing, reading  # noqa: PLC0415 - as above

    read = reading.body_of

    async def whole(request: Request, settings: HttpSettings) -> bytes:
        await request.body()
        return await read(request, settings)

    plant(publishing, "body_of", whole)


def bears_whoever_says_nothing() -> None:
    """A connection to the local socket may be silent for ever."""
    plant(LocalServer, "_received", lambda _, lines: lines.receive())


def logs_as_others_do() -> None:
    """The log is written by whoever logs, who waits until it is taken."""
    from procession.daemon import log_lines  # noqa: PLC0415 - as above

    plant(log_lines, "_descriptor_of", lambda _: None)


def sends_spans_in_the_loop() -> None:
    """Whoever ends a span sends all that wait, once in a while, and waits for the receiver."""
    from procession.telemetry.span_queue import SpanQueue  # noqa: PLC0415 - as above

    waiting: list[Any] = []
    sent_at = [0.0]

    def send(queue: SpanQueue, span: object) -> None:
        waiting.append(span)
        if time.monotonic() > sent_at[0] + queue._interval_s:
            batch, waiting[:] = [*waiting], []
            queue._send(batch)
            sent_at[0] = time.monotonic()

    plant(SpanQueue, "on_end", send)


def takes_the_address_first() -> None:
    """A starter listens for HTTP before it owns the journal."""
    from procession.daemon.http import server  # noqa: PLC0415 - as above

    listening_at = server.listening_at

    def listening(settings: Settings, kind: Kind = "production") -> Wiring:
        assert settings.http.bind is not None
        early = listening_at(settings.http.bind)
        time.sleep(_EARLY_S)
        plant(server, "listening_at", lambda _: early)
        return load_wiring(settings, kind)

    plant(verb_run, "load_wiring", listening)


FAULTS = by_name(
    answers_before_the_commit,
    sends_before_the_commit,
    ids_by_chance,
    calls_twice,
    commits_whoever_owns,
    drops_what_it_accepted,
    takes_without_bound,
    sends_one_after_another,
    takes_last_first,
    takes_again_what_it_has,
    ends_without_closing,
    keeps_what_it_is_sent,
    takes_a_thread_for_each_request,
    syncs_in_the_loop,
    keeps_what_was_asked,
    reads_all_that_comes,
    bears_whoever_says_nothing,
    logs_as_others_do,
    sends_spans_in_the_loop,
    takes_the_address_first,
    *FULL_DISK_FAULTS,
    *FUZZ_FAULTS,
)


def _slow_disk(pause_s: float) -> None:
    commit = SqliteJournal.commit

    async def slowly(journal: SqliteJournal, rows: Commit) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(pause_s)
        await commit(journal, rows)

    plant(SqliteJournal, "commit", slowly)


if __name__ == "__main__":
    _fault = sys.argv.pop(1)
    plant_named(_fault, FAULTS)
    if COMMIT_MS in os.environ:
        _slow_disk(float(os.environ[COMMIT_MS]) / 1000)
    sys.exit(main())
