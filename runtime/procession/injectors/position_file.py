"""How far a followed file was read, kept beside it: replaced as a whole, so that a crash leaves the old or the new."""

from __future__ import annotations

import json
import os
from pathlib import Path

import attrs

from procession.errors import ProcessionError

_VERSION = 1


@attrs.frozen
class Mark:
    """A place in one file of a row of files that had one name, one after another."""

    generation: int
    """Counts the files, from 1; a file that was cut short counts as another."""
    born: int
    """Inode of the file when it was first seen; with the generation it names the file in ids."""
    device: int
    inode: int
    offset: int
    """Up to here its lines are accepted or refused."""
    tail: str = ""
    """The bytes before the offset, in hex: they tell the file from another one."""
    former: int = 0
    """Inode of the file of the generation before."""
    last_source: str = ""
    last_id: str = ""
    """The last event that was accepted: a journal that does not know it is another one, or older."""


@attrs.define
class PositionUnreadable(ProcessionError):  # noqa: N818 - named for what happened
    """The position of a followed file is kept in a file that can't be read; no line was read. Delete it, or mend it.

    What was accepted is known by its ids, so reading again from the beginning counts nothing twice.
    """

    path: str
    found: str

    _says = "{0.path} holds no position ({0.found}); delete it to read from the beginning, nothing is accepted twice"


def read_mark(path: Path) -> Mark | None:
    """The mark that is kept, None where there is none.

    Raises:
        PositionUnreadable: the file holds something else.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise PositionUnreadable(str(path), str(error)) from error
    try:
        if found.pop("version") != _VERSION:
            raise PositionUnreadable(str(path), "of another version")
        mark = Mark(**found)
    except (AttributeError, KeyError, TypeError) as error:
        raise PositionUnreadable(str(path), str(error)) from error
    for field, value in attrs.asdict(mark).items():
        wanted = str if field in ("tail", "last_source", "last_id") else int
        if type(value) is not wanted:
            raise PositionUnreadable(str(path), f"{field} is {value!r}")
    return mark


def write_mark(path: Path, mark: Mark) -> None:
    """Keep a mark; durable on return."""
    written = path.with_name(f"{path.name}.new")
    with written.open("w", encoding="utf-8") as file:
        json.dump({"version": _VERSION, **attrs.asdict(mark)}, file)
        file.flush()
        os.fsync(file.fileno())
    written.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
