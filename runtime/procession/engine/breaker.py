"""When a gateway may begin an attempt: circuit breaker, rate limit, and the wait after a failure; on trio's clock."""

from __future__ import annotations

from typing import Literal

import attrs

from procession.settings import GatewaySettings

BreakerState = Literal["closed", "open", "half_open"]


@attrs.define(eq=False)
class Breaker:
    """Opens after so many failures in a row; after the cool-down one attempt probes."""

    failures_max: int
    cooldown_s: float
    state: BreakerState = "closed"
    failures: int = 0
    opened_at: float = 0.0
    probing: bool = False

    def may_begin(self, now: float) -> bool:
        """Whether an attempt may begin; begins the probe after the cool-down."""
        if self.state == "open" and now >= self.opened_at + self.cooldown_s:
            self.state, self.probing = "half_open", False
        if self.state == "half_open":
            return not self.probing
        return self.state == "closed"

    def begun(self) -> None:
        """An attempt began."""
        if self.state == "half_open":
            self.probing = True

    def succeeded(self) -> None:
        """The outside answered: it is well."""
        self.state, self.failures, self.probing = "closed", 0, False

    def failed(self, now: float) -> bool:
        """The outside failed; True where this opened the breaker."""
        self.failures += 1
        self.probing = False
        if self.state == "half_open" or (self.state == "closed" and self.failures >= self.failures_max):
            self.state, self.opened_at = "open", now
            return True
        return False

    def abandoned(self) -> None:
        """An attempt was cancelled by us; it says nothing of the outside."""
        self.probing = False

    def wakes_at(self) -> float | None:
        """When it may be tried again; None where nothing is to be waited for."""
        return self.opened_at + self.cooldown_s if self.state == "open" else None


@attrs.define(eq=False)
class RateLimit:
    """A token bucket of one second's worth."""

    rate_per_s: float | None
    tokens: float = 0.0
    at: float | None = None

    def may_begin(self, now: float) -> bool:
        """Whether there is a token."""
        if self.rate_per_s is None:
            return True
        burst = max(1.0, self.rate_per_s)
        if self.at is None:
            self.tokens, self.at = burst, now
        self.tokens = min(burst, self.tokens + (now - self.at) * self.rate_per_s)
        self.at = now
        return self.tokens >= 1.0 - 1e-9

    def begun(self) -> None:
        """Take a token."""
        if self.rate_per_s is not None:
            self.tokens -= 1.0

    def wakes_at(self, now: float) -> float | None:
        """When the next token is there; None without a limit."""
        if self.rate_per_s is None or self.tokens >= 1.0:
            return None
        return now + (1.0 - self.tokens) / self.rate_per_s


def wait_s(drive: GatewaySettings, attempts: int, after_s: float, spread: float) -> float:
    """Until the next attempt: the back-off, or what the gateway asked for where that is longer.

    Args:
        drive: of the gateway.
        attempts: that were made.
        after_s: what the gateway asked for; 0 where it asked for nothing.
        spread: a number in 0..1, drawn each time, so that not all come back at once.
    """
    whole = min(drive.backoff_max_s, drive.backoff_initial_s * drive.backoff_factor ** min(attempts - 1, 60))
    backoff_s = whole * (1 + drive.jitter * (2 * spread - 1))
    asked_s = min(after_s, drive.retry_later_max_s) + (whole * drive.jitter * spread if after_s else 0)
    return max(backoff_s, asked_s)
