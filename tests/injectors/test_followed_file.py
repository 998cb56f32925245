"""What a look at a followed file finds, look by look."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from procession.injectors.followed_file import FollowedFile, Line


def followed(path: Path) -> FollowedFile:
    return FollowedFile(path, path.with_name("kept.position"), line_bytes_max=100)


def look(file: FollowedFile) -> list[bytes]:
    """Read, and accept what was read."""
    lines = file.read()
    if lines:
        file.accepted(lines[-1].end)
    return [line.text for line in lines]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lines"


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_a_file_that_is_not_there_has_no_lines(path: Path) -> None:
    assert look(followed(path)) == []


def test_one_that_must_be_there_is_asked_for(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file"):
        followed(path).read(whole=True)


def test_a_folder_is_no_file_to_follow(tmp_path: Path) -> None:
    (tmp_path / "lines").mkdir()
    with pytest.raises(OSError, match="is no regular file: only those can be read again after a crash"):
        followed(tmp_path / "lines").read()


def test_what_is_written_late_into_a_rotated_file_is_found_by_a_second_look(path: Path) -> None:
    append(path, "a\n")
    file = followed(path)
    assert look(file) == [b"a"]
    path.rename(path.with_name("lines.1"))
    append(path, "c\n")
    assert look(file) == []
    append(path.with_name("lines.1"), "b\n")
    assert look(file) == [b"b"]
    assert [look(file) for _ in range(3)] == [[], [], [b"c"]]
    file.close()


def test_an_empty_new_file_is_not_gone_to_while_the_old_one_may_be_written(path: Path) -> None:
    append(path, "a\n")
    file = followed(path)
    look(file)
    path.rename(path.with_name("lines.1"))
    path.touch()
    assert [look(file) for _ in range(4)] == [[]] * 4
    append(path.with_name("lines.1"), "b\n")
    assert look(file) == [b"b"]
    file.close()


def test_what_was_copied_away_between_two_looks_is_read_from_the_copy(path: Path) -> None:
    append(path, "a\n")
    file = followed(path)
    look(file)
    append(path, "b\n")
    shutil.copy(path, path.with_name("lines.1"))
    os.truncate(path, 0)
    append(path, "c\n")
    assert [look(file) for _ in range(4)] == [[b"b"], [], [], [b"c"]]
    file.close()


@pytest.mark.parametrize("more", ["c\n", "cc\ndd\n", "c" * 150 + "\n"])
@pytest.mark.parametrize("read", ["a\nb\n", "a" * 300 + "\nb\n"])
def test_what_is_copied_away_before_what_was_read_is_accepted_is_read_from_the_copy(
    path: Path, read: str, more: str
) -> None:
    append(path, read)
    file = followed(path)
    lines = file.read()
    append(path, "rest\n")
    shutil.copy(path, path.with_name("lines.1"))
    os.truncate(path, 0)
    append(path, more)
    file.accepted(lines[-1].end)
    assert [look(file) for _ in range(4)] == [[b"rest"], [], [], [line[:100].encode() for line in more.splitlines()]]
    file.close()


@pytest.mark.parametrize("call", range(1, 4))
def test_a_file_that_is_cut_while_it_is_read_is_read_from_the_copy(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    append(path, "a\n")
    file = followed(path)
    look(file)
    append(path, "b\n")
    read, calls = os.pread, itertools.count(1)

    def read_cut(descriptor: int, length: int, at: int) -> bytes:
        if next(calls) == call:
            shutil.copy(path, path.with_name("lines.1"))
            os.truncate(path, 0)
            append(path, "c\nd\n")
        return read(descriptor, length, at)

    monkeypatch.setattr(os, "pread", read_cut)
    found: list[bytes] = []
    while len(found) < 3:
        found += look(file)
    assert found == [b"b", b"c", b"d"]
    file.close()


def test_a_file_that_is_cut_before_anything_was_accepted_from_its_end_on_begins_anew(path: Path) -> None:
    append(path, "a\nb\n")
    file = FollowedFile(path, path.with_name("kept.position"), line_bytes_max=100, from_end=True)
    assert look(file) == []
    os.truncate(path, 0)
    append(path, "c\nd\ne\n")
    assert look(file) == [b"c", b"d", b"e"]
    file.close()


@pytest.mark.parametrize("before", ["", "a\n", "a" * 300 + "\n"])
def test_a_file_that_grows_while_its_end_is_looked_for_is_followed_from_there(
    path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    append(path, before)
    file = FollowedFile(path, path.with_name("kept.position"), line_bytes_max=1000, from_end=True)
    read, more = os.pread, ["b\n"]

    def read_what_grew(descriptor: int, length: int, at: int) -> bytes:
        if more:
            append(path, more.pop())
        return read(descriptor, length, at)

    monkeypatch.setattr(os, "pread", read_what_grew)
    assert look(file) == [b"b"]
    append(path, "c\n")
    assert look(file) == [b"c"]
    file.close()


def test_a_line_has_the_same_name_whenever_it_is_read(path: Path) -> None:
    append(path, "a\nb\n")
    first, again = followed(path), followed(path)
    before: list[Line] = first.read()
    assert before == again.read()
    assert [line.name.partition("/")[2] for line in before] == ["0", "2"]
    first.close()
    again.close()


class Rotating:
    """Rotates the file in the midst of a look: right before the n-th call that asks the file system for something."""

    def __init__(self, path: Path, patch: pytest.MonkeyPatch, left: int, *, shifts: bool) -> None:
        self._path, self._left, self._shifts, self._rotations = path, left, shifts, 0
        for name in ("open", "scandir", "stat", "fstat"):
            patch.setattr(os, name, self._noticing(getattr(os, name)))

    @property
    def done(self) -> bool:
        return self._left <= 0

    def rotate(self, text: str) -> None:
        """Another file has the name, changed a second after the one before; `shifts`: what is newest is always `.1`."""
        self._rotations += 1
        for number in range(self._rotations, 1, -1) if self._shifts else ():
            self._path.with_name(f"lines.{number - 1}").rename(self._path.with_name(f"lines.{number}"))
        self._path.rename(self._path.with_name(f"lines.{1 if self._shifts else self._rotations}"))
        append(self._path, text)
        os.utime(self._path, (1_800_000_000 + self._rotations,) * 2)

    def _noticing(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def noticed(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - as the call
            self._left -= 1
            if self._left == 0:
                self.rotate("last\n")
            return call(*given, **named)

        return noticed


def read_while_rotated(file: FollowedFile, rotating: Rotating) -> list[bytes]:
    """All lines, until some looks after the rotation found nothing more."""
    found, idle = [], 0
    while idle < 6:
        lines = look(file)
        found += lines
        idle = 0 if lines or not rotating.done else idle + 1
    file.close()
    return found


@pytest.mark.parametrize("shifts", [False, True])
@pytest.mark.parametrize("before", ["b", "bc"])
@pytest.mark.parametrize("call", range(1, 60))
def test_no_file_is_passed_over_that_is_rotated_away_in_the_midst_of_a_look(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: int, before: str, shifts: bool
) -> None:
    append(path, "a\n")
    os.utime(path, (1_800_000_000,) * 2)
    file = followed(path)
    look(file)
    with monkeypatch.context() as patch:
        rotating = Rotating(path, patch, call, shifts=shifts)
        for text in before:
            rotating.rotate(f"{text}\n")
        found = read_while_rotated(file, rotating)
    assert found == [text.encode() for text in (*before, "last")]


@pytest.mark.parametrize("call", range(1, 30))
def test_the_rest_of_a_file_is_found_that_is_rotated_away_while_it_is_looked_for(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    append(path, "a\n")
    first = followed(path)
    look(first)
    first.close()
    append(path, "b\n")
    os.utime(path, (1_800_000_000,) * 2)
    with monkeypatch.context() as patch:
        rotating = Rotating(path, patch, call, shifts=False)
        found = read_while_rotated(followed(path), rotating)
    assert found == [b"b", b"last"]


def test_a_file_of_somebody_else_that_may_not_be_read_is_passed_over(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid(monkeypatch, path.with_name("lines-admin"))
    append(path, "a\n")
    first = followed(path)
    look(first)
    first.close()
    append(path.with_name("lines-admin"), "secret\n")
    append(path, "b\n")
    path.rename(path.with_name("lines.1"))
    append(path, "c\n")
    file = followed(path)
    assert [look(file) for _ in range(3)] == [[b"b"], [], []]
    append(path, "d\n")
    shutil.copy(path, path.with_name("lines.2"))
    assert look(file) == [b"c", b"d"]
    file.close()


def test_the_rest_of_the_file_itself_that_may_not_be_read_is_not_passed_over(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(path, "a\n")
    first = followed(path)
    look(first)
    first.close()
    path.rename(path.with_name("lines.1"))
    append(path, "c\n")
    forbid(monkeypatch, path.with_name("lines.1"))
    with pytest.raises(PermissionError):
        followed(path).read()


def forbid(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Nobody may open it, root neither."""
    whole = os.open

    def refusing(opened: Any, *given: Any, **named: Any) -> int:  # noqa: ANN401 - as os.open
        if Path(opened) == path:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return whole(opened, *given, **named)

    monkeypatch.setattr(os, "open", refusing)
