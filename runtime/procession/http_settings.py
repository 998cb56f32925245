"""The knobs of the HTTP facade; they hang in `Settings` as the table `[http]`."""

from __future__ import annotations

import attrs

from procession.errors import SettingsError
from procession.knob import Knob, float_knob, int_knob, knob_field, texts_knob

_PORT_MAX = 65_535


@attrs.frozen
class Bind:
    """Where to listen."""

    host: str
    port: int
    """0: a free one is taken."""
    is_loopback: bool
    """Nobody but this machine reaches it."""
    is_any: bool = False
    """Every address of this machine."""


@attrs.frozen(kw_only=True)
class HttpSettings:
    """The HTTP facade of `procession run`."""

    bind: str | None = knob_field(
        None,
        Knob(
            str,
            "Serve HTTP at this address and port; not at all if left out. Any but loopback needs tokens and TLS.",
            None,
        ),
    )
    hosts: tuple[str, ...] = texts_knob("Names by which it may be called, beside those of loopback.")
    tokens: str | None = knob_field(
        None,
        Knob(
            str,
            "The file of `procession token`; with it every request needs a token. In a file, seen from its folder.",
            None,
            is_path=True,
        ),
    )
    tls_certificate: str | None = knob_field(
        None, Knob(str, "The certificate and its chain, as PEM. In a file, seen from its folder.", None, is_path=True)
    )
    tls_key: str | None = knob_field(
        None, Knob(str, "Its key, as PEM. In a file, seen from its folder.", None, is_path=True)
    )
    ready_commit_s: float = float_knob(30, 0.1, 3_600, "/readyz says 503 while one commit takes longer than this.")
    session_s: int = int_knob(3_600, 60, 86_400, "A browser that logged in with a token must do so again after this.")
    body_bytes_max: int = int_knob(8_388_608, 1_024, 1_073_741_824, "The body of one request; more is refused.")
    body_s: float = float_knob(30, 0.1, 3_600, "The body of one request may take this long to come.")
    header_bytes_max: int = int_knob(16_384, 1_024, 1_048_576, "The headers and address of one request, together.")
    json_depth_max: int = int_knob(64, 4, 512, "Lists and objects within each other, in a body.")
    send_s: float = float_knob(10, 0.1, 3_600, "A connection is closed where what is sent is not taken for so long.")
    streams_max: int = int_knob(1_000, 1, 100_000, "Streams of events that are open at one time.")
    requests_max: int = int_knob(
        256, 1, 100_000, "Requests that are answered at one time; more are told to come later."
    )
    connections_max: int = int_knob(2_000, 1, 200_000, "Connections that are open at one time; more are closed.")
    rate_per_s: float = float_knob(
        1_000, 0.1, 1_000_000, "Requests of one token, or of one stranger's address, in a second; where tokens are."
    )
    rate_burst: int = int_knob(2_000, 1, 1_000_000, "And so many at once, after a rest.")
    failures_per_min: float = float_knob(
        30, 1, 60_000, "Requests of one address with a wrong token, or none; more are told to come later."
    )
    callers_max: int = int_knob(
        10_000, 100, 1_000_000, "Tokens and addresses whose rate is known; who is longest away is forgotten."
    )

    log_records_max: int = int_knob(
        1_000, 10, 100_000, "Newest records of the log that are kept to be shown; each of at most 10,000 characters."
    )

    def __attrs_post_init__(self) -> None:
        """Refuse an address that others can reach, and nothing that keeps them out."""
        if (self.tls_certificate is None) != (self.tls_key is None):
            missing = "tls_key" if self.tls_key is None else "tls_certificate"
            raise SettingsError(f"HttpSettings.{missing}", "is left out", "give both, the certificate and its key")
        if self.bind is not None:
            self.check_reach(self.bind)

    @property
    def guarded(self) -> bool:
        """Tokens and TLS keep others out."""
        return self.tokens is not None and self.tls_certificate is not None

    def check_reach(self, bind: str) -> None:
        """Refuse to be served at an address that others can reach, without tokens and TLS.

        Raises:
            SettingsError: says what is missing.
        """
        at = bind_of(bind)
        if at.is_loopback:
            return
        if not self.guarded:
            missing = [
                name for name, found in (("tokens", self.tokens), ("TLS", self.tls_certificate)) if found is None
            ]
            found = f"is {bind!r}, which others can reach, and there {_are_no(missing)} to keep them out"
            cure = (
                "set http.tokens, http.tls_certificate and http.tls_key, or bind a loopback address, as 127.0.0.1:8080"
            )
            raise SettingsError("HttpSettings.bind", found, cure)
        if at.is_any and not self.hosts:
            found = f"is {bind!r}, and no name is known by which others may call it"
            raise SettingsError("HttpSettings.bind", found, 'name them: http.hosts = ["orders.example"]')


def _are_no(missing: list[str]) -> str:
    return f"are no {' and no '.join(missing)}" if missing[0] == "tokens" else f"is no {missing[0]}"


def bind_of(text: str) -> Bind:
    """The address that a text names: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080` or `0.0.0.0:8443`.

    Raises:
        SettingsError: it names none.
    """
    from ipaddress import ip_address  # noqa: PLC0415 - only where HTTP is served

    host, _, port = text.rpartition(":")
    host = host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host
    host = "127.0.0.1" if host == "localhost" else host
    cure = "write an address and a port, as 127.0.0.1:8080"
    if not (port.isascii() and port.isdecimal() and int(port) <= _PORT_MAX):
        raise SettingsError("HttpSettings.bind", f"is {text!r}, which ends in no port", cure)
    try:
        address = ip_address(host)
    except ValueError:
        raise SettingsError("HttpSettings.bind", f"is {text!r}, which names no address", cure) from None
    return Bind(str(address), int(port), address.is_loopback, address.is_unspecified)
