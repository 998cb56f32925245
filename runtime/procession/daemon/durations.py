"""Lengths of time as people write and read them."""

from __future__ import annotations

import datetime
import re
import time

from procession.daemon.exit_codes import UsageRefused

_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_AGE = re.compile(r"(?:\d+(?:\.\d+)?[wdhms])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([wdhms])")
_TENTHS_UNTIL_S = 10
_PARTS_SHOWN = 2


def parse_age(text: str) -> float:
    """Seconds of `90s`, `15m`, `2h`, `1h30m`, `3d`, `1w`.

    Raises:
        UsageRefused: it is no length of time.
    """
    if not _AGE.fullmatch(text):
        raise UsageRefused(f"{text!r} is no age", "write it like 90s, 15m, 2h, 1h30m, 3d or 1w")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def human(seconds: float) -> str:
    """A length of time in two units at most: `3m 12s`, `2d 4h`, `0.3s`."""
    if seconds < 0:
        return f"-{human(-seconds)}"
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < _TENTHS_UNTIL_S:
        return f"{seconds:.1f}s"
    left, parts = round(seconds), []
    for unit, size in _UNITS.items():
        if unit == "w":
            continue  # weeks are for writing: nobody reads "3w 2d"
        whole, left = divmod(left, size)
        if whole:
            parts.append(f"{whole}{unit}")
        elif parts:
            break
    return " ".join(parts[:_PARTS_SHOWN])


def iso(microseconds: int) -> str:
    """A stored time, ISO 8601 in UTC, exact."""
    moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(microseconds=microseconds)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def now_us() -> int:
    """The wall clock, as the journal's times are: microseconds since 1970 in UTC."""
    return time.time_ns() // 1000  # noqa: TID251 - the command's clock
