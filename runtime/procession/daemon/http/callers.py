"""A caller: who a request comes from, as what is known of its token or its session says."""

from __future__ import annotations

import attrs

from procession.daemon.http.policies import Policy
from procession.daemon.tokens import Token


@attrs.frozen
class Caller:
    """Who asks."""

    role: Policy
    """`anyone` for a stranger."""
    token: Token | None = None
    """None for a stranger, and where no tokens are."""
    session: str | None = None
    """Where a browser sent its cookie: what finds the session."""
    until_s: float = float("inf")
    """The end of the token or the session, on trio's clock."""
    stranger: str = ""
    """Of a stranger: why nobody is known by what came; empty where nothing came."""

    def acting(self, by: str) -> str:
        """Who stands in the journal: the token's name, and for whom it says to act; without tokens whoever is named."""
        name = by.strip()
        if self.token is None:
            return by
        return self.token.name if name in ("", self.token.name) else f"{self.token.name} (for {name})"

    @property
    def source(self) -> str | None:
        """Of what names no source itself; None: the runtime's own default."""
        return None if self.token is None else f"token:{self.token.name}"
