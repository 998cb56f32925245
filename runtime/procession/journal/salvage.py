"""Salvaging a damaged journal: every flow that is whole goes to a new journal, which verifies; the rest is listed.

The new journal has the id, the positions and the checksums of the old one. For what is lost it has tombstones, as for
what was archived, but of an archive 0 that has no file.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable

import attrs

from procession.journal.archive_file import digest_of
from procession.journal.archive_folder import ArchiveFolder, folder_of, name_of
from procession.journal.damaged_file import DamagedFile, copy_file, open_damaged
from procession.journal.ownership import holder_of
from procession.journal.rows import Fault
from procession.journal.salvage_copy import Carried, carry_over
from procession.journal.salvage_judge import Judged, LeftOut, judge
from procession.journal.salvage_rebuild import indexed_flows
from procession.journal.scratch import scratch
from procession.journal.sqlite_archive import archives
from procession.journal.sqlite_schema import prepare_owner, uri_of
from procession.journal.sqlite_verify import checks
from procession.journal_errors import ArchiveUnreadable, JournalOwned, JournalUnwritable

Span = tuple[int, int]
"""First and last."""


@attrs.frozen
class Salvaged:
    """What a salvage kept, and what was lost."""

    events: int
    steps: int
    flows: int
    """Aggregates too."""
    events_lost: tuple[Span, ...]
    """Positions of which no event could be proved; they need not all have had one. Those at the end, of which only the
    head file tells, are among them: no later event gets them."""
    steps_lost: tuple[Span, ...]
    """The same of steps, by seq; those of flows that were left out are not among them."""
    left_out: tuple[LeftOut, ...]
    unreadable: dict[str, tuple[Span, ...]]
    """By table, ranges of keys that SQLite could not read; (0, 0) where a table has no such keys."""
    refused: dict[str, int]
    """By table, rows that could be read and can't be right."""
    rebuilt: dict[str, int]
    """By table, rows that were made anew from events and steps, or are kept though no checksum proves them."""
    unaccounted: int
    """Pairs of an event and a flow that are recorded as `lost`."""
    archives: int
    """Files that were copied."""
    archives_lost: tuple[str, ...]
    """Names of archive files that are missing or changed: put them back beside the new journal."""
    faults: tuple[Fault, ...]
    """What `verify` found in the new journal; nothing, unless archive files are lost."""
    behind: str = ""
    """What the damaged one lacks of what its head file says: its last commits, with all that was in them."""

    @property
    def whole(self) -> bool:
        """Whether nothing at all was lost."""
        lost = self.events_lost or self.steps_lost or self.left_out or self.archives_lost or self.behind
        return not (lost or self.faults)


def salvage(path: str, target: str, progress: Callable[[str, int], None] = lambda *_: None) -> Salvaged:
    """Read a damaged journal and write what is whole into a new file; the damaged one is not touched.

    Args:
        path: the damaged file. No process may own it.
        target: the new file; its folder needs room for both, once more.
        progress: called with the name of a table and how many of its rows are carried over.

    Raises:
        JournalOwned: a process owns the damaged journal.
        JournalUnwritable: the target exists, or there is no room; nothing is left of it.
        NotAJournal, JournalTooNew: what is there is something else, or of a newer version.
        JournalDamaged: so damaged that no table, or not even the journal's id, can be found.
    """
    for name in (target, folder_of(target)):
        if os.path.lexists(name):
            raise JournalUnwritable(name, "it exists, and a salvage overwrites nothing")
    holder = holder_of(path)
    if holder is not None and holder.running:
        raise JournalOwned(path, holder.pid, holder.host, holder.started_at)
    folder = os.path.dirname(os.path.abspath(target))
    try:
        with scratch(f"{os.path.basename(target)}.half-", folder) as work:
            damaged = open_damaged(path, copy_file(path, work))
            try:
                return _salvage(damaged, path, os.path.join(work, "new.db"), target, progress)
            finally:
                damaged.connection.close()
    except OSError as error:
        raise JournalUnwritable(target, error.strerror or str(error)) from error
    except sqlite3.OperationalError as error:
        raise JournalUnwritable(target, str(error)) from error


def _salvage(damaged: DamagedFile, path: str, half: str, target: str, progress: Callable[[str, int], None]) -> Salvaged:
    new = sqlite3.connect(uri_of(half, "mode=rwc"), uri=True, isolation_level=None)
    kept = False
    try:
        prepare_owner(new, half, "OFF", damaged.id, _created_us(damaged))
        carried = carry_over(damaged, new, progress)
        judged = judge(new, carried, indexed_flows(damaged))
        copied, lost = _copy_archives(new, ArchiveFolder(path), folder_of(target))
        faults = _verified(new, ArchiveFolder(target))
        events, steps, flows = new.execute(
            "select (select count(*) from event), (select count(*) from step), (select count(*) from flow)"
        ).fetchone()
        new.execute("pragma wal_checkpoint(truncate)").fetchone()
        new.close()
        _publish(half, target)
        kept = True
    finally:
        new.close()
        if not kept:
            shutil.rmtree(folder_of(target), ignore_errors=True)
    return _report(damaged, carried, judged, (events, steps, flows), copied, lost, faults)


def _created_us(damaged: DamagedFile) -> int:
    found = damaged.connection.execute("select created_us from journal where one = 1").fetchone()[0]
    return found if isinstance(found, int) else 0


def _copy_archives(new: sqlite3.Connection, folder: ArchiveFolder, target: str) -> tuple[int, list[str]]:
    """Copy the archive files that are what was written. Returns how many, and the names of the others."""
    copied, lost = 0, []
    for row in archives(new):
        origin, name = folder.file(row.number), name_of(row.number)
        copy = os.path.join(target, name)
        try:
            is_whole = digest_of(origin) == row.sha256
        except ArchiveUnreadable:  # it is not there, or the disk does not give it
            is_whole = False
        if not is_whole:
            lost.append(name)
            continue
        os.makedirs(target, exist_ok=True)
        shutil.copyfile(origin, copy)
        shutil.copymode(origin, copy)
        copied += 1
        _sync(copy)
    if copied:
        _sync(target)
    return copied, lost


def _verified(new: sqlite3.Connection, folder: ArchiveFolder) -> list[Fault]:
    faults: list[Fault] = []
    for check in checks(folder):
        while (found := check(new)) is not None:
            faults += found
    return faults


def _publish(half: str, target: str) -> None:
    _sync(half)
    os.chmod(half, 0o600)
    os.link(half, target)  # refuses a target that came up meanwhile, which a rename would replace
    _sync(os.path.dirname(os.path.abspath(target)))


def _report(
    damaged: DamagedFile,
    carried: Carried,
    judged: Judged,
    kept: tuple[int, int, int],
    copied: int,
    lost: list[str],
    faults: list[Fault],
) -> Salvaged:
    spans = {table: tuple((gap.first, gap.last) for gap in gaps) for table, gaps in carried.gaps.items()}
    return Salvaged(
        *kept,
        spans["event"],
        spans["step"],
        tuple(judged.left_out),
        {table: tuple(ranges) for table, ranges in damaged.lost.items()},
        {table: number for table, number in carried.refused.items() if number},
        judged.rebuilt,
        judged.unaccounted,
        copied,
        tuple(lost),
        tuple(faults),
        "" if damaged.behind is None else damaged.behind.found,
    )


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
