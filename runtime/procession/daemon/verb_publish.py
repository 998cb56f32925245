"""`procession publish`: CloudEvents from a file or a pipe into the journal."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator

import attrs
import trio

from procession.daemon.configuration import Configuration, configured, refuse_early, since_of
from procession.daemon.durations import human
from procession.daemon.event_lines import STDIN, BadLineError, EventLines, Line, open_lines, size_of
from procession.daemon.figures import figures_json, late, print_figures, remarks
from procession.daemon.local_client import owner_of
from procession.daemon.output import Output
from procession.daemon.progress import Progress
from procession.daemon.publish_door import Batch, Door, RefusedAt, door_of
from procession.daemon.stopping import Stop, run_stoppable
from procession.errors import ProcessionError, PublishRefused
from procession.journal.rows import JournalCounts
from procession.primitives.cloudevents import CloudEventError, parse
from procession.primitives.outside import Outside
from procession.primitives.registry import Registry
from procession.publishing import encode_all
from procession.settings import IntakeSettings
from procession.wiring import load_wiring, registry_of

_IN_FLIGHT_MAX = 4
_TICK_S = 0.1
_ENVELOPE_BYTES_MAX = 65_536
"""What a line may hold beside its data."""


@attrs.define(eq=False)
class Tally:
    """How far it is."""

    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    check_s: float = 0.0
    failure: ProcessionError | None = None
    note: str = ""


def run(options: argparse.Namespace, output: Output) -> int:
    """Publish, and show what came of it."""
    configuration = configured(options)
    return run_stoppable(lambda stop: _Publish(options, output, configuration, stop).run())


class _Publish:
    """One run of the verb."""

    def __init__(self, options: argparse.Namespace, output: Output, configuration: Configuration, stop: Stop) -> None:
        self._options = options
        self._output = output
        self._configuration = configuration
        self._stop = stop
        self._file: str = options.file
        self._size = size_of(self._file)
        self._limits: IntakeSettings = configuration.settings.intake
        self._wiring = load_wiring(configuration.settings)
        self._registry: Registry = registry_of(self._wiring)
        self._tally = Tally()
        self._since = since_of(options)

    async def run(self) -> int:
        """Look through the whole of a file first, so that a bad one changes nothing; then publish it."""
        owner = owner_of(self._configuration.journal)
        if self._size is not None:
            if owner is None:
                refuse_early(self._configuration.journal)
            await self._check()
        if self._stop.signal is not None:
            self._output.say(f"procession: stopped by {self._stop.signal.name}; nothing was written")
            return self._stop.exit_code or 0
        progress = Progress("publish", "events", self._output.stderr, self._size)
        lines = self._open()
        try:
            async with door_of(owner, self._wiring, self._configuration, self._since) as door:
                await self._publish(door, lines, progress)
                if self._tally.failure is not None:
                    raise self._with_what_stays(self._tally.failure)
                counts = await door.counts()
        finally:
            progress.clear()
            if self._size is not None:  # a pipe that is still waited for would have to be waited for here
                lines.close()
        self._report(counts, progress.elapsed_s)
        return self._stop.exit_code or 0

    def _open(self) -> EventLines:
        return open_lines(self._file, self._limits.payload_bytes_max + _ENVELOPE_BYTES_MAX)

    async def _check(self) -> None:
        """Read every line as publishing it would, without writing.

        Raises:
            BadLineError: the first line that can't be published.
        """
        progress = Progress("check", "events", self._output.stderr, self._size)
        lines, count = self._open(), 0
        batches = self._batches(lines, checked=False)
        try:
            while (batch := await _next(batches)) is not None and not self._stop.asked.is_set():
                count += len(batch.events)
                progress.show(lines.bytes_read, count)
        finally:
            lines.close()
            progress.clear()
        self._tally.check_s = progress.elapsed_s

    async def _publish(self, door: Door, lines: EventLines, progress: Progress) -> None:
        async with trio.open_nursery() as ticking:
            ticking.start_soon(self._tick, lines, progress)
            await self._send_all(door, lines)
            if not self._stop.asked.is_set() and self._tally.failure is None and not self._options.no_wait:
                self._tally.note = "waiting for commands; Ctrl-C leaves, they go on at the next start"
                await self._stop.race(door.drain)
            ticking.cancel_scope.cancel()

    async def _send_all(self, door: Door, lines: EventLines) -> None:
        """Several batches are on their way at one time, begun in the order of the file.

        Those that wait for room in the intake wake in no order: so no more are on their way than it has room for.
        """
        batches = self._batches(lines, checked=self._size is not None)
        in_flight = max(1, min(_IN_FLIGHT_MAX, self._limits.events_max // self._limits.publish_batch_max))
        slots = trio.Semaphore(in_flight)
        async with trio.open_nursery() as nursery:
            while not self._stop.asked.is_set() and self._tally.failure is None:
                fetched: list[Batch | None] = []

                async def fetch(into: list[Batch | None] = fetched) -> None:
                    try:
                        into.append(await _next(batches))
                    except BadLineError as error:  # what is on its way must end, whatever the next line holds
                        self._tally.failure = self._tally.failure or error

                await self._stop.race(fetch)
                if not fetched or fetched[0] is None:
                    return
                await slots.acquire()
                nursery.start_soon(self._send, door, fetched[0], slots)

    async def _send(self, door: Door, batch: Batch, slots: trio.Semaphore) -> None:
        tally = self._tally
        try:
            accepted, duplicates = await door.publish(batch)
        except RefusedAt as error:
            name = "standard input" if self._file == STDIN else self._file
            refused = BadLineError(name, batch.numbers[error.at], str(error))
            refused.__cause__ = error.error
            tally.failure = tally.failure or refused
        except ProcessionError as error:
            tally.failure = tally.failure or error
        else:
            tally.accepted += accepted
            tally.duplicates += duplicates
            tally.read += accepted + duplicates
        finally:
            slots.release()

    def _batches(self, lines: EventLines, *, checked: bool) -> Iterator[Batch]:
        """The batches of a file; where a line is bad, those before it come first."""
        batch = Batch()
        try:
            for chunk in lines.chunks():
                for line in chunk:
                    batch.events.append(self._decoded(lines.name, line, checked=checked))
                    batch.numbers.append(line.number)
                    batch.texts.append(line.text)
                    if len(batch.events) == self._limits.publish_batch_max:
                        yield batch
                        batch = Batch()
                if self._size is None and batch.events:
                    yield batch  # whoever writes into the pipe may pause now
                    batch = Batch()
        except BadLineError:
            if batch.events:
                yield batch
            raise
        if batch.events:
            yield batch

    def _decoded(self, name: str, line: Line, *, checked: bool) -> Outside:
        try:
            found = parse(line.text)
            event = self._registry.codec.structure(self._registry.event_class(found.type, found.version), found.data)
            outside = Outside(event, found.id, found.source, found.trace, found.data)
            if not checked:
                encode_all(self._registry, self._limits, (outside,))
        except (CloudEventError, PublishRefused) as error:
            raise BadLineError(name, line.number, str(error)) from None
        return outside

    def _with_what_stays(self, error: ProcessionError) -> ProcessionError:
        if isinstance(error, BadLineError):
            stays = f"{self._tally.accepted:,} other events were accepted"
            error.before = f"{stays}; publish again when it is mended, nothing is accepted twice"
        return error

    async def _tick(self, lines: EventLines, progress: Progress) -> None:
        while True:
            progress.show(lines.bytes_read, self._tally.read, self._tally.note)
            await trio.sleep(_TICK_S)

    def _report(self, counts: JournalCounts, elapsed_s: float) -> None:
        output, tally, journal = self._output, self._tally, self._configuration.journal
        rate = tally.read / elapsed_s if elapsed_s else 0.0
        if self._stop.signal is not None:
            output.say(
                f"procession: stopped by {self._stop.signal.name} after {tally.read:,} events, which stay accepted;"
                " publish again to go on, nothing is accepted twice"
            )
        if output.as_json:
            output.json(
                {
                    "file": self._file,
                    "events_read": tally.read,
                    "accepted": tally.accepted,
                    "duplicates": tally.duplicates,
                    "late": late(counts),
                    "seconds": round(elapsed_s, 3),
                    "check_seconds": round(tally.check_s, 3),
                    "events_per_s": round(rate, 1),
                    "stopped_by": None if self._stop.signal is None else self._stop.signal.name,
                    "journal": {"path": journal, **figures_json(counts)},
                }
            )
            return
        print_figures(output, counts)
        if output.on_terminal:
            output.line()
        lines = [
            (
                "events read",
                f"{output.number(tally.read)} in {human(elapsed_s)}, {output.number(round(rate))} a second",
            ),
            ("accepted", output.number(tally.accepted)),
            ("duplicates", output.number(tally.duplicates)),
            ("late", output.number(late(counts))),
            *remarks(output, counts),
            ("journal", journal),
        ]
        output.pairs(lines)
        output.say(f"next: procession ls --journal {shlex.quote(journal)}")


async def _next(batches: Iterator[Batch]) -> Batch | None:
    """The next batch, read in a thread: a pipe may keep us waiting."""
    return await trio.to_thread.run_sync(next, batches, None, abandon_on_cancel=True)
