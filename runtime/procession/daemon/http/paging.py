"""The size of a page, and where it begins."""

from __future__ import annotations

from typing import Annotated

from procession.daemon.http.bounds import Within

LIMIT = 100
LIMIT_MAX = 1_000
Limit = Annotated[int, Within(1, LIMIT_MAX)]
