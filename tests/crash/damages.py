"""Kinds of damage to a journal's file, its log or its head file: what disks do, and people who copy files."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

PAGE_BYTES = 4096


class Moment(NamedTuple):
    """A journal's file, its write-ahead log and its head file while an owner had it."""

    content: bytes
    wal: bytes
    head: bytes

    @classmethod
    def of(cls, path: Path) -> Moment:
        """Now; the head file first, since it is never further than the journal."""
        head = Path(f"{path}-head").read_bytes()
        return cls(path.read_bytes(), Path(f"{path}-wal").read_bytes(), head)


Damage = Callable[[bytearray, "bytes | None", Sequence[Moment], random.Random], "bytes | None"]
"""Damages the file in place, given its log and earlier moments; returns the log that lies beside it then."""


def lay(path: Path, content: bytes, wal: bytes | None, head: bytes | None = None) -> None:
    """Write a file, and its write-ahead log and head file where there are such."""
    path.write_bytes(content)
    Path(f"{path}-shm").unlink(missing_ok=True)
    for end, beside in (("wal", wal), ("head", head)):
        Path(f"{path}-{end}").unlink(missing_ok=True)
        if beside is not None:
            Path(f"{path}-{end}").write_bytes(beside)


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


def leave(_: bytearray, wal: bytes | None, __: Sequence[Moment], ___: random.Random) -> bytes | None:
    """Nothing: it is the head file that is hit."""
    return wal


def flip_head(head: bytes, _: Sequence[Moment], chance: random.Random) -> bytes:
    """One bit of the head file."""
    damaged = bytearray(head)
    damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def old_head(_: bytes, moments: Sequence[Moment], chance: random.Random) -> bytes:
    """The head file of an earlier moment, as a power loss may leave it."""
    return chance.choice(moments).head


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
    "bit flip in the head file": leave,
    "older head file": leave,
}
HEAD_DAMAGES: dict[str, Callable[[bytes, Sequence[Moment], random.Random], bytes]] = {
    "bit flip in the head file": flip_head,
    "older head file": old_head,
}
OF_A_LOG = ("log deleted", "older log", "bit flip in the log", *HEAD_DAMAGES)
"""Those that are done to the journal of an owner that was killed."""
