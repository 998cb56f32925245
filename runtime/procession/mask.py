"""What is shown instead of a secret, and texts without the credentials of the addresses in them."""

from __future__ import annotations

import re

MASK = "•••"
"""What is shown instead of a secret, everywhere."""

_CREDENTIALS = re.compile(
    r"(?<=://)[^\s/?#'\"@]*:(?!\d{1,5}[/?#])[^\s'\"]*@(?=[\w\[.-])|(?<=://)[^\s/?#'\"@:]+@(?=[\w\[.-])"
)
"""Name and password of an address. A password may hold what a host may not, an `@` too: up to the last one."""


def without_credentials(text: str) -> str:
    """A text in which no address tells its name and password: `postgres://•••@db/orders`."""
    return _CREDENTIALS.sub(f"{MASK}@", text) if "://" in text else text
