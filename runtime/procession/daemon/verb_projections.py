"""`procession projections`: where they stand, rebuilt beside whoever folds them, compared with a rebuild."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import attrs

from procession.daemon.configuration import configured
from procession.daemon.durations import human, now_us
from procession.daemon.exit_codes import ExitCode, UsageRefused
from procession.daemon.local_client import owner_of
from procession.daemon.output import Output
from procession.daemon.progress import Progress
from procession.daemon.stopping import Stop, run_stoppable
from procession.daemon.verb_repair import whoever
from procession.engine.clock import SystemClock
from procession.engine.lone_act import log_act
from procession.errors import NotFound
from procession.journal.scratch import scratch
from procession.journal.sqlite import open_sqlite
from procession.journal.sqlite_reader import SqliteReader, read_sqlite
from procession.journal_errors import JournalOwned
from procession.primitives.event import ProjectionRebuildRequested
from procession.primitives.projection import Projection
from procession.primitives.registry import Registry
from procession.projections.folder import StoreFolder, folder_of
from procession.projections.offline import Standing, Verified, rebuild, survey, verify
from procession.projections.view import Rebuilt
from procession.settings import Settings
from procession.wiring import load_wiring, registry_of


@attrs.define
class _Work:
    """What all of it works on."""

    registry: Registry
    journal: SqliteReader
    stores: StoreFolder
    settings: Settings
    output: Output
    path: str
    """Of the journal."""
    by: str
    why: str

    def named(self, names: Sequence[str]) -> list[Projection]:
        """The projections that are named; all where none is."""
        known = self.registry.projections
        for name in names:
            if name not in known:
                raise NotFound("projector", name, f"the configuration has {', '.join(sorted(known)) or 'none'}")
        return [known[name] for name in names or sorted(known)]


def run(options: argparse.Namespace, output: Output) -> int:
    """List, rebuild or verify."""
    configuration = configured(options)
    journal, settings = configuration.existing_journal(), configuration.settings
    if options.folder is not None:
        settings = attrs.evolve(settings, projectors=attrs.evolve(settings.projectors, folder=options.folder))
    registry = registry_of(load_wiring(settings))
    if not registry.projections:
        raise UsageRefused("the configured modules wire no projector", "name a module that does, in `modules`")
    named = settings.projectors.folder
    stores = StoreFolder(named or folder_of(journal))
    if named or options.act == "rebuild" or os.path.lexists(stores.path):  # else there are none yet
        stores.check(make=options.act == "rebuild" and not named)

    async def work(stop: Stop) -> int:
        reader = await read_sqlite(journal)
        try:
            who = options.by or whoever()
            on = _Work(registry, reader, stores, settings, output, journal, who, options.reason)
            if options.act == "ls":
                return await _list(on)
            return await (_rebuild if options.act == "rebuild" else _verify)(on, options.projectors, stop)
        finally:
            await reader.close()

    return run_stoppable(work)


async def _list(on: _Work) -> int:
    found = await survey(on.journal, on.registry, on.stores)
    if on.output.as_json:
        on.output.json({"projections": [attrs.asdict(standing) for standing in found]})
        return ExitCode.DONE
    headers = ("projection", "version", "state", "position", "behind", "events", "rebuild", "folded by", "store")
    on.output.table(headers, [_row(on.output, standing) for standing in found])
    return ExitCode.DONE


def _row(output: Output, standing: Standing) -> tuple[str, ...]:
    stored = standing.version_stored
    version = str(standing.version) if stored in (None, standing.version) else f"{stored} (code: {standing.version})"
    return (
        standing.name,
        version,
        standing.state,
        output.number(standing.position),
        output.number(standing.lag_positions),
        output.number(standing.events),
        "" if standing.building_position is None else f"at {output.number(standing.building_position)}",
        "" if standing.pid is None else f"process {standing.pid}",
        standing.path,
    )


async def _record(on: _Work, projection: Projection) -> None:
    """A rebuild is an act in the journal, whoever does it: written by the owner, or here where nobody is."""
    act = ProjectionRebuildRequested(projection.name, on.by, on.why)
    try:
        owner = owner_of(on.path)
    except JournalOwned as owned:
        on.output.say(f"not recorded in the journal, whose owner listens to nobody: {owned}")
        return
    if owner is not None:
        await owner.ask("rebuild_noted", name=projection.name, by=on.by, why=on.why)
        return
    journal = await open_sqlite(on.path, clock_us=now_us)
    try:
        await log_act(journal, SystemClock(), act)
        await journal.close_clean()
    finally:
        await journal.close()


async def _rebuild(on: _Work, names: Sequence[str], stop: Stop) -> int:
    done: list[tuple[Rebuilt, bool]] = []
    for projection in on.named(names):
        progress = _progress(on, f"rebuild {projection.name}")

        async def one(projection: Projection = projection, show: _Shown = _Shown(progress)) -> None:
            limits = on.settings.projectors
            await _record(on, projection)
            done.append(await rebuild(projection, on.registry, on.journal, on.stores, limits, now_us(), show))

        try:
            await stop.race(one)
        finally:
            progress.clear()
        if stop.signal is not None:
            break
    _tell_rebuilt(on, done, stop)
    return stop.exit_code or ExitCode.DONE


def _tell_rebuilt(on: _Work, done: Sequence[tuple[Rebuilt, bool]], stop: Stop) -> None:
    if on.output.as_json:
        rows = [attrs.asdict(rebuilt) | {"taken_up_by_owner": owned} for rebuilt, owned in done]
        on.output.json({"rebuilt": rows, "stopped_by": None if stop.signal is None else stop.signal.name})
        return
    for rebuilt, owned in done:
        on.output.line(
            f"{rebuilt.projector}: {rebuilt.events:,} events up to position {rebuilt.position:,} in"
            f" {human(rebuilt.seconds)}" + (f", resumed at {rebuilt.resumed:,}" if rebuilt.resumed else "")
        )
        if owned:
            seconds = on.settings.projectors.look_interval_s
            on.output.say(f"the process that folds {rebuilt.projector} takes the new store up within {seconds:g} s")
    if stop.signal is not None:
        on.output.say("stopped; the next rebuild goes on here")


async def _verify(on: _Work, names: Sequence[str], stop: Stop) -> int:
    done: list[Verified] = []
    with scratch("procession-verify-") as folder:
        for projection in on.named(names):
            progress = _progress(on, f"verify {projection.name}")

            async def one(projection: Projection = projection, show: _Shown = _Shown(progress)) -> None:
                aside, limits = str(Path(folder) / f"{projection.store}.db"), on.settings.projectors
                done.append(await verify(projection, on.registry, on.journal, on.stores, limits, aside, show))

            try:
                await stop.race(one)
            finally:
                progress.clear()
            if stop.signal is not None:
                break
    _tell_verified(on, done)
    if stop.exit_code is not None:
        return stop.exit_code
    return ExitCode.FAILED if any(verified.differences for verified in done) else ExitCode.DONE


def _tell_verified(on: _Work, done: Sequence[Verified]) -> None:
    if on.output.as_json:
        on.output.json({"verified": [attrs.asdict(verified) for verified in done]})
        return
    for verified in done:
        if not verified.differences:
            on.output.line(f"{verified.projector}: a rebuild of {verified.events:,} events makes the same")
        for difference in verified.differences:
            on.output.line(
                f"{verified.projector}: {difference.rows:,} rows of {difference.table} differ; {difference.example}"
            )


@attrs.frozen
class _Shown:
    """Progress of one rebuild."""

    progress: Progress

    def __call__(self, rebuilt: Rebuilt) -> None:
        self.progress.total = rebuilt.until
        self.progress.show(rebuilt.position, rebuilt.events)


def _progress(on: _Work, title: str) -> Progress:
    return Progress(title, "events", on.output.stderr)
