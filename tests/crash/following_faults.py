"""Faults of a followed file, planted in each life that is killed: what `following` must find."""

# What is replaced is no name for users.
# ruff: noqa: SLF001

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import trio

from procession.injectors import followed_file
from procession.injectors.followed_file import FollowedFile, Line
from procession.injectors.json_lines import JsonLines
from procession.injectors.position_file import Mark
from procession.primitives.injector import Intake
from tests.crash.planting import by_name, plant

_BETWEEN_S = 0.4
"""A fault waits so long where a kill makes harm of it, as long as a life may go on: few kills are needed to find it."""


def moves_on_before_the_commit() -> None:
    """The position is kept before the lines up to it are durable."""
    take = JsonLines._take

    async def hasty(injector: JsonLines, publish: Intake, file: FollowedFile, lines: list[Line], aside: Path) -> None:
        await trio.to_thread.run_sync(file.accepted, lines[-1].end)
        await trio.sleep(_BETWEEN_S)
        await take(injector, publish, file, lines, aside)

    plant(JsonLines, "_take", hasty)


def names_lines_by_chance() -> None:
    """A line has another id whenever it is read."""
    accepted = FollowedFile.accepted

    def slowly(file: FollowedFile, end: int, last: tuple[str, str] | None = None) -> None:
        time.sleep(_BETWEEN_S)
        accepted(file, end, last)

    plant(JsonLines, "_named", lambda *_: secrets.token_hex(8))
    plant(FollowedFile, "accepted", slowly)


def names_lines_by_their_text() -> None:
    """Lines that say the same count as one."""
    plant(JsonLines, "_named", lambda _, data, __: json.dumps(data))


def takes_halves() -> None:
    """What stands after the last newline counts as a line."""
    lines = FollowedFile._lines

    def all_of_it(file: FollowedFile, *, last: bool) -> Iterator[Line]:
        end = file._known.offset
        for line in lines(file, last=last):
            end = line.end
            yield line
        half, newline, _ = os.pread(file._descriptor, _HALF_BYTES_MAX, end).partition(b"\n")
        if half and not newline:
            yield file._line(file._known, end, half, end + len(half))

    plant(FollowedFile, "_lines", all_of_it)


def leaves_what_is_rotated() -> None:
    """Only what stands under the path is read; no file that was rotated away is looked for."""
    plant(FollowedFile, "_siblings", lambda _: [])


def writes_its_position_in_place() -> None:
    """The position is not replaced as a whole: a crash may leave half of it."""

    def write(path: Path, mark: Mark) -> None:
        text = json.dumps({"version": 1, **attrs.asdict(mark)})
        path.write_text(text[: len(text) // 2], "utf-8")
        time.sleep(_BETWEEN_S)
        path.write_text(text, "utf-8")

    plant(followed_file, "write_mark", write)


FAULTS = by_name(
    moves_on_before_the_commit,
    names_lines_by_chance,
    names_lines_by_their_text,
    takes_halves,
    leaves_what_is_rotated,
    writes_its_position_in_place,
)
_HALF_BYTES_MAX = 100
