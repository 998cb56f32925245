"""A disk that loses power: what may be on it at one moment, by what was handed to the kernel and what was synced."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import attrs

from tests.crash.recording import Cut, FolderSynced, Made, Operation, Removed, Synced, SyncFailed, Told, Wrote

Fate = Literal["lost", "kept", "torn", "reordered"]
FATES: tuple[Fate, ...] = ("lost", "kept", "torn", "reordered")
"""Of what was not synced: all of it lost, all of it kept, each write kept in some of its sectors only, or some writes
kept whole and earlier ones not."""
SECTOR_BYTES = 512
_KEPT_SHARE = 0.5


@attrs.define(eq=False)
class Disk:
    """Follows operations; can tell at each of them what a power loss may leave."""

    told: dict[str, bytearray] = attrs.field(factory=dict)
    """Lines that left, by the name of their log."""
    _synced: dict[str, bytearray] = attrs.field(factory=dict)
    _pending: dict[str, list[Wrote | Cut]] = attrs.field(factory=dict)
    _doubtful: dict[str, list[tuple[Wrote | Cut, bool]]] = attrs.field(factory=dict)
    """From the first change on whose sync failed: the changes, and whether they are on the disk for certain."""
    _named: set[str] = attrs.field(factory=set)
    """Names that are on the disk."""
    _renamed: list[Made | Removed] = attrs.field(factory=list)
    """Names made and removed since the folder was synced."""

    @property
    def unsynced(self) -> int:
        """Writes that a power loss may undo, but for those to the head file, which are never synced."""
        doubtful = sum(not kept for changes in self._doubtful.values() for _, kept in changes)
        return doubtful + sum(len(changes) for name, changes in self._pending.items() if not name.endswith("-head"))

    def follow(self, operation: Operation) -> None:
        """One operation more was done."""
        match operation:
            case Wrote() | Cut():
                self._pending.setdefault(operation.name, []).append(operation)
            case Made():
                self._renamed.append(operation)
                self._synced[operation.name] = bytearray()
                self._pending[operation.name] = []
                self._doubtful.pop(operation.name, None)
            case Removed():
                self._renamed.append(operation)
            case Synced(name):
                self._keep(name, self._pending.pop(name, []))
            case SyncFailed(name):
                changes = self._pending.pop(name, [])
                if changes:
                    self._doubtful.setdefault(name, []).extend((change, False) for change in changes)
            case FolderSynced():
                for one in self._renamed:
                    (self._named.add if isinstance(one, Made) else self._named.discard)(one.name)
                self._renamed.clear()
            case Told(name, line):
                self.told.setdefault(name, bytearray()).extend(line)

    def _keep(self, name: str, changes: Sequence[Wrote | Cut]) -> None:
        for change in changes:
            if change == Cut(name, 0):
                self._doubtful.pop(name, None)
            if name in self._doubtful:
                self._doubtful[name].append((change, True))
            else:
                _apply(self._synced.setdefault(name, bytearray()), change)

    def after_power_loss(self, fate: Fate, chance: random.Random) -> dict[str, bytes]:
        """The files that may be there, by name, with what they may hold."""
        names = set(self._named)
        for one in self._renamed:
            if fate == "kept" or (fate != "lost" and chance.random() < _KEPT_SHARE):
                (names.add if isinstance(one, Made) else names.discard)(one.name)
        found = {}
        for name in sorted(names):
            content = bytearray(self._synced.get(name, b""))
            for change, kept in self._doubtful.get(name, ()):
                for part in (change,) if kept else _left_of(change, fate, chance):
                    _apply(content, part)
            for operation in self._pending.get(name, ()):
                for part in _left_of(operation, fate, chance):
                    _apply(content, part)
            found[name] = bytes(content)
        return found


def _left_of(operation: Wrote | Cut, fate: Fate, chance: random.Random) -> Sequence[Wrote | Cut]:
    if fate == "lost":
        return ()
    if fate == "kept":
        return (operation,)
    if fate == "reordered" or isinstance(operation, Cut):
        return (operation,) if chance.random() < _KEPT_SHARE else ()
    return [part for part in _sectors(operation) if chance.random() < _KEPT_SHARE]


def _sectors(wrote: Wrote) -> list[Wrote]:
    """A write in the pieces that a disk writes at once: they end where its sectors do."""
    found, at, end = [], wrote.offset, wrote.offset + len(wrote.data)
    while at < end:
        to = min(end, (at // SECTOR_BYTES + 1) * SECTOR_BYTES)
        found.append(Wrote(wrote.name, at, wrote.data[at - wrote.offset : to - wrote.offset]))
        at = to
    return found


def _apply(content: bytearray, change: Wrote | Cut) -> None:
    if isinstance(change, Cut):
        del content[change.size :]
        content.extend(bytes(change.size - len(content)))
        return
    end = change.offset + len(change.data)
    content.extend(bytes(max(0, end - len(content))))
    content[change.offset : end] = change.data


def write_image(folder: Path, files: dict[str, bytes], told: dict[str, bytearray], logs: Sequence[str]) -> None:
    """A folder as it is found after the loss, with the logs of the world outside."""
    for file in folder.iterdir():
        file.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    for log in logs:
        (folder / log).write_bytes(told.get(log, b""))
