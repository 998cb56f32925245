"""TLS: the certificate of the server and its key, read again when they are renewed."""

from __future__ import annotations

import os
import ssl
import stat
from pathlib import Path

import attrs

from procession.errors import SettingsError
from procession.http_settings import HttpSettings


@attrs.define(eq=False)
class Tls:
    """What connections are begun with; those that are open keep what they began with."""

    certificate: str
    key: str
    context: ssl.SSLContext = attrs.field(init=False)
    _read: tuple[bytes, bytes] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Read them.

        Raises:
            SettingsError: they can't be used.
        """
        self.reload()

    def reload(self) -> bool:
        """Read them again; whether they are others now.

        Raises:
            SettingsError: they can't be used, and those before stay.
        """
        found = (_data_of("http.tls_certificate", self.certificate), _data_of("http.tls_key", self.key))
        changed = found != getattr(self, "_read", None)
        if changed:
            self.context = self._made()
            self._read = found
        return changed

    def _made(self) -> ssl.SSLContext:
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        found.minimum_version = ssl.TLSVersion.TLSv1_2
        found.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
        found.set_alpn_protocols(["http/1.1"])
        try:
            found.load_cert_chain(self.certificate, self.key, _no_password)
        except (ssl.SSLError, ValueError) as error:
            said = f"is {self.certificate}, which can't be used with the key {self.key}: {error}"
            cure = "name a certificate as PEM, its chain after it, and its own key, which has no password"
            raise SettingsError("http.tls_certificate", said, cure) from None
        return found


def tls_of(settings: HttpSettings) -> Tls | None:
    """TLS as the settings name it; None where they name none.

    Raises:
        SettingsError: it can't be used.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return Tls(settings.tls_certificate, settings.tls_key)


def _data_of(setting: str, path: str) -> bytes:
    try:
        if setting == "http.tls_key" and os.stat(path).st_mode & stat.S_IRWXO:  # noqa: PTH116 - at start and SIGHUP
            raise SettingsError(setting, f"is {path}, which everyone may use", f"chmod o= {path}")
        return Path(path).read_bytes()
    except OSError as error:
        cure = "name a file that can be read by who runs this"
        raise SettingsError(setting, f"is {path}, which can't be read: {error.strerror}", cure) from error


def _no_password() -> str:
    """Nobody is there to be asked for one."""
    raise ValueError("the key has a password")
