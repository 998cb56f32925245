"""The log waits for nobody: a pipe that is closed, or not read, and a full disk cost lines, which are counted."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from procession.daemon.log_lines import JsonLines
from procession.daemon.log_writer import WAITING_BYTES_MAX, LogWriter
from tests.small_disk import mounted

PIPE_BYTES = 4_096
WIDE = "x" * 3_000
HELD_UP_S = 10
"""Who waits for a reader waits for ever; who does not may still wait for a processor."""


@contextlib.contextmanager
def writing(descriptor: int, waiting_bytes_max: int = WAITING_BYTES_MAX) -> Iterator[tuple[LogWriter, logging.Logger]]:
    writer = LogWriter(descriptor, waiting_bytes_max)
    writer.setFormatter(JsonLines())
    logger = logging.getLogger("tests.log")
    logger.addHandler(writer)
    logger.propagate = False  # pytest would keep each line for its report, and hand it to other processes as UTF-8
    try:
        yield writer, logger
    finally:
        logger.propagate = True
        logger.removeHandler(writer)
    writer.finish()


def read_until(descriptor: int, enough: Callable[[bytes], bool]) -> list[str]:
    """The messages that come; each line is whole."""
    found = b""
    while not enough(found):
        found += os.read(descriptor, 65_536)
    return [json.loads(line)["message"] for line in found.splitlines()]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, into = os.pipe()
    fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    yield reading, into
    for descriptor in (reading, into):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def test_lines_that_are_taken_are_written_at_once(pipe: tuple[int, int]) -> None:
    reading, into = pipe
    with writing(into) as (writer, logger):
        for number in range(5):
            logger.warning("line %d é \ud800", number)
            assert os.read(reading, 1_000).endswith(b"\n")
        assert writer.dropped == 0


def test_a_pipe_that_is_not_read_holds_nobody_up_and_gets_all_in_order_when_it_is(pipe: tuple[int, int]) -> None:
    reading, into = pipe
    with writing(into) as (writer, logger):
        began = time.monotonic()
        for number in range(100):
            logger.warning("%d %s", number, WIDE)
        assert time.monotonic() - began < HELD_UP_S
        messages = read_until(reading, lambda found: found.count(b"\n") == 100)
        assert messages == [f"{number} {WIDE}" for number in range(100)]
        assert writer.dropped == 0
        logger.warning("the last")
        assert read_until(reading, lambda found: found.endswith(b"\n")) == ["the last"]


def test_what_waits_is_bounded_and_what_is_missing_is_told(pipe: tuple[int, int]) -> None:
    reading, into = pipe
    told: list[int] = []
    with writing(into, 100_000) as (writer, logger):
        writer.on_dropped = told.append
        for _ in range(60):
            logger.warning(WIDE)
        missing = writer.dropped
        assert 60 - 100_000 / 3_000 - 2 < missing < 60 - 100_000 / 3_200
        assert told == list(range(1, missing + 1))
        messages = read_until(reading, lambda found: found.count(b"\n") == 60 - missing)
        assert set(messages) == {WIDE}
        while writer.is_waiting:
            time.sleep(0.01)
        logger.warning("and on")
        after = read_until(reading, lambda found: found.endswith(b"\n"))
        assert (after[0].split(" ")[0], after[1]) == (str(missing), "and on")


def test_the_end_waits_for_one_that_does_not_read_for_a_second_and_no_longer(pipe: tuple[int, int]) -> None:
    with writing(pipe[1]) as (writer, logger):
        for _ in range(10):
            logger.warning(WIDE)
        began = time.monotonic()
        writer.finish()
        assert 0.9 < time.monotonic() - began < HELD_UP_S
        assert writer.dropped == 10 - 1  # the first was taken


def test_a_pipe_that_is_closed_costs_its_lines(pipe: tuple[int, int]) -> None:
    reading, into = pipe
    os.close(reading)
    with writing(into) as (writer, logger):
        for _ in range(3):
            logger.warning("to nobody")
        assert writer.dropped == 3


def test_a_call_with_wrong_arguments_is_told_in_a_line(pipe: tuple[int, int]) -> None:
    reading, into = pipe
    with writing(into) as (writer, _):
        writer.handle(logging.LogRecord("tests", logging.WARNING, __file__, 1, "%d of %d", (1,), None))
        (message,) = read_until(reading, lambda found: found.endswith(b"\n"))
        assert "test_log_writer.py" in message
        assert "can't be written: TypeError" in message


@pytest.mark.slow
def test_a_full_disk_costs_lines_and_none_is_torn_once_there_is_room(tmp_path: Path) -> None:
    with mounted(tmp_path, 262_144):
        file = tmp_path / "log"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with writing(descriptor) as (writer, logger):
            while writer.dropped < 3:
                logger.warning(WIDE)
            size = file.stat().st_size
            os.truncate(file, size // 2)
            logger.warning("there is room")
        os.close(descriptor)
        lines = file.read_text().splitlines()
        assert json.loads(lines[-1])["message"] == "there is room"
        assert "lines of the log were not written" in json.loads(lines[-2])["message"]
