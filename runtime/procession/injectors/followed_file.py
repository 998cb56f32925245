"""A file that others append to, read line by line as it grows; also after it was rotated away or cut short."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import attrs

from procession.injectors.position_file import Mark, read_mark, write_mark

logger = logging.getLogger("procession.injectors")

_TAIL_BYTES = 256
_BLOCK_BYTES = 1 << 16
_ROTATIONS_MAX = 100
"""In the midst of one look; after so many the next look tries again."""
OWN_ENDINGS = (".position", ".position.new", ".rejected")
"""What the injector itself keeps beside the file."""


class Line(NamedTuple):
    """One line of the file."""

    name: str
    """Which line it is, the same whenever it is read again: `GENERATION.INODE/OFFSET`."""
    text: bytes
    """Without its newline; of one that is too long, the beginning."""
    end: int
    """Where the next line begins."""
    too_long: bool = False


class _Rotated(NamedTuple):
    """A file that had the name before, and when it was changed last."""

    mtime_ns: int
    path: Path
    inode: int


class FollowedFile:
    """Reads what stands under one path, file after file. Synchronous: for a thread, one call at a time.

    A file is known by its inode and by the bytes before the position. Where the path holds another file, the rest of
    the former one is looked for beside it (`events.jsonl.1`, or a copy) and read first; then the next one.

    Args:
        path: it need not exist yet.
        kept_in: the file that holds the position.
        line_bytes_max: a longer line is handed out cut, as too long.
        from_end: where nothing is known of the file, begin at its end.
    """

    def __init__(self, path: Path, kept_in: Path, *, line_bytes_max: int, from_end: bool = False) -> None:
        self._path = path
        self._kept_in = kept_in
        self._line_bytes_max = line_bytes_max
        self._from_end = from_end
        numbered = r"[.\-_][0-9][0-9TZ:_.\-]*"
        stem, suffix = re.escape(path.stem), re.escape(path.suffix)
        self._rotated = re.compile(f"{stem}{suffix}{numbered}|{stem}{numbered}{suffix}")
        self._descriptor = -1
        self._mark: Mark | None = read_mark(kept_in)
        self._seen, self._seen_until = b"", 0
        """What was read last, with some bytes before it, and where it ends in the file."""
        self._left = False
        """The path was seen to hold another file: this one gets no more than a last look."""

    @property
    def last(self) -> tuple[str, str] | None:
        """Source and id of the last event that was accepted from it."""
        mark = self._mark
        return (mark.last_source, mark.last_id) if mark is not None and mark.last_id else None

    def begin_again(self) -> None:
        """Read the file from its beginning: the journal does not know what was accepted from it."""
        if self._mark is not None:
            self._keep(attrs.evolve(self._mark, offset=0, tail="", last_source="", last_id=""))

    def read(self, *, whole: bool = False) -> list[Line]:
        """The next lines that are whole; none where there are no more for now.

        Args:
            whole: the file does not grow: what stands after its last newline is a line.

        Raises:
            FileNotFoundError: it is not there, and `whole` says that it should be.
        """
        if self._descriptor < 0 and not self._open():
            if whole:
                raise FileNotFoundError(f"there is no file {self._path}")
            return []
        lines = list(self._lines(last=False))
        while not _is_up_to(self._descriptor, self._known):  # asked after reading: it may be cut at any moment
            self._take_up_cut()
            lines = list(self._lines(last=False))
        if lines:
            self._left = False
            return lines
        if not self._is_replaced():
            return list(self._lines(last=True)) if whole else []
        if not self._left and not whole:  # whoever has the old file open may write to it for a moment
            self._left = True
            return []
        lines = list(self._lines(last=True))
        if not lines and self._go_on() and whole:
            return self.read(whole=True)
        return lines

    def accepted(self, end: int, last: tuple[str, str] | None = None) -> None:
        """All up to here is accepted or refused; durable on return.

        Args:
            end: of the last line.
            last: source and id of the last event that was accepted.
        """
        mark = self._known
        source, id_ = last or (mark.last_source, mark.last_id)
        # Of what was read then: by now the file may have been cut, and have grown beyond this place with other lines.
        up_to_it = self._seen[: len(self._seen) - (self._seen_until - end)]
        tail = up_to_it[-_TAIL_BYTES:].hex()
        self._keep(attrs.evolve(mark, offset=end, tail=tail, last_source=source, last_id=id_))

    def close(self) -> None:
        """Close the file; the position stays."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def _known(self) -> Mark:
        assert self._mark is not None, "a file that is open has a mark"
        return self._mark

    def _keep(self, mark: Mark) -> None:
        write_mark(self._kept_in, mark)
        self._mark = mark

    def _open(self) -> bool:
        """Open the file that the mark names, wherever it is now; else the one that the path names."""
        mark = self._mark
        if mark is not None:
            # What is rotated away once it is not found under the path is found beside it: so one comes after the other.
            if self._find(mark, (self._path,), same=True) or self._find(mark, self._siblings(), same=True):
                return True
            if self._find(mark, (*self._siblings(), self._path)):
                return True
        descriptor = _opened(self._path)
        if descriptor < 0:
            return False
        self._descriptor = descriptor
        if mark is not None:
            self._warn_of_rest(mark)
        self._begin(0 if mark is None else mark.generation, at_end=self._from_end and mark is None)
        return True

    def _find(self, mark: Mark, candidates: Iterable[Path], *, same: bool = False) -> bool:
        """Open the file that the mark was made in.

        Args:
            mark: the place.
            candidates: where it may be.
            same: the file itself; else a copy of it, known by what stands before the mark alone.
        """
        for candidate in candidates if same or mark.tail else ():
            try:
                descriptor = _opened(candidate)
            except PermissionError:
                if _is_of(candidate, mark):
                    raise
                continue  # somebody else's, which only begins with the same name
            if descriptor < 0:
                continue
            found = os.fstat(descriptor)
            is_same = (found.st_dev, found.st_ino) == (mark.device, mark.inode)
            if (is_same or not same) and _is_up_to(descriptor, mark):
                self._descriptor = descriptor
                self._mark = attrs.evolve(mark, device=found.st_dev, inode=found.st_ino)
                return True
            os.close(descriptor)
        return False

    def _begin(self, generation: int, *, at_end: bool = False) -> None:
        """The open file is the next generation, from its beginning. Kept at once: ids hang on it."""
        found = os.fstat(self._descriptor)
        mark = Mark(generation + 1, found.st_ino, found.st_dev, found.st_ino, 0)
        if at_end:
            end = found.st_size  # it may have grown since: no more than what stood before that belongs to the mark
            tail = os.pread(self._descriptor, min(_TAIL_BYTES, end), max(0, end - _TAIL_BYTES))
            mark = attrs.evolve(mark, offset=end, tail=tail.hex())
        if (before := self._mark) is not None:
            mark = attrs.evolve(mark, former=before.inode, last_source=before.last_source, last_id=before.last_id)
        self._keep(mark)
        self._left = False

    def _take_up_cut(self) -> None:
        """The open file was cut short: its rest may stand in a copy (`copytruncate`); then it begins anew."""
        mark = self._known
        cut = self._descriptor
        if self._find(mark, self._siblings()):
            os.close(cut)
            return
        self._begin(mark.generation)

    def _is_replaced(self) -> bool:
        """The path names another file than the open one, and somebody writes to that."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False
        here = os.fstat(self._descriptor)
        if (found.st_dev, found.st_ino) == (here.st_dev, here.st_ino):
            return False
        return found.st_size > 0 or self._later(here, found.st_ino) != []

    def _go_on(self) -> bool:
        """The open file was rotated away and is read: the next one, which may have been rotated away already, too."""
        here = os.fstat(self._descriptor)
        for _ in range(_ROTATIONS_MAX):
            descriptor = _opened(self._path)
            if descriptor < 0:
                return False
            there = os.fstat(descriptor)
            later = self._later(here, there.st_ino)
            if later is None or not self._is_at_path(there):
                os.close(descriptor)  # it was rotated away meanwhile, and others before or after it
                continue
            if later:
                os.close(descriptor)
                descriptor = _opened(later[0].path)
                if descriptor < 0:
                    continue
                if os.fstat(descriptor).st_ino != later[0].inode:  # its name is that of another one by now
                    os.close(descriptor)
                    continue
            self.close()
            self._descriptor = descriptor
            self._begin(self._known.generation)
            return True
        return False

    def _is_at_path(self, status: os.stat_result) -> bool:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino)

    def _later(self, here: os.stat_result, current: int) -> list[_Rotated] | None:
        """Files that had the path's name after this one and before the current one, by inode; the first one first.

        None where one was rotated further while it was looked at.
        """
        found: list[_Rotated] = []
        known = (here.st_ino, current, self._known.former)
        for path in self._siblings():
            try:
                status = path.stat()
            except FileNotFoundError:
                return None
            rotated = self._rotated.fullmatch(path.name) is not None
            if rotated and status.st_ino not in known and status.st_mtime_ns > here.st_mtime_ns:
                found.append(_Rotated(status.st_mtime_ns, path, status.st_ino))
        return sorted(found)

    def _siblings(self) -> list[Path]:
        """What a rotation may have made of the file: its name with something in it or after it."""
        with os.scandir(self._path.parent) as entries:
            return sorted(
                Path(entry.path)
                for entry in entries
                if entry.name.startswith(self._path.stem)
                and entry.name != self._path.name
                and not entry.name.endswith(OWN_ENDINGS)
                and entry.is_file()
            )

    def _warn_of_rest(self, mark: Mark) -> None:
        logger.warning(
            "%s holds another file than before, and the former one (inode %d, read up to byte %d) is not beside it:"
            " what was appended to it since is not read; keep a rotated file uncompressed until it is read",
            self._path,
            mark.inode,
            mark.offset,
        )

    def _lines(self, *, last: bool) -> Iterator[Line]:
        """The lines of one piece of the file; `last`: also what has no newline."""
        mark = self._known
        piece = os.pread(self._descriptor, max(_BLOCK_BYTES, self._line_bytes_max + 1), mark.offset)
        self._seen, self._seen_until = bytes.fromhex(mark.tail) + piece, mark.offset + len(piece)
        *whole, rest = piece.split(b"\n")
        at = mark.offset
        for text in whole:
            end = at + len(text) + 1
            yield self._line(mark, at, text, end)
            at = end
        if whole or not rest:
            return
        if len(rest) > self._line_bytes_max:
            end = self._end_of_long(at + len(rest), last=last)
            if end:
                yield self._line(mark, at, rest, end)
        elif last:
            yield self._line(mark, at, rest, at + len(rest))

    def _line(self, mark: Mark, at: int, text: bytes, end: int) -> Line:
        too_long = len(text) > self._line_bytes_max
        return Line(f"{mark.generation}.{mark.born:x}/{at}", text[: self._line_bytes_max], end, too_long)

    def _end_of_long(self, at: int, *, last: bool) -> int:
        """Where a line ends that is too long to be held; 0 where it has no end yet."""
        while block := os.pread(self._descriptor, _BLOCK_BYTES, at):
            self._seen, self._seen_until = self._seen[-_TAIL_BYTES:] + block, at + len(block)
            found = block.find(b"\n")
            if found >= 0:
                return at + found + 1
            at += len(block)
        return at if last else 0


def _opened(path: Path) -> int:
    """A descriptor to read a regular file; -1 where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no regular file: only those can be read again after a crash")
    return descriptor


def _is_of(path: Path, mark: Mark) -> bool:
    """Whether this is the file that the mark was made in."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == (mark.device, mark.inode)


def _is_up_to(descriptor: int, mark: Mark) -> bool:
    """Whether the bytes before the mark are those that were there when it was made."""
    tail = bytes.fromhex(mark.tail)
    if os.fstat(descriptor).st_size < mark.offset:
        return False
    return os.pread(descriptor, len(tail), mark.offset - len(tail)) == tail
