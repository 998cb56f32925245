"""Who may ask: finds out who a request comes from, compares that with the policy of its route, bounds how often."""

from __future__ import annotations

import contextlib
import datetime
import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address

import attrs
import trio
from starlette.types import Scope

from procession.daemon.durations import now_us
from procession.daemon.http.callers import Caller
from procession.daemon.http.policies import Policy, may
from procession.daemon.http.problems import HttpRefused
from procession.daemon.http.rates import Rates
from procession.daemon.http.sessions import Sessions, key_of
from procession.daemon.tokens import Token, TokenBook, read_tokens, without_tokens
from procession.errors import SettingsError
from procession.http_settings import HttpSettings
from procession.telemetry.names import HttpCounters

logger = logging.getLogger("procession.http")
_LOOK_S = 1.0
"""So often the file of the tokens is looked at, for changes that nobody tells of."""
_US = 1_000_000
_SAFE = ("GET", "HEAD", "OPTIONS")
_NETWORK_BITS = 64
"""Of IPv6: whoever has one address has all of its network."""
_WHOEVER = Caller("admin")


@attrs.define(eq=False)
class Access:
    """The one place that lets requests in. Without a file of tokens whoever reaches the port may do everything."""

    settings: HttpSettings
    clock_us: Callable[[], int] = now_us
    counters: HttpCounters = attrs.field(factory=HttpCounters)
    sessions: Sessions = attrs.field(factory=Sessions)
    _book: TokenBook = attrs.field(factory=lambda: TokenBook(()))
    _seen: tuple[int, ...] | None = ()
    """The stamp of the file that was read last; None where it is to be read again, whatever its stamp."""
    _open: dict[trio.CancelScope, Caller] = attrs.field(factory=dict)
    """Answers that do not end by themselves."""
    _requests: Rates = attrs.field(init=False)
    _failures: Rates = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Read the tokens, where there are any.

        Raises:
            SettingsError: their file can't be used.
        """
        limits = self.settings
        self._requests = Rates(limits.rate_per_s, limits.rate_burst, limits.callers_max)
        self._failures = Rates(limits.failures_per_min / 60, limits.failures_per_min, limits.callers_max)
        if limits.tokens is not None:
            self._seen = _stamp_of(limits.tokens)
            self._book = read_tokens(limits.tokens)

    @property
    def needs_tokens(self) -> bool:
        """Whether there is a file of tokens."""
        return self.settings.tokens is not None

    # What the frame asks of each request.

    def identified(self, scope: Scope) -> Caller:
        """Who asks, by the header Authorization, or by the cookie of a session."""
        if not self.needs_tokens:
            return _WHOEVER
        shown = _headers(scope, b"authorization")
        if shown:
            return self._of_token(shown)
        cookies = _cookies(scope, cookie_name(scope["scheme"]))
        return self._of_session(cookies) if cookies else Caller("anyone")

    def check_rate(self, caller: Caller, scope: Scope) -> None:
        """Count a request.

        Raises:
            HttpRefused: too many came.
        """
        if self.needs_tokens:
            who = _peer(scope) if caller.token is None else caller.token.id
            self._wait(self._requests, who, "too many requests came")

    def check_origin(self, caller: Caller, scope: Scope) -> None:
        """Refuse a browser's act by its cookie where it does not say which page asks; the frame looks at what it says.

        Raises:
            HttpRefused: it does not.
        """
        if caller.session is not None and scope["method"] not in _SAFE and not _headers(scope, b"origin"):
            raise HttpRefused(
                HTTPStatus.FORBIDDEN,
                "a session acts, and no Origin says from which page",
                "act from a page of this host, or with the token itself",
            )

    # What is asked where the route is known.

    def admit(self, caller: Caller, policy: Policy, scope: Scope) -> None:
        """Let a request through to what it asks for.

        Raises:
            HttpRefused: it may not: 401 to a stranger, 403 where the role is not enough, 429 to who fails too often.
        """
        if may(caller.role, policy):
            if caller.token is not None and policy not in ("anyone", "reader") and logger.isEnabledFor(logging.DEBUG):
                logger.debug("%s asks for %s", caller.token.name, _asked(scope))
            return
        if caller.token is None:
            self._refuse_stranger(caller, scope)
        self.counters.roles += 1
        assert caller.token is not None, "strangers are refused above"
        logger.warning("403 to %s %s: %s", caller.token.name, _asked(scope), f"a {caller.role} may not, {policy} may")
        raise HttpRefused(
            HTTPStatus.FORBIDDEN,
            f"{caller.token.name} is {caller.role}, and this is for {policy}",
            f"call with the token of an {policy}",
            headers={"WWW-Authenticate": f'Bearer realm="procession", error="insufficient_scope", scope="{policy}"'},
        )

    def _refuse_stranger(self, caller: Caller, scope: Scope) -> None:
        self.counters.strangers += 1
        # A token that is known is let in before, however many failed from its address: nobody can lock others out.
        # Guessing is hopeless at any rate; what is bounded here is the log, and what failing costs.
        self._wait(self._failures, _peer(scope), "too many requests failed for want of a token")
        logger.warning("401 to %s: %s", _asked(scope), caller.stranger or "no token came")
        error = ', error="invalid_token"' if caller.stranger else ""
        raise HttpRefused(
            HTTPStatus.UNAUTHORIZED,
            caller.stranger or "no token came",
            "send a valid one: Authorization: Bearer …",
            headers={"WWW-Authenticate": f'Bearer realm="procession"{error}'},
        )

    def _wait(self, rates: Rates, who: str, found: str) -> None:
        wait_s = rates.wait_s(who, trio.current_time())
        if wait_s:
            self.counters.rates += 1
            after = {"Retry-After": str(max(1, math.ceil(wait_s)))}
            raise HttpRefused(HTTPStatus.TOO_MANY_REQUESTS, found, "come again later, and less often", headers=after)

    # Who it is.

    def _of_token(self, shown: Sequence[str]) -> Caller:
        scheme, _, text = shown[0].partition(" ")
        if len(shown) > 1 or scheme.lower() != "bearer":
            return Caller("anyone", stranger="the header Authorization is no one Bearer token")
        token = self._book.recognised(text.strip(" "))
        if token is None:
            return Caller("anyone", stranger="the token is not known here")
        if token.expired(self._now()):
            return Caller("anyone", stranger=f"the token of {token.name} has expired")
        return Caller(token.role, token, until_s=self.until_s(token))

    def _of_session(self, cookies: Sequence[str]) -> Caller:
        key = key_of(cookies[0])
        session = self.sessions.at(key, trio.current_time()) if len(cookies) == 1 else None
        if session is None or not self._valid(session.token):
            self.sessions.end(key)
            return Caller("anyone", stranger="the session has ended")
        return Caller(session.token.role, session.token, session=key, until_s=session.until_s)

    def until_s(self, token: Token) -> float:
        """The end of a token on trio's clock."""
        if token.expires_at is None:
            return float("inf")
        return trio.current_time() + max(0.0, (token.expires_at - self._now()).total_seconds())

    def _welcome(self, caller: Caller, token: Token) -> bool:
        open_ = caller.session is None or self.sessions.at(caller.session, trio.current_time()) is not None
        return open_ and self._valid(token)

    def _valid(self, token: Token) -> bool:
        return self._book.still(token) and not token.expired(self._now())

    def _now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self.clock_us() / _US, datetime.UTC)

    # What changes.

    @contextlib.contextmanager
    def as_long_as_welcome(self, caller: Caller, scope: trio.CancelScope) -> Iterator[None]:
        """Cancel the scope when the caller's token or session ends within the block."""
        if caller.token is None:
            yield
            return
        scope.deadline = caller.until_s
        self._open[scope] = caller
        if not self._welcome(caller, caller.token):  # it ended since the request came
            scope.cancel()
        try:
            yield
        finally:
            del self._open[scope]

    def end_session(self, key: str) -> None:
        """End a session, and its streams."""
        self.sessions.end(key)
        self._let_go(lambda caller: caller.session == key)

    def refresh(self) -> bool:
        """Read the tokens again; whether they are others now. What is revoked ends, its streams and sessions too.

        Raises:
            SettingsError: their file can't be used. Where it is gone, so are its tokens; else those known before stay.
        """
        if self.settings.tokens is None:
            return False
        seen = _stamp_of(self.settings.tokens)
        try:
            found = read_tokens(self.settings.tokens)
        except SettingsError as error:
            # What the system refused now it may give the next time; what stands in the file stays until it is changed.
            self._seen = None if seen and isinstance(error.__cause__, OSError) else seen
            if not seen:
                self._take(TokenBook(()))
            raise
        self._seen = seen
        return self._take(found)

    def reread(self) -> bool:
        """As `refresh`, for who has changed the file and wants it heeded; whether it is."""
        self.refresh()
        return True

    def _take(self, found: TokenBook) -> bool:
        changed = found != self._book
        self._book = found
        self._let_go(lambda caller: caller.token is not None and not found.still(caller.token))
        return changed

    def _let_go(self, whom: Callable[[Caller], bool]) -> None:
        for scope, caller in self._open.items():
            if whom(caller):
                scope.cancel()

    async def keep_fresh(self) -> None:
        """Take notice of changes to the file within a second or so, until cancelled."""
        said = ""
        while self.settings.tokens is not None:
            await trio.sleep(_LOOK_S)
            if _stamp_of(self.settings.tokens) == self._seen:
                said = ""
                continue
            try:
                changed = self.refresh()
            except SettingsError as error:
                if str(error) != said:
                    logger.error("the tokens were not read again: %s", error)  # noqa: TRY400 - it is a sentence
                said = str(error)
            else:
                said = ""
                logger.info("the tokens were read again, %s", "and are others" if changed else "and are the same")


def cookie_name(scheme: str) -> str:
    """Over TLS the browser itself sees to it that no other host of the domain sets it."""
    return "__Host-procession" if scheme == "https" else "procession"


def _stamp_of(path: str) -> tuple[int, ...]:
    """Another one for each file that is written; empty where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a look, once a second
    except OSError:
        return ()
    return (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_mode)


def _headers(scope: Scope, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]


def _cookies(scope: Scope, wanted: str) -> list[str]:
    """The values under a cookie's name; two of them are one too many: one was planted."""
    pairs = [pair.partition("=") for text in _headers(scope, b"cookie") for pair in text.split(";")]
    return [value.strip(" ") for name, _, value in pairs if name.strip(" ") == wanted]


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    if not client:
        return "unknown"
    try:
        address = ip_address(client[0].partition("%")[0])
    except ValueError:  # another server than ours, at a socket of another kind
        return str(client[0]) or "unknown"
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return f"{IPv6Address(int(address) >> _NETWORK_BITS << _NETWORK_BITS)}/{_NETWORK_BITS}"
    return str(address)


def _asked(scope: Scope) -> str:
    """What was asked, and from where, for the log: nothing of it starts a line, and no token is in it."""
    return f"{ascii(without_tokens(scope['path']))[1:-1]} ({scope['method']}) from {_peer(scope)}"
