"""The knobs of the HTTP facade; they hang in `Settings` as the table `[http]`."""

from __future__ import annotations

import attrs

from procession.errors import SettingsError
from procession.knob import Knob, float_knob, int_knob, knob_field

_PORT_MAX = 65_535


@attrs.frozen
class Bind:
    """Where to listen."""

    host: str
    port: int
    """0: a free one is taken."""


@attrs.frozen(kw_only=True)
class HttpSettings:
    """The HTTP facade of `procession run`."""

    bind: str | None = knob_field(
        None, Knob(str, "Serve HTTP at this loopback address and port; not at all if left out.", None)
    )
    body_bytes_max: int = int_knob(8_388_608, 1_024, 1_073_741_824, "The body of one request; more is refused.")
    body_s: float = float_knob(30, 0.1, 3_600, "The body of one request may take this long to come.")
    header_bytes_max: int = int_knob(16_384, 1_024, 1_048_576, "The headers and address of one request, together.")
    json_depth_max: int = int_knob(64, 4, 512, "Lists and objects within each other, in a body.")
    send_s: float = float_knob(10, 0.1, 3_600, "A connection is closed where what is sent is not taken for so long.")
    streams_max: int = int_knob(1_000, 1, 100_000, "Streams of events that are open at one time.")
    requests_max: int = int_knob(
        256, 1, 100_000, "Requests that are answered at one time; more are told to come later."
    )

    def __attrs_post_init__(self) -> None:
        """Refuse an address that others can reach."""
        if self.bind is not None:
            bind_of(self.bind)


def bind_of(text: str) -> Bind:
    """The loopback address that a text names: `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`.

    Raises:
        SettingsError: it names none, or one that others can reach.
    """
    from ipaddress import ip_address  # noqa: PLC0415 - only where HTTP is served

    host, _, port = text.rpartition(":")
    host = host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host
    host = "127.0.0.1" if host == "localhost" else host
    cure = "write a loopback address and a port, as 127.0.0.1:8080"
    if not (port.isascii() and port.isdecimal() and int(port) <= _PORT_MAX):
        raise SettingsError("HttpSettings.bind", f"is {text!r}, which ends in no port", cure)
    try:
        address = ip_address(host)
    except ValueError:
        raise SettingsError("HttpSettings.bind", f"is {text!r}, which names no address", cure) from None
    if not address.is_loopback:
        found = f"is {text!r}, which others can reach, and there are no tokens and no TLS to keep them out"
        raise SettingsError("HttpSettings.bind", found, cure)
    return Bind(str(address), int(port))
