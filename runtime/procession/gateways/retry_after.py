"""The header Retry-After: how long a server wants to be left alone."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Mapping

_SECONDS = re.compile(r"[0-9]{1,9}")


def retry_after_s(headers: Mapping[str, str], now_us: int) -> float | None:
    """Seconds until the next attempt is welcome; None where nothing, or nothing readable, is said.

    A date is compared with the server's own, where it sends one: its clock and ours may differ.

    Args:
        headers: of the response, by name, in any case.
        now_us: the wall clock, for a server that sends no date.
    """
    said = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(said):
        return float(said)
    until_s = _seconds(said)
    if until_s is None:
        return None
    sent_s = _seconds(headers.get("date", ""))
    return max(0.0, until_s - (now_us / 1_000_000 if sent_s is None else sent_s))


def _seconds(date: str) -> float | None:
    """Since 1970, of an HTTP date."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
