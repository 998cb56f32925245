"""The folder of stores: which file is which projection's, and what is being rebuilt beside it.

`order_overview-0002.db` is the second store of a projection, whole; the one with the highest number counts, others are
left over. `order_overview-0003.db.building` is being rebuilt; it becomes the store by its name, in one rename.
"""

from __future__ import annotations

import contextlib
import os
import re

import attrs

from procession.projection_errors import StoreUnusable
from procession.projections.store import file_uri, memory_uri

_NUMBER_DIGITS = 4
_BUILDING = ".building"
_COMPANIONS = ("", "-wal", "-shm")


def folder_of(journal: str) -> str:
    """Where the stores of a journal's projections lie, if nobody says otherwise."""
    return f"{journal}.projections"


@attrs.frozen
class StoreFile:
    """One store of one projection: where it is, and whether it is whole."""

    number: int
    path: str
    """Empty in memory."""
    uri: str
    building: bool = False


class StoreFolder:
    """The stores in one folder."""

    def __init__(self, path: str) -> None:
        self.path = path

    def check(self, *, make: bool) -> None:
        """Refuse a folder that can't be used, before anything is touched; make it where that is asked for.

        Raises:
            StoreUnusable: it is missing, no folder, or not writable.
        """
        try:
            if make:
                os.makedirs(self.path, exist_ok=True)
        except OSError as error:
            raise StoreUnusable(self.path, f"it can't be made: {error.strerror}", _CURE) from error
        if not os.path.isdir(self.path):
            found = "it is no folder" if os.path.lexists(self.path) else "there is no such folder"
            raise StoreUnusable(self.path, found, "make it, or name another by projections= or projectors.folder")
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise StoreUnusable(self.path, "it can't be written", _CURE)

    def lock_name(self, store: str, *, rebuild: bool = False) -> str:
        """What is locked by who folds a projection, or rebuilds it: a path without `.lock`."""
        return os.path.join(self.path, f"{store}.rebuild" if rebuild else store)

    def whole(self, store: str) -> StoreFile | None:
        """The store that counts; None where there is none yet."""
        return max(self._files(store, building=False), key=_number_of, default=None)

    def building(self, store: str) -> StoreFile | None:
        """The one that is being rebuilt, or was when its process died."""
        return max(self._files(store, building=True), key=_number_of, default=None)

    def first(self, store: str) -> StoreFile:
        """A new store, where there is none."""
        return self._file(store, 1, building=False)

    def next(self, store: str) -> StoreFile:
        """A new store beside those that are there."""
        files = [*self._files(store, building=False), *self._files(store, building=True)]
        return self._file(store, max([file.number for file in files], default=0) + 1, building=True)

    def finish(self, file: StoreFile) -> StoreFile:
        """What was being rebuilt becomes the store, in one rename; nobody writes to it, and it is all in one file."""
        whole = file.path.removesuffix(_BUILDING)
        os.replace(file.path, whole)
        for companion in _COMPANIONS[1:]:  # empty: whoever looked at it meanwhile left them
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{file.path}{companion}")
        self._sync()
        return StoreFile(file.number, whole, file_uri(whole, "rw"))

    def remove(self, file: StoreFile) -> None:
        """Remove a store that nobody needs any more."""
        for companion in _COMPANIONS:
            try:
                os.unlink(f"{file.path}{companion}")
            except FileNotFoundError:
                continue

    def tidy(self, store: str) -> None:
        """Remove stores that were replaced, and what a rebuild left behind that is older than the store."""
        whole = self.whole(store)
        if whole is None:
            return
        for file in [*self._files(store, building=False), *self._files(store, building=True)]:
            if file.number < whole.number:
                self.remove(file)

    def _file(self, store: str, number: int, *, building: bool) -> StoreFile:
        path = os.path.join(self.path, f"{store}-{number:0{_NUMBER_DIGITS}d}.db{_BUILDING if building else ''}")
        return StoreFile(number, path, file_uri(path, "rwc"), building)

    def _files(self, store: str, *, building: bool) -> list[StoreFile]:
        form = re.compile(
            rf"{re.escape(store)}-(\d{{{_NUMBER_DIGITS},}})\.db{re.escape(_BUILDING) if building else ''}"
        )
        names = sorted(os.listdir(self.path)) if os.path.isdir(self.path) else ()
        matches = [form.fullmatch(name) for name in names]
        return [self._file(store, int(match[1]), building=building) for match in matches if match is not None]

    def _sync(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def in_memory() -> StoreFile:
    """A store that lives as long as its connections."""
    return StoreFile(0, "", memory_uri())


def _number_of(file: StoreFile) -> int:
    return file.number


_CURE = "give write access to the folder, or name another by projections= or projectors.folder"
