"""Kinds of damage to the file of a journal, or to its write-ahead log: what disks, and people who copy files, do."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

PAGE_BYTES = 4096


class Moment(NamedTuple):
    """A journal's file and its write-ahead log while an owner had it."""

    content: bytes
    wal: bytes


Damage = Callable[[bytearray, "bytes | None", Sequence[Moment], random.Random], "bytes | None"]
"""Damages the file in place, given its log and earlier moments; returns the log that lies beside it then."""


def lay(path: Path, content: bytes, wal: bytes | None) -> None:
    """Write a file, and its write-ahead log where there is one."""
    path.write_bytes(content)
    Path(f"{path}-shm").unlink(missing_ok=True)
    Path(f"{path}-wal").unlink(missing_ok=True)
    if wal is not None:
        Path(f"{path}-wal").write_bytes(wal)


def _pages(content: bytes | bytearray) -> int:
    return len(content) // PAGE_BYTES


def _page(content: bytes | bytearray, number: int) -> bytes:
    return bytes(content[PAGE_BYTES * number : PAGE_BYTES * (number + 1)])


def _put(content: bytearray, number: int, page: bytes) -> None:
    content[PAGE_BYTES * number : PAGE_BYTES * (number + 1)] = page


def flip(content: bytearray, wal: bytes | None, _: Sequence[Moment], chance: random.Random) -> bytes | None:
    """One bit, anywhere."""
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return wal


def swap(content: bytearray, wal: bytes | None, _: Sequence[Moment], chance: random.Random) -> bytes | None:
    """Two pages, each at the place of the other."""
    one, other = chance.sample(range(_pages(content)), 2)
    first, second = _page(content, one), _page(content, other)
    _put(content, one, second)
    _put(content, other, first)
    return wal


def _changed(content: bytearray, moments: Sequence[Moment], chance: random.Random) -> tuple[int, bytes]:
    """A page that was another at an earlier moment, and what it was."""
    changed = [
        (number, page)
        for moment in moments
        for number in range(min(_pages(content), _pages(moment.content)))
        if (page := _page(moment.content, number)) != _page(content, number)
    ]
    return chance.choice(changed)


def misdirect(content: bytearray, wal: bytes | None, moments: Sequence[Moment], chance: random.Random) -> bytes | None:
    """A page was written at the place of another, and is at its own what it was before."""
    number, before = _changed(content, moments, chance)
    other = chance.choice([each for each in range(_pages(content)) if each != number])
    _put(content, other, _page(content, number))
    _put(content, number, before)
    return wal


def lose_write(content: bytearray, wal: bytes | None, moments: Sequence[Moment], chance: random.Random) -> bytes | None:
    """A page is what it was before."""
    _put(content, *_changed(content, moments, chance))
    return wal


def zero(content: bytearray, wal: bytes | None, _: Sequence[Moment], chance: random.Random) -> bytes | None:
    """One page of nothing."""
    _put(content, chance.randrange(_pages(content)), bytes(PAGE_BYTES))
    return wal


def cut_page(content: bytearray, wal: bytes | None, _: Sequence[Moment], chance: random.Random) -> bytes | None:
    """The end is gone, from the beginning of a page on."""
    del content[PAGE_BYTES * chance.randrange(1, _pages(content)) :]
    return wal


def cut(content: bytearray, wal: bytes | None, _: Sequence[Moment], chance: random.Random) -> bytes | None:
    """The end is gone, from anywhere on."""
    del content[chance.randrange(len(content)) :]
    return wal


def drop_log(content: bytearray, _: bytes | None, moments: Sequence[Moment], chance: random.Random) -> None:
    """There is a file of some moment, and no log."""
    content[:] = chance.choice(moments).content


def old_log(content: bytearray, _: bytes | None, moments: Sequence[Moment], chance: random.Random) -> bytes:
    """The log of an earlier moment lies beside the file."""
    return chance.choice(moments).wal


def flip_log(content: bytearray, wal: bytes | None, _: Sequence[Moment], chance: random.Random) -> bytes:
    """One bit of the log."""
    assert wal, "there is a log"
    damaged = bytearray(wal)
    damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


DAMAGES: dict[str, Damage] = {
    "bit flip": flip,
    "page swap": swap,
    "misdirected write": misdirect,
    "lost write": lose_write,
    "zeroed page": zero,
    "truncation at a page": cut_page,
    "truncation anywhere": cut,
    "log deleted": drop_log,
    "older log": old_log,
    "bit flip in the log": flip_log,
}
OF_A_LOG = ("log deleted", "older log", "bit flip in the log")
"""Those that are done to the journal of an owner that was killed."""
