"""What the command's exit code says, and which error leads to which."""

from __future__ import annotations

import enum

import attrs

from procession import errors, journal_errors, projection_errors, search_errors
from procession.primitives.resources import ResourceFailed


class ExitCode(enum.IntEnum):
    """0 to 9 as written in docs/cli.md; a signal ends it with 128 + its number."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    UNREACHABLE = 5
    TIMEOUT = 6
    UNAUTHORISED = 7
    OWNED = 8
    SCHEMA = 9


@attrs.define
class UsageRefused(errors.ProcessionError):
    """The command line, or what it names, can't be used as written; nothing was done."""

    found: str
    cure: str

    def __str__(self) -> str:
        return f"{self.found}; {self.cure}"


@attrs.define
class NoSuchFile(errors.ProcessionError):
    """A file that the command line names is not there; nothing was done."""

    path: str
    cure: str

    def __str__(self) -> str:
        return f"there is no file {self.path}; {self.cure}"


class InputRefused(errors.ProcessionError):
    """What was to be published can't be; its `__cause__`, if any, says what the journal found."""


@attrs.define
class AskedRefused(errors.ProcessionError):
    """The owner of the journal refused what it was asked; it says so as the verb itself would have."""

    sentence: str
    kind: str
    exit_code: int
    at: int | None = None
    """Of several that were given, the one that was refused, counted from 0."""

    def __str__(self) -> str:
        return self.sentence


@attrs.define
class NoOwner(errors.ProcessionError):
    """No process owns the journal, so nobody can be asked; nothing was done."""

    journal: str

    def __str__(self) -> str:
        return f"no process owns {self.journal}; start one by `procession run`, or name its journal by --journal PATH"


@attrs.define
class OwnerGone(errors.ProcessionError):
    """The owner of the journal went away before it answered; whether it did what was asked, the journal tells."""

    pid: int

    def __str__(self) -> str:
        return (
            f"the owner of the journal, process {self.pid}, went away before it answered;"
            " look by `procession show` whether it was done, and ask again"
        )


_CODES: tuple[tuple[type[BaseException], ExitCode], ...] = (
    (journal_errors.JournalOwned, ExitCode.OWNED),
    (journal_errors.Fenced, ExitCode.OWNED),
    (journal_errors.JournalTooNew, ExitCode.SCHEMA),
    (errors.SchemaChanged, ExitCode.SCHEMA),
    (errors.UnknownInJournal, ExitCode.SCHEMA),
    (journal_errors.NotAJournal, ExitCode.USAGE),
    (projection_errors.ProjectionChanged, ExitCode.SCHEMA),
    (projection_errors.StoreUnusable, ExitCode.UNREACHABLE),
    (journal_errors.JournalUnwritable, ExitCode.UNREACHABLE),
    (ResourceFailed, ExitCode.UNREACHABLE),
    (journal_errors.ArchiveUnreadable, ExitCode.UNREACHABLE),
    (errors.NotFound, ExitCode.NOT_FOUND),
    (NoSuchFile, ExitCode.NOT_FOUND),
    (errors.ActRefused, ExitCode.REFUSED),
    (errors.FlowQuarantined, ExitCode.REFUSED),
    (errors.IdReused, ExitCode.REFUSED),
    (errors.Overloaded, ExitCode.UNREACHABLE),
    (errors.NotAccepted, ExitCode.UNREACHABLE),
    (errors.PublishRefused, ExitCode.USAGE),
    (errors.DefinitionError, ExitCode.USAGE),
    (errors.WiringError, ExitCode.USAGE),
    (errors.SettingsError, ExitCode.USAGE),
    (errors.SchemaFileUnreadable, ExitCode.USAGE),
    (NoOwner, ExitCode.UNREACHABLE),
    (OwnerGone, ExitCode.UNREACHABLE),
    (errors.RuntimeClosed, ExitCode.UNREACHABLE),
    (UsageRefused, ExitCode.USAGE),
    (search_errors.SearchRefused, ExitCode.USAGE),
    (search_errors.WhatIfRefused, ExitCode.USAGE),
    (search_errors.ImportRefused, ExitCode.USAGE),
    (InputRefused, ExitCode.USAGE),
    (TimeoutError, ExitCode.TIMEOUT),
)
"""The first class that fits decides; what is not named here is a failure."""


def code_of(error: BaseException) -> ExitCode:
    """The exit code for an error."""
    if isinstance(error, AskedRefused):
        return ExitCode(error.exit_code)
    if isinstance(error, InputRefused) and error.__cause__ is not None:
        return code_of(error.__cause__)
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILED)
