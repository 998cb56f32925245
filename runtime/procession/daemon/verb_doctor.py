"""`procession doctor`: is everything well, and if not, what mends it; beside a running owner or with none."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from typing import Literal

import attrs
import trio

from procession.daemon.configuration import Configuration, configured
from procession.daemon.durations import human
from procession.daemon.exit_codes import ExitCode
from procession.daemon.output import Output
from procession.engine.turn_watch import SUFFIX, read_suspects
from procession.errors import ProcessionError, WiringError
from procession.journal.head_file import Behind, gone
from procession.journal.ownership import holder_of
from procession.journal.rows import OwnerInfo
from procession.journal.sqlite_archive import archives
from procession.journal.sqlite_backup import fsync_times_ms, sqlite_facts
from procession.journal.sqlite_reader import SqliteReader, read_sqlite
from procession.journal.sqlite_schema import SCHEMA
from procession.journal_errors import JournalError
from procession.mask import without_credentials
from procession.primitives.registry import Registry
from procession.projection_errors import StoreUnusable
from procession.projections.folder import StoreFolder, folder_of
from procession.projections.offline import Standing, survey
from procession.settings import ENVIRONMENT_PREFIX, NOT_SETTINGS, Settings, knobs

Grade = Literal["ok", "warn", "fail"]
_PYTHONS = ((3, 11), (3, 14))
_FREE_BYTES_WARN = 1_000_000_000
_FREE_BYTES_FAIL = 100_000_000
_FSYNC_MS_WARN = 50.0
_FAULTS_SHOWN = 10


@attrs.frozen
class Check:
    """One thing that was looked at."""

    name: str
    grade: Grade
    found: str = attrs.field(converter=without_credentials)
    cure: str = ""


def run(options: argparse.Namespace, output: Output) -> int:
    """Look at everything; 1 where something must be mended."""
    configuration = configured(options)
    registry, of_flows = _of_flows(configuration)
    checks = [*_of_program(), *_of_settings(configuration), of_flows, *trio.run(_of_journal, configuration.journal)]
    if registry is not None and registry.projections:
        checks += trio.run(_of_projections, configuration, registry)
    failed = any(check.grade == "fail" for check in checks)
    if output.as_json:
        output.json(
            {
                "well": not failed,
                "checks": [attrs.asdict(check) for check in checks],
                "settings": _settings_json(configuration),
            }
        )
    else:
        _print(output, configuration, checks)
    return ExitCode.FAILED if failed else ExitCode.DONE


def _of_program() -> Iterator[Check]:
    version = platform.python_version()
    fits = _PYTHONS[0] <= sys.version_info[:2] < _PYTHONS[1]
    cure = "" if fits else "3.11, 3.12 and 3.13 are tested; use one of them"
    yield Check("python", "ok" if fits else "warn", version, cure)
    facts = sqlite_facts()
    yield Check(
        "sqlite",
        "warn" if facts.wal_reset_fault else "ok",
        f"{facts.version}, has the WAL-reset fault (before 3.51.3)" if facts.wal_reset_fault else facts.version,
        "let no other program write to the journal; a Python with SQLite 3.51.3 has it mended"
        if facts.wal_reset_fault
        else "",
    )
    libraries = ("procession", "trio", "aiosqlite", "attrs", "cattrs", "orjson")
    yield Check("libraries", "ok", ", ".join(f"{name} {_version(name)}" for name in libraries))


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "from source"


def _of_settings(configuration: Configuration) -> Iterator[Check]:
    file = "no file, the defaults hold" if configuration.file is None else str(configuration.file)
    yield Check("settings", "ok", file)


def _of_flows(configuration: Configuration) -> tuple[Registry | None, Check]:
    from procession.wiring import load_wiring, refuse_unwired, registry_of  # noqa: PLC0415 - the flows are users' code: their import may fail

    if not configuration.settings.modules:
        return None, Check("flows", "warn", "no modules are named", 'write modules = ["flows.mine"] into the settings')
    try:
        wiring = load_wiring(configuration.settings)
        registry = registry_of(wiring)
        refuse_unwired(wiring)
    except WiringError as error:
        return None, Check("flows", "fail", error.found, error.cure)
    except ProcessionError as error:
        return None, Check("flows", "fail", str(error), "mend the class")
    names = ", ".join(process.__process__.name for process in wiring.processes) or "no process"
    others = (("aggregates", wiring.aggregates), ("projectors", wiring.projectors), ("injectors", wiring.injectors))
    more = "".join(f", {len(what)} {called}" for called, what in others if what)
    return registry, Check("flows", "ok", f"{names}; {len(wiring.gateways)} gateways{more}")


async def _of_projections(configuration: Configuration, registry: Registry) -> list[Check]:
    """What a start would say of their stores."""
    named, journal = configuration.settings.projectors.folder, configuration.journal
    stores = StoreFolder(named or folder_of(journal))
    if not os.path.lexists(journal) or not (named or os.path.lexists(stores.path)):  # noqa: ASYNC240 - does not wait
        return [Check("projections", "ok", "no store was made yet")]
    try:
        stores.check(make=False)
        reader = await read_sqlite(journal)
    except StoreUnusable as error:
        return [Check("projections", "fail", f"{error.path}: {error.found}", error.cure)]
    except JournalError:  # told of by the check of the journal
        return []
    try:
        return [_of_projection(standing) for standing in await survey(reader, registry, stores)]
    except JournalError:  # as above
        return []
    finally:
        await reader.close()


def _of_projection(standing: Standing) -> Check:
    name, cure = f"projection {standing.name}", f"run `procession projections rebuild {standing.name}`"
    if standing.state in ("ready", "none", "outdated"):
        what = {"ready": "", "none": "not made yet; ", "outdated": "of an older version, rebuilt by the next start; "}
        lag = f"{standing.lag_positions:,} behind" if standing.lag_positions else "up to date"
        return Check(name, "ok", f"{what[standing.state]}at {standing.position:,}, {lag}")
    said = {
        "changed": ("its projector changed and its version did not", f"raise its version; or {cure}"),
        "newer": ("a newer version made it", f"start the newer code; or {cure}"),
        "ahead": ("it holds events that the journal has not: was a copy restored?", cure),
        "another journal": ("it is of another journal", f"name the folder that belongs to this one; or {cure}"),
        "unreadable": (f"{standing.path} can't be read", cure),
    }
    return Check(name, "fail", *said[standing.state])


async def _of_journal(journal: str) -> list[Check]:
    folder = os.path.dirname(os.path.realpath(journal))  # noqa: ASYNC240, PTH120 - does not wait
    checks = [] if not os.path.isdir(folder) else await _of_disk(folder)  # noqa: ASYNC240, PTH112 - does not wait
    if (missing := gone(os.path.realpath(journal))) is not None:  # noqa: ASYNC240 - does not wait
        return [*checks, Check("journal", "fail", missing.found, missing.cure)]
    if not os.path.lexists(journal):  # noqa: ASYNC240 - does not wait
        return [*checks, Check("journal", "warn", f"there is none at {journal} yet", "publish something, or name it")]
    try:
        reader = await read_sqlite(journal)
    except JournalError as error:
        return [*checks, _failed("journal", error)]
    try:
        heads, counts = await reader.heads(), await reader.counts()
        flows = sum(number for statuses in counts.flows.values() for number in statuses.values())
        size = os.stat(journal).st_size  # noqa: PTH116 - does not wait
        found = f"{journal}: {size:,} bytes, {counts.events:,} events up to {heads.position}, {flows:,} flows"
        if counts.aggregates:
            number = sum(number for statuses in counts.aggregates.values() for number in statuses.values())
            found += f", {number:,} aggregates"
        checks.append(Check("journal", "ok", found))
        checks.append(Check("schema", "ok", f"{SCHEMA}"))
        checks.append(_of_owner(journal, await reader.owner()))
        checks += _of_head(await reader.behind())
        checks.append(await _of_archive(reader))
        set_aside = sum(statuses.get("quarantined", 0) for statuses in counts.flows.values())
        broken = sum(statuses.get("quarantined", 0) for statuses in counts.aggregates.values())
        if broken:
            cure = "look with `procession ls --aggregates --status quarantined`, mend the class, start again"
            checks.append(Check("aggregates", "warn", f"{broken:,} set aside: their past can't be folded", cure))
        if set_aside:
            cure = "look with `procession ls --status quarantined`, mend, then retry, skip or release"
            checks.append(Check("quarantine", "warn", f"{set_aside:,} flows", cure))
        checks += _of_suspects(journal)
        began = time.perf_counter()
        faults = await reader.verify()
        took = human(time.perf_counter() - began)
        checks += [Check("integrity", "fail", f"{fault.code}: {fault.found}", fault.cure) for fault in faults]
        del checks[len(checks) - max(0, len(faults) - _FAULTS_SHOWN) :]
        if not faults:
            checks.append(Check("integrity", "ok", f"every event, step and row checked in {took}"))
    except JournalError as error:
        checks.append(_failed("journal", error))
    finally:
        await reader.close()
    return checks


async def _of_archive(reader: SqliteReader) -> Check:
    rows = await reader.ask(archives)
    flows, size = sum(row.flows for row in rows), sum(row.bytes for row in rows)
    found = f"{flows:,} flows in {len(rows):,} files, {size:,} bytes" if rows else "nothing was archived"
    left = reader.archives.strangers({row.number for row in rows})
    if left or not all(row.whole for row in rows):
        cure = "run `procession archive` again: it goes on where it stopped, and removes what was half made"
        return Check("archive", "warn", f"{found}; a run did not end", cure)
    return Check("archive", "ok", found)


def _of_owner(journal: str, owner: OwnerInfo | None) -> Check:
    holder = holder_of(os.path.realpath(journal))
    if holder is not None and holder.running:
        return Check("owner", "ok", f"process {holder.pid} on {holder.host} since {holder.started_at}")
    if owner is not None and owner.unclean_starts:
        found = f"nobody now; {owner.unclean_starts} starts in a row found that the one before had crashed"
        return Check("owner", "warn", found, "look into the log of the service for why it ends")
    if holder is not None:
        found = f"nobody now; process {holder.pid} on {holder.host} ended without closing it"
        return Check("owner", "warn", found, "the next start takes it up")
    return Check("owner", "ok", "nobody: free to be opened")


def _of_head(behind: Behind | None) -> list[Check]:
    """What a power loss may have taken, where commits do not wait for the disk; else verifying tells of it."""
    if behind is None or not behind.head.lossy:
        return []
    cure = 'if there was a power loss, that is what `synchronous = "NORMAL"` may lose; else ' + behind.cure
    return [Check("head", "warn", behind.found, cure)]


def _of_suspects(journal: str) -> list[Check]:
    turn = "mend its handler; while nobody owns the journal, the next start sets the flow aside, then retry or skip"
    decision = "mend its aggregate; while nobody owns the journal, the next start refuses that command; then send it"
    suspects = read_suspects(os.path.realpath(journal) + SUFFIX)
    return [
        Check("suspect", "warn", f"a {'decision' if one.command else 'turn'} did not return: {one}", cure)
        for one in suspects.values()
        for cure in (decision if one.command else turn,)
    ]


async def _of_disk(folder: str) -> list[Check]:
    free = shutil.disk_usage(folder).free
    grade: Grade = "fail" if free < _FREE_BYTES_FAIL else "warn" if free < _FREE_BYTES_WARN else "ok"
    checks = [Check("disk", grade, f"{free:,} bytes free", "" if grade == "ok" else "make room where the journal is")]
    try:
        times_ms = sorted(await fsync_times_ms(folder))
    except OSError as error:
        cure = "give write access to the folder of the journal; reading works without"
        return [*checks, Check("fsync", "warn", f"{folder} can't be written: {error.strerror}", cure)]
    median, worst = times_ms[len(times_ms) // 2], times_ms[min(len(times_ms) - 1, int(len(times_ms) * 0.99))]
    slow = median > _FSYNC_MS_WARN
    cure = "use a local disk; each commit waits for it" if slow else ""
    checks.append(Check("fsync", "warn" if slow else "ok", f"p50 {median:.2f} ms, p99 {worst:.2f} ms", cure))
    return checks


def _failed(name: str, error: JournalError) -> Check:
    found, _, cure = str(error).rpartition("; ")
    return Check(name, "fail", found or str(error), cure)


def _told(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(map(_told, value))
    return without_credentials(value) if isinstance(value, str) else value


def _settings_json(configuration: Configuration) -> dict[str, dict[str, object]]:
    """Every setting that is not as it comes, with where it is set."""
    found: dict[str, dict[str, object]] = {}
    defaults = Settings()
    for path, _ in knobs():
        value, default = _at(configuration.settings, path), _at(defaults, path)
        if value != default:
            found[".".join(path)] = {"value": _told(value), "default": default, "origin": _origin(configuration, path)}
    for name, values in configuration.settings.gateways.by_name.items():
        for key, value in values.items():
            path = ("gateways", name, key)
            found[".".join(path)] = {"value": _told(value), "default": None, "origin": _origin(configuration, path)}
    return found


def _at(settings: Settings, path: tuple[str, ...]) -> object:
    found: object = settings
    for name in path:
        found = getattr(found, name)
    return found


def _origin(configuration: Configuration, path: tuple[str, ...]) -> str:
    variable = ENVIRONMENT_PREFIX + "__".join(path).upper()
    if variable in os.environ and variable not in NOT_SETTINGS:
        return variable
    return "--journal" if path == ("journal", "path") and configuration.journal_named else str(configuration.file)


def _print(output: Output, configuration: Configuration, checks: list[Check]) -> None:
    output.table(
        ("CHECK", "", "FOUND", "CURE"),
        [(check.name, check.grade, check.found, check.cure) for check in checks],
        status_column=1,
    )
    rows = [(f"{name} = {said['value']}", str(said["origin"])) for name, said in _settings_json(configuration).items()]
    if rows and output.on_terminal:
        output.line()
    output.table(("SETTING", "FROM"), [(f"setting {name}", origin) for name, origin in rows])
