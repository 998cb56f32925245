"""Lines of a file or of standard input, plain or gzip, a bounded piece at a time."""

from __future__ import annotations

import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import attrs

from procession.daemon.exit_codes import InputRefused, NoSuchFile, UsageRefused

STDIN = "-"
_CHUNK_BYTES = 1 << 16
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


@attrs.define
class BadLineError(InputRefused):
    """A line of the input can't be published; nothing of its batch was written."""

    file: str
    line: int
    sentence: str
    """What was found, and the cure."""
    before: str = "nothing was written"
    """What became of the lines before it."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.sentence}; {self.before}"


class Line(NamedTuple):
    """One line that is not blank."""

    number: int
    """From 1."""
    text: bytes


class EventLines:
    """Reads lines; holds one chunk and one unfinished line, however long the file is."""

    def __init__(self, name: str, raw: io.BufferedReader, line_bytes_max: int) -> None:
        self.name = "standard input" if name == STDIN else name
        self._raw = raw
        self._line_bytes_max = line_bytes_max
        self._number = 0
        self._stream: io.BufferedIOBase = raw
        self._ready: Iterator[Line] = iter(())

    @property
    def bytes_read(self) -> int:
        """How far it is, in bytes as they lie on the disk."""
        return self._raw.tell() if self._raw.seekable() else 0

    def chunks(self) -> Iterator[list[Line]]:
        """The lines of one chunk after the other; each chunk is what is there, so that a pipe is not waited for.

        Raises:
            BadLineError: a line is too long, or the gzip is damaged or cut off.
        """
        if self._raw.peek(2).startswith(_GZIP):
            self._stream = gzip.GzipFile(fileobj=self._raw)
        rest = b""
        while chunk := self._read():
            if b"\n" not in chunk:
                rest += chunk
            else:
                *lines, rest = (rest + chunk).split(b"\n")
                yield list(self._numbered(lines))
            if len(rest) > self._line_bytes_max:
                raise self._too_long()
        if rest:
            yield list(self._numbered([rest]))

    def _numbered(self, lines: list[bytes]) -> Iterator[Line]:
        for text in lines:
            if len(text) > self._line_bytes_max:
                raise self._too_long()
            self._number += 1
            if self._number == 1:
                text = text.removeprefix(_BOM)  # noqa: PLW2901 - the same line
            if text.strip():
                yield Line(self._number, text)

    def _read(self) -> bytes:
        try:
            return self._stream.read1(_CHUNK_BYTES)
        except EOFError:
            found, cure = "the gzip ends in the middle", "fetch the file again, it was cut off"
        except (zlib.error, gzip.BadGzipFile) as error:
            found, cure = f"the gzip is damaged ({error})", "fetch the file again"
        raise BadLineError(self.name, self._number + 1, f"{found}; {cure}")

    def _too_long(self) -> BadLineError:
        found = f"the line is longer than {self._line_bytes_max} bytes"
        return BadLineError(self.name, self._number + 1, f"{found}; make it smaller, or raise intake.payload_bytes_max")

    def close(self) -> None:
        """Close the file."""
        self._raw.close()


def open_lines(name: str, line_bytes_max: int) -> EventLines:
    """Open a file, or standard input for `-`.

    Raises:
        NoSuchFile: it is not there.
        UsageRefused: it can't be read.
    """
    if name == STDIN:
        # A descriptor of its own: closing it leaves the process its standard input.
        return EventLines(name, os.fdopen(os.dup(sys.stdin.fileno()), "rb"), line_bytes_max)
    try:
        return EventLines(name, open(name, "rb"), line_bytes_max)  # noqa: PTH123 - closed by the caller
    except FileNotFoundError:
        raise NoSuchFile(name, "name a file of CloudEvents, or - for standard input") from None
    except OSError as error:
        raise UsageRefused(f"{name} can't be read ({error.strerror})", "name a file that can be read") from error


def size_of(name: str) -> int | None:
    """The bytes of a regular file; None for all that can be read only once."""
    if name == STDIN:
        return None
    try:
        found = os.stat(name)  # noqa: PTH116 - the name as it was typed
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
