"""Which rows of a CRC chain are as they were written, where some of them are lost or changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs

Row = tuple[int, int, tuple[Any, ...]]
"""The place, the checksum that is stored, the values that it was made of."""
Grave = tuple[int, int, int, int, int]
"""A tombstone: first, last, number, the checksum after it, the archive."""


@attrs.frozen
class Gap:
    """Places of which nothing could be proved."""

    first: int
    last: int
    crc: int
    """What the next row that was proved stands on."""
    unproven: int
    """So many rows could be read there, and their checksums do not fit."""


@attrs.define
class ProvenChain:
    """Walks along one table. A checksum can't be checked without the one before: the row after a lost one is lost too.

    Where a row does not fit, either it was changed or its checksum was. The next row tells which: it stands on what
    was stored, or on what should have been.
    """

    start: int
    crc_of: Callable[[tuple[Any, ...], int, str], int]
    gaps: list[Gap] = attrs.field(factory=list)
    last: int = 0
    """The last place that was proved."""
    crc: int = 0
    """The checksum there."""
    _held: list[Row] = attrs.field(factory=list)
    _before: tuple[int, ...] = ()

    def walk(self, rows: Iterable[Row], graves: Iterable[Grave], end: tuple[int, int] | None) -> Iterator[Row]:
        """The rows that are as they were written, with the checksums that they should have.

        Args:
            rows: in order of place.
            graves: tombstones, in order.
            end: place and checksum of the last row, as the owner row has them; None where that can't be read.
        """
        self.crc, self._before = self.start, (self.start,)
        todo = sorted(graves, reverse=True)
        for row in rows:
            while todo and todo[-1][0] < row[0]:
                self._bury(todo.pop())
            if row[0] > self.last:
                yield from self._judge(row)
        while todo:
            self._bury(todo.pop())
        yield from self._end(end)

    def _bury(self, grave: Grave) -> None:
        self._close(grave[0] - 1, self._held[-1][1] if self._held else self.crc)
        self.last, self.crc, self._before = grave[1], grave[3], (grave[3],)

    def _judge(self, row: Row) -> Iterator[Row]:
        place, stored, values = row
        computed = [self.crc_of(values, before, "surrogateescape") for before in self._before]
        if stored not in computed:
            # Only from what is stored: a second guess upon a guess would prove anything in the end.
            self._before = (stored, computed[0])
            self._held.append(row)
            return
        before = self._before[computed.index(stored)]
        if self._held and before != self._held[-1][1]:
            held = self._held.pop()
            self._close(held[0] - 1, self._held[-1][1] if self._held else self.crc)
            yield (held[0], before, held[2])
        else:
            self._close(place - 1, before)
        self.last, self.crc, self._before = place, stored, (stored,)
        yield row

    def _close(self, until: int, crc: int) -> None:
        """What was held is not proved: it is a gap up to here."""
        if self._held:
            self.gaps.append(Gap(self.last + 1, until, crc, len(self._held)))
            self._held.clear()

    def _end(self, end: tuple[int, int] | None) -> Iterator[Row]:
        if end is None or end[0] < self.last or end[1] == self.crc:
            # The owner row says nothing, or is itself what was hit: the chain tells where it ends.
            if self._held and (end is None or end[1] != self.crc):
                place, crc = self._held[-1][:2]
                self._close(place, crc)
                self.last, self.crc = place, crc
            return
        place, crc = end
        if self._held and self._held[-1][0] == place and len(self._before) > 1 and self._before[1] == crc:
            held = self._held.pop()
            self._close(held[0] - 1, self._held[-1][1] if self._held else self.crc)
            yield (place, crc, held[2])
        elif place > self.last:
            self.gaps.append(Gap(self.last + 1, place, crc, len(self._held)))
            self._held.clear()
        else:
            return
        self.last, self.crc = place, crc
