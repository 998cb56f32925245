"""TLS: what others can reach is served by it, from TLS 1.2 on; a renewed certificate is taken up."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import trio
import trustme

from procession import Runtime, Settings, open_runtime
from procession.daemon.http.server import Guard, http_served, listening_at
from procession.errors import SettingsError
from procession.http_settings import HttpSettings
from procession.journal.memory import MemoryJournal
from procession.settings import ShutdownSettings
from tests.daemon.http.guarded import tokens_in
from tests.daemon.http.test_sessions import ACT, WHY

ACROSS = {"Content-Type": "application/json"}


@attrs.frozen
class Authority:
    """Who signs certificates, and where those of the server lie."""

    ca: trustme.CA
    folder: Path

    def sign(self) -> dict[str, Any]:
        """A certificate for this machine, in place of the one before; as the settings name it."""
        certificate = self.ca.issue_cert("localhost", "127.0.0.1", "orders.example")
        paths = {"tls_certificate": self.folder / "orders.crt", "tls_key": self.folder / "orders.key"}
        paths["tls_certificate"].write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
        paths["tls_key"].touch(mode=0o600)
        paths["tls_key"].write_bytes(certificate.private_key_pem.bytes())
        return {name: str(path) for name, path in paths.items()}

    def trust(self) -> ssl.SSLContext:
        """What a client trusts."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(trustme.CA(), tmp_path_factory.mktemp("tls"))


@attrs.frozen
class Secured:
    """A server by TLS, and a client that trusts it."""

    client: httpx.AsyncClient
    address: str
    guard: Guard
    texts: dict[str, str]
    runtime: Runtime

    async def stream(self) -> trio.SocketStream:
        host, port = self.address.removeprefix("https://").rsplit(":", 1)
        return await trio.open_tcp_stream(host, int(port))

    async def certificate(self, trusting: ssl.SSLContext) -> tuple[bytes | None, str | None]:
        """The certificate that a new connection is shown, and the version of TLS."""
        connection = trio.SSLStream(await self.stream(), trusting, server_hostname="localhost", https_compatible=True)
        async with connection:
            await connection.do_handshake()
            return connection.getpeercert(binary_form=True), connection.version()


@contextlib.asynccontextmanager
async def secured(authority: Authority, folder: Path) -> AsyncIterator[Secured]:
    path, texts = tokens_in(folder)
    http = HttpSettings(tokens=str(path), hosts=("Orders.Example",), **authority.sign())
    settings = Settings(http=http, shutdown=ShutdownSettings(grace_s=1))
    guard = Guard.of(http)
    async with open_runtime(MemoryJournal(), settings=settings) as runtime:
        with contextlib.closing(listening_at("127.0.0.1:0")) as listening:
            async with (
                http_served(runtime, listening, guard) as address,
                httpx.AsyncClient(base_url=address, verify=authority.trust(), timeout=30, trust_env=False) as client,
            ):
                yield Secured(client, address, guard, texts, runtime)


async def test_it_is_served_by_tls_with_tokens_sessions_origins_and_names(authority: Authority, tmp_path: Path) -> None:
    async with secured(authority, tmp_path) as http:
        assert http.address.startswith("https://")
        bearer = {"Authorization": f"Bearer {http.texts['operator']}"}
        assert (await http.client.get("/v1/flows")).status_code == 401
        assert (await http.client.get("/v1/flows", headers=bearer)).status_code == 200
        assert (await http.client.get("/livez", headers={"Host": "orders.example:8443"})).status_code == 200
        assert (await http.client.get("/livez", headers={"Host": "shop.example"})).status_code == 421
        assert (await http.client.post("/v1/session", headers=bearer)).status_code == 200
        assert [cookie.name for cookie in http.client.cookies.jar if cookie.secure] == ["__Host-procession"]
        for origin, status in ((http.address, 404), (http.address.replace("https", "http"), 403)):
            acted = await http.client.post(ACT, content=WHY, headers={"Origin": origin} | ACROSS)
            assert acted.status_code == status, acted.text


@pytest.mark.slow
async def test_what_is_older_than_tls_1_2_and_what_is_no_tls_is_refused(authority: Authority, tmp_path: Path) -> None:
    async with secured(authority, tmp_path) as http:
        trusting = authority.trust()
        assert (await http.certificate(trusting))[1] == "TLSv1.3"
        trusting.maximum_version = ssl.TLSVersion.TLSv1_2
        assert (await http.certificate(trusting))[1] == "TLSv1.2"
        old = authority.trust()
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with pytest.raises(trio.BrokenResourceError):
            await http.certificate(old)
        async with await http.stream() as plain:
            await plain.send_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with contextlib.suppress(trio.BrokenResourceError):
                assert not (await plain.receive_some(100)).startswith(b"HTTP")
        assert (await http.client.get("/livez")).status_code == 200


@pytest.mark.slow
async def test_a_renewed_certificate_is_taken_up_and_one_that_does_not_fit_is_not(
    authority: Authority, tmp_path: Path
) -> None:
    async with secured(authority, tmp_path) as http:
        trusting = authority.trust()
        first, _ = await http.certificate(trusting)
        assert (await http.client.get("/livez")).status_code == 200
        named = authority.sign()
        assert http.guard.reload() == ["http.tls_certificate"]
        assert http.guard.reload() == []
        second, _ = await http.certificate(trusting)
        assert second != first
        assert (await http.client.get("/livez")).status_code == 200, "what is open stays open"
        key = Path(named["tls_key"]).read_bytes()
        authority.sign()
        Path(named["tls_key"]).write_bytes(key)
        with pytest.raises(SettingsError, match="can't be used with the key"):
            http.guard.reload()
        assert (await http.certificate(trusting))[0] == second


@pytest.mark.slow
async def test_a_server_by_tls_ends_in_order(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("procession.daemon.http.server._HANDSHAKE_S", 60.0)
    async with trio.open_nursery() as nursery:
        async with secured(authority, tmp_path) as http:
            silent = await http.stream()  # begins no TLS, and holds the end up for the grace alone
            connection = trio.SSLStream(
                await http.stream(), authority.trust(), server_hostname="localhost", https_compatible=True
            )
            asked = f"GET /v1/events/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {http.texts['reader']}"
            await connection.send_all(f"{asked}\r\n\r\n".encode())
            assert (await connection.receive_some(12)) == b"HTTP/1.1 200"
            received = bytearray()

            async def follow() -> None:
                async for data in connection:
                    received.extend(data)

            nursery.start_soon(follow)
            ended = trio.current_time()
        assert trio.current_time() - ended < 30  # and not the minute that it may take to begin TLS
    assert received.endswith(b"\r\n0\r\n\r\n")
    await silent.aclose()
    await connection.aclose()


@pytest.mark.parametrize(
    ("mode", "found"),
    [(0o604, "which everyone may use"), (None, "which can't be read: No such file")],
)
def test_a_key_that_can_not_be_used_is_refused_with_the_cure(
    authority: Authority, mode: int | None, found: str
) -> None:
    named = authority.sign()
    Path(named["tls_key"]).chmod(mode or 0o600)
    named["tls_key"] += "" if mode else ".none"
    with pytest.raises(SettingsError, match=f"http.tls_key: is .*{found}"):
        Guard.of(HttpSettings(**named))


def test_a_certificate_that_is_none_is_refused(authority: Authority) -> None:
    named = authority.sign()
    Path(named["tls_certificate"]).write_text("-----BEGIN")
    with pytest.raises(SettingsError, match=r"http\.tls_certificate: is .* can't be used with the key"):
        Guard.of(HttpSettings(**named))


async def test_a_socket_that_others_reach_is_not_served_without_tokens_and_tls() -> None:
    async with open_runtime(MemoryJournal()) as runtime:
        # Bound to nothing yet, it names every address, and nobody reaches it.
        found = "which others can reach, and there are no tokens and no TLS"
        with socket.socket() as listening, pytest.raises(SettingsError, match=found):
            await http_served(runtime, listening).__aenter__()


async def test_a_certificate_is_renewed_though_the_tokens_can_not_be_read(authority: Authority, tmp_path: Path) -> None:
    async with secured(authority, tmp_path) as http:
        trusting = authority.trust()
        first, _ = await http.certificate(trusting)
        authority.sign()
        Path(http.runtime.settings.http.tokens or "").chmod(0o644)
        with pytest.raises(SettingsError, match="which others may use"):
            http.guard.reload()
        assert (await http.certificate(trusting))[0] != first
