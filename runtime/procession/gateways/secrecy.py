"""What of requests must not be told: credentials and query values, in errors, the log of attempts, the client's own."""

from __future__ import annotations

import contextlib
import contextvars
import logging
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from procession.mask import MASK
from procession.primitives.telling import spelt

_CHARS_MIN = 4
"""What is shorter is no secret, and would be found in every word."""
_TELLING = ("auth", "cookie", "key", "pass", "secret", "session", "signature", "token")
_CLIENT_LOGGERS = ("httpx", *(f"httpcore.{name}" for name in ("connection", "http11", "http2", "proxy", "socks")))


def is_telling(name: str) -> bool:
    """Whether something of this name is likely to hold a credential."""
    return any(word in name.lower() for word in _TELLING)


def secrets_in(headers: Iterable[tuple[str, str]], values: Iterable[str], *, public: str) -> tuple[str, ...]:
    """What of a request may stand in no text: credentials of its headers, and these values; longest first.

    Args:
        headers: of the request.
        values: of its query, and its password.
        public: the header that holds the idempotency key, which is no secret.
    """
    found = set(values)
    for name, value in headers:
        if name.lower() == public.lower() or not is_telling(name):
            continue
        found.update({value, value.partition(" ")[2]})
        found.update(pair.partition("=")[2] for pair in value.split("; "))
    return tuple(text for text in spelt(found) if len(text) >= _CHARS_MIN)


def shown_url(url: str) -> str:
    """An address for people: no name and password, no fragment, no value of its query."""
    parts = urlsplit(url)
    names = "&".join(f"{name}={MASK}" for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, names, ""))


_under_way: contextvars.ContextVar[bool] = contextvars.ContextVar("a_request_of_ours_is_under_way", default=False)


@contextlib.contextmanager
def quiet_client() -> Iterator[None]:
    """While a request of ours is under way, the client's own loggers tell neither queries nor headers."""
    token = _under_way.set(True)
    try:
        yield
    finally:
        _under_way.reset(token)


class Discretion(logging.Filter):
    """On the loggers of the HTTP client; what others log by it is let through as it is."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask what a request of ours had the client log; nothing is left out."""
        if _under_way.get():
            if isinstance(record.args, tuple):
                record.args = tuple(shown_url(str(part)) if "://" in str(part) else part for part in record.args)
            if record.name.startswith("httpcore"):
                record.msg = str(record.msg).partition(" ")[0]  # what follows is the request, or the response's headers
        return True


def hush() -> None:
    """Put the filter on the client's loggers, once."""
    for name in _CLIENT_LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(known, Discretion) for known in logger.filters):
            logger.addFilter(Discretion())
