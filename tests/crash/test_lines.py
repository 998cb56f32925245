"""A line that a kill tore is no line, before the next process begins and after."""

from __future__ import annotations

import random
from pathlib import Path

from tests.crash.lines import LineLog, lines_of
from tests.crash.story import World


def test_what_is_not_whole_is_no_line(tmp_path: Path) -> None:
    path = tmp_path / "effects.log"
    path.write_text("life\nbegin 01 batch/1 settle-1\nend 01")
    assert lines_of(path) == ["life", "begin 01 batch/1 settle-1"]


def test_what_the_next_process_writes_is_not_the_end_of_a_line_that_was_torn(tmp_path: Path) -> None:
    path = tmp_path / "effects.log"
    path.write_text("life\nend 01\nbegin 02 batch/1 sett")
    World(LineLog(path), random.Random(1), 0)
    assert lines_of(path) == ["life", "end 01", "life"]


def test_a_log_that_ends_whole_goes_on_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "acknowledged.log"
    for line in ("0 a=1", "1 b=2"):
        LineLog(path).write(line)
    assert path.read_text() == "0 a=1\n1 b=2\n"
