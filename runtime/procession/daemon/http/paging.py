"""The size of a page, and numbers of a query within their bounds."""

from __future__ import annotations

from http import HTTPStatus

from procession.daemon.http.problems import FieldFault, HttpRefused

LIMIT = 100
LIMIT_MAX = 1_000


def within(name: str, value: int, low: int, high: int) -> int:
    """The number that the query holds.

    Raises:
        HttpRefused: it is out of bounds.
    """
    if low <= value <= high:
        return value
    fault = FieldFault(f"?{name}", f"is {value}")
    raise HttpRefused(HTTPStatus.BAD_REQUEST, f"{name} is {value}", f"give it {low} to {high}", (fault,))
