"""What is wrong with the durable record; the tree of all errors is drawn in errors.py."""

from __future__ import annotations

import attrs

from procession.errors import ProcessionError


class JournalError(ProcessionError):
    """The durable record can't be used."""


@attrs.define
class JournalOwned(JournalError):
    """Another process owns this journal; one owner at a time. Stop it, or send it your request."""

    path: str
    pid: int
    host: str
    started_at: str
    """When the holder started, ISO 8601 in UTC."""

    _says = (
        "{0.path} is owned by process {0.pid} on {0.host} since {0.started_at}; stop that process first, one"
        " owner at a time"
    )


@attrs.define
class NotAJournal(JournalError):
    """The file is not a journal of procession; it was not touched."""

    path: str
    found: str

    _says = "{0.path} is no journal of procession ({0.found}); name another file, this one was not touched"


@attrs.define
class JournalTooNew(JournalError):
    """A newer version wrote this journal; it was not touched. Install that version."""

    path: str
    schema: int
    schema_known: int

    _says = "{0.path} has schema {0.schema}, this version knows {0.schema_known}; install the one that wrote it"


@attrs.define
class JournalUnwritable(JournalError):
    """The folder or file can't be written (or not opened); nothing was written."""

    path: str
    found: str
    cure: str = "give write access to the file and its folder"

    _says = "{0.path} can't be used as a journal: {0.found}; {0.cure}"


@attrs.define
class JournalDamaged(JournalError):
    """What is stored is not what was written. Restore a backup; `procession doctor` tells what is hit."""

    path: str
    found: str
    cure: str = "run `procession doctor`, restore a backup"

    _says = "{0.path} is damaged: {0.found}; {0.cure}"


@attrs.define
class ArchiveUnreadable(JournalError):
    """An archive file that the journal names is missing or damaged. Put it back; nothing else of the journal is hit."""

    path: str
    found: str

    _says = "the archive file {0.path} can't be read: {0.found}; put it back from a backup, beside the journal"


@attrs.define
class CommitFailed(JournalError):
    """I/O failed at a commit: it may or may not come back. Reopen the journal before anything else."""

    found: str

    _says = "a commit failed ({0.found}); its outcome is known once the journal is reopened"


@attrs.define
class CommitRejected(JournalError):
    """The data of a commit was refused, not the disk: nothing of it was written."""

    found: str

    _says = "a commit was rejected ({0.found}); nothing of it was written"


@attrs.define
class Fenced(JournalError):
    """Another owner took this journal over; this runtime stops at once and writes nothing more."""

    path: str

    _says = "{0.path} was taken over by another owner; this runtime stops"
