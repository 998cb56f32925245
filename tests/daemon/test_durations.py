"""Lengths of time, progress, and tables."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from procession.daemon.durations import human, iso, parse_age
from procession.daemon.exit_codes import UsageRefused
from procession.daemon.output import Output
from procession.daemon.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def clock(*times: float) -> Callable[[], float]:
    left = list(times)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("2d", 172_800), ("1.5w", 907_200)])
def test_an_age_is_read(text: str, seconds: float) -> None:
    assert parse_age(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "3", "3 h", "-1h", "1y"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(UsageRefused):
        parse_age(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.25, "250ms"), (3.21, "3.2s"), (59.7, "1m"), (192, "3m 12s"), (3601, "1h"), (700_000, "8d 2h")],
)
def test_a_length_of_time_is_told_in_two_units(seconds: float, text: str) -> None:
    assert human(seconds) == text


def test_a_stored_time_is_told_exactly() -> None:
    assert iso(1_700_000_000_000_001) == "2023-11-14T22:13:20.000001Z"


def test_on_a_terminal_there_is_a_bar_with_rate_and_time_left() -> None:
    stream = Terminal()
    progress = Progress("publish", "events", stream, 100, clock=clock(0, 10))
    progress.show(25, 1000)
    assert "25%  1,000 events  100/s  30s left" in stream.getvalue()
    progress.clear()
    assert stream.getvalue().endswith("\r\x1b[2K")


def test_elsewhere_there_is_a_line_every_five_seconds() -> None:
    stream = io.StringIO()
    progress = Progress("publish", "events", stream, 100, clock=clock(0, 1, 4, 6, 7, 12))
    for done in (10, 20, 30, 40, 50):
        progress.show(done, done)
    assert [line.split()[1] for line in stream.getvalue().splitlines()] == ["30%", "50%"]


def test_what_a_terminal_would_obey_is_told_and_not_done() -> None:
    stream = Terminal()
    output = Output(as_json=False, color=False, stdout=stream, stderr=io.StringIO())
    output.table(("KEY", "STATUS"), [("a\x1b[2Jb\tc", "active")])
    assert stream.getvalue().splitlines()[1] == "a\\x1b[2Jb\\tc  active"


def test_columns_are_aligned_on_a_terminal_and_nothing_is_cut() -> None:
    stream = Terminal()
    Output(as_json=False, color=True, stdout=stream, stderr=io.StringIO()).table(
        ("KEY", "STATUS", "X"), [("k" * 300, "active", "1"), ("k", "ended", "2")], status_column=1
    )
    lines = stream.getvalue().splitlines()
    assert "k" * 300 in lines[1]
    assert "\x1b[32mended\x1b[0m " in lines[2]
