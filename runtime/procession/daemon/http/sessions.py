"""Sessions: a browser that showed its token once is known by a cookie for a while. They are kept in memory only."""

from __future__ import annotations

import hashlib
import secrets

import attrs

from procession.daemon.tokens import Token

_SECRET_BYTES = 32
SESSIONS_MAX = 1_000


@attrs.frozen
class Session:
    """One browser."""

    token: Token
    until_s: float
    """On trio's clock."""


@attrs.define(eq=False)
class Sessions:
    """Those that are open; where there are too many, the oldest ends."""

    _open: dict[str, Session] = attrs.field(factory=dict)
    """By the hash of its cookie: what is in memory opens nothing."""

    def begin(self, token: Token, until_s: float, now_s: float) -> str:
        """Open one; returns what its cookie holds."""
        for found in [found for found, session in self._open.items() if session.until_s <= now_s]:
            del self._open[found]
        while len(self._open) >= SESSIONS_MAX:
            del self._open[next(iter(self._open))]
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        self._open[key_of(secret)] = Session(token, until_s)
        return secret

    def at(self, key: str, now_s: float) -> Session | None:
        """The session of this key, where it has not ended."""
        session = self._open.get(key)
        return session if session is not None and now_s < session.until_s else None

    def end(self, key: str) -> None:
        """End it, if it is open."""
        self._open.pop(key, None)


def key_of(secret: str) -> str:
    """What finds the session of a cookie."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
