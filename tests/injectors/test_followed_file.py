"""What a look at a followed file finds, look by look."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

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


def test_a_line_has_the_same_name_whenever_it_is_read(path: Path) -> None:
    append(path, "a\nb\n")
    first, again = followed(path), followed(path)
    before: list[Line] = first.read()
    assert before == again.read()
    assert [line.name.partition("/")[2] for line in before] == ["0", "2"]
    first.close()
    again.close()
