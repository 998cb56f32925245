"""Which configuration and which journal a verb works on."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Literal

import attrs

from procession.daemon.exit_codes import NoSuchFile, UsageRefused
from procession.journal.ownership import holder_of
from procession.journal.sqlite_schema import check_header, check_place
from procession.journal_errors import JournalOwned
from procession.settings import Settings
from procession.settings_file import load_settings

DEFAULT_FILE = Path("config/procession.toml")


@attrs.frozen
class Configuration:
    """The settings, and where they came from."""

    settings: Settings
    file: Path | None
    """None: there is no file, the defaults and the environment hold."""
    journal_named: bool = False
    """The journal was named on the command line."""

    @property
    def journal(self) -> str:
        """The journal's file."""
        return self.settings.journal.path

    def existing_journal(self) -> str:
        """The journal's file, for verbs that make none.

        Raises:
            NoSuchFile: it is not there.
        """
        if not os.path.lexists(self.journal):
            cure = "name the journal by --journal PATH, or publish something first"
            raise NoSuchFile(self.journal, cure)
        return self.journal


def refuse_early(journal: str) -> None:
    """Refuse a journal that can't be opened before anything long is begun; opening it looks again.

    Raises:
        JournalOwned, NotAJournal, JournalTooNew, JournalUnwritable: as they say.
    """
    name = os.path.realpath(journal)
    check_place(name)
    check_header(name)
    holder = holder_of(name)
    if holder is not None and holder.running and holder.named:  # else taking the lock tells who it is
        raise JournalOwned(name, holder.pid, holder.host, holder.started_at)


def configuration_file(options: argparse.Namespace) -> Path | None:
    """The file that `--config`, PROCESSION_CONFIG or the working directory names, in this order.

    Raises:
        NoSuchFile: the file that was named is not there.
    """
    named: str | None = options.config or os.environ.get("PROCESSION_CONFIG")
    if named is None:
        return DEFAULT_FILE if DEFAULT_FILE.is_file() else None
    if not Path(named).is_file():
        raise NoSuchFile(named, "name a configuration by --config FILE or PROCESSION_CONFIG")
    return Path(named)


def configured(options: argparse.Namespace) -> Configuration:
    """The configuration for a verb, with the journal that the command line names.

    Raises:
        NoSuchFile: the file that was named is not there.
        SettingsError: it can't be used.
    """
    file = configuration_file(options)
    settings = load_settings(file, os.environ)
    if options.journal is not None:
        settings = attrs.evolve(settings, journal=attrs.evolve(settings.journal, path=options.journal))
    return Configuration(settings, file, options.journal is not None)


def since_of(options: argparse.Namespace) -> dict[str, Literal["now"] | int]:
    """From where on processes that are new to a journal take part: `--since PROCESS=now`, `--since PROCESS=POSITION`.

    Raises:
        UsageRefused: it is written in another way.
    """
    found: dict[str, Literal["now"] | int] = {}
    for text in options.since or ():
        process, _, where = text.partition("=")
        if where != "now" and not where.isdecimal():
            raise UsageRefused(f"--since {text!r} can't be read", "write --since PROCESS=now or PROCESS=POSITION")
        found[process] = "now" if where == "now" else int(where)
    return found
