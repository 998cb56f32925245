"""`procession token`, and a daemon with tokens and TLS: added, used, reloaded, revoked, recorded."""

from __future__ import annotations

import json
import signal
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from procession.daemon.cli import main
from tests.daemon.command import run
from tests.daemon.http.guarded import add
from tests.daemon.serving import Daemon, asked, configure, project, serving
from tests.ports import free_port

HTTP = '[http]\ntokens = "tokens.toml"\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose configuration names a file for tokens."""
    monkeypatch.chdir(project(tmp_path, HTTP))
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    """What the verb says as JSON, in this process."""
    assert main(["token", *arguments, "--json"]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_token_is_shown_once_listed_by_its_beginning_and_revoked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = said(capsys, "add", "shop", "--role", "operator", "--expires", "90d")
    assert made["token"].startswith(f"procession_{made['id']}_")
    (listed,) = said(capsys, "ls")["tokens"]
    assert listed == {name: value for name, value in made.items() if name != "token"}
    assert (listed["name"], listed["role"], listed["expired"]) == ("shop", "operator", False)
    file = folder / "config" / "tokens.toml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert made["token"][20:] not in file.read_text()
    assert said(capsys, "revoke", made["id"]) == {"name": "shop", "id": made["id"], "revoked": True}
    assert said(capsys, "ls") == {"tokens": []}


def test_for_people_the_token_alone_goes_to_standard_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "add", "ann", "--role", "reader"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("procession_")
    assert len(out.splitlines()) == 1
    assert "the token of ann, reader, valid until it is revoked; it is shown this once" in err
    assert main(["token", "ls"]) == 0
    assert capsys.readouterr().out.split("\t")[:3] == ["ann", "reader", f"{out[:20]}…"]


@pytest.mark.parametrize(
    ("arguments", "code", "found"),
    [
        (["add", "shop", "--role", "reader"], 4, "there is one of that name"),
        (["add", "a b", "--role", "reader"], 2, "can't be the name of a token"),
        (["add", "ann", "--role", "reader", "--expires", "soon"], 2, "is no age"),
        (["add", "ann", "--role", "reader", "--expires", "40000d"], 2, "is out of bounds"),
        (["revoke", "bank"], 3, "there is no token 'bank'"),
    ],
)
def test_what_can_not_be_done_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, found: str
) -> None:
    said(capsys, "add", "shop", "--role", "operator")
    before = (folder / "config" / "tokens.toml").read_bytes()
    assert found in said(capsys, *arguments, code=code)["error"]
    assert (folder / "config" / "tokens.toml").read_bytes() == before


def test_without_a_file_in_the_configuration_there_are_no_tokens(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(folder, "")
    assert "the configuration names no file for tokens" in said(capsys, "ls", code=2)["error"]


# A daemon.


def served_by(daemon: Daemon, port: int, verify: ssl.SSLContext | None = None) -> httpx.Client:
    base = f"{'https' if verify else 'http'}://127.0.0.1:{port}"
    limits = httpx.Limits(max_keepalive_connections=0)  # between requests a verb may run for as long as one is kept
    return httpx.Client(base_url=base, trust_env=False, verify=verify or True, timeout=30, limits=limits)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.slow
def test_tokens_are_heeded_at_once_and_recorded_by_a_running_owner(tmp_path: Path) -> None:
    port = free_port()
    project(tmp_path, f'{HTTP}bind = "127.0.0.1:{port}"\n')
    shop = add(tmp_path / "config" / "tokens.toml", "shop", "operator")
    with serving(tmp_path) as daemon, served_by(daemon, port) as client:
        assert client.get("/livez").status_code == 200
        assert client.get("/v1/flows").status_code == 401
        assert client.get("/v1/flows", headers=bearer(shop)).status_code == 200
        added = run("token", "add", "ann", "--role", "reader", "--by", "root", cwd=tmp_path)
        ann = added.stdout.decode().strip()
        assert b"recorded by root; in force at once" in added.stderr
        assert client.get("/v1/flows", headers=bearer(ann)).status_code == 200
        media = {"Content-Type": "application/cloudevents+json"}
        assert client.post("/v1/events", json=asked("e1"), headers=bearer(ann) | media).status_code == 403
        run("token", "revoke", "ann", "--by", "root", cwd=tmp_path)
        assert client.get("/v1/flows", headers=bearer(ann)).status_code == 401
        types = ["procession.token_added", "procession.token_revoked"]
        events = client.get("/v1/events", params={"type": types}, headers=bearer(shop)).json()["events"]
        assert [(event["type"], event["data"]["token"], event["data"]["by"]) for event in events] == [
            ("procession.token_added", "ann", "root"),
            ("procession.token_revoked", "ann", "root"),
        ]
        assert daemon.stop() == 0
        texts = [(tmp_path / "stderr").read_text(), json.dumps(events)]
        assert [text for text in texts for token in (shop, ann) if token[20:] in text] == []
        logged = [line["message"] for line in daemon.logged]
        assert "the token of ann, reader, was revoked by root" in logged


@pytest.mark.slow
def test_sighup_reads_tokens_and_certificate_again_whatever_the_configuration_says(tmp_path: Path) -> None:
    port, ca = free_port(), trustme.CA()
    trusting = ssl.create_default_context()
    ca.configure_trust(trusting)
    tls = 'tls_certificate = "a.crt"\ntls_key = "a.key"\n'
    configuration = f'{HTTP}{tls}bind = "127.0.0.1:{port}"\n'
    project(tmp_path, configuration)

    def sign() -> None:
        certificate = ca.issue_cert("127.0.0.1")
        certificate.cert_chain_pems[0].write_to_path(tmp_path / "config" / "a.crt")
        (tmp_path / "config" / "a.key").touch(mode=0o600)
        certificate.private_key_pem.write_to_path(tmp_path / "config" / "a.key")

    def shown() -> str:
        return ssl.get_server_certificate(("127.0.0.1", port))

    sign()
    shop = add(tmp_path / "config" / "tokens.toml", "shop", "operator")
    with serving(tmp_path) as daemon, served_by(daemon, port, trusting) as client:
        first = shown()
        assert client.get("/v1/flows", headers=bearer(shop)).status_code == 200
        sign()
        file = tmp_path / "config" / "tokens.toml"
        file.write_text("")
        configure(tmp_path, f"{configuration}[gateways.wings]\nconcurrency = 3\n")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.listen("RELOADING")
        daemon.listen("READY")
        assert shown() != first
        assert client.get("/v1/flows", headers=bearer(shop)).status_code == 401
        logged = [line["message"] for line in daemon.logged]
        assert any(line.startswith("read again, and in force: ") and "http.tls_certificate" in line for line in logged)
        assert daemon.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("http", "found"),
    [
        ('bind = "0.0.0.0:8443"', "which others can reach, and there are no tokens and no TLS to keep them out"),
        (
            'bind = "0.0.0.0:8443"\ntokens = "tokens.toml"',
            "is '0.0.0.0:8443', which others can reach, and there is no TLS",
        ),
        ('bind = "127.0.0.1:0"\ntokens = "tokens.toml"', "make one by `procession token add NAME --role admin`"),
        ('bind = "127.0.0.1:0"\ntls_certificate = "a.crt"\ntls_key = "a.key"', "which can't be read"),
        ('bind = "127.0.0.1:0"\ntls_key = "a.key"', "give both, the certificate and its key"),
    ],
)
def test_a_start_without_what_keeps_others_out_is_refused_in_a_sentence(tmp_path: Path, http: str, found: str) -> None:
    done = run("run", cwd=project(tmp_path, f"[http]\n{http}\n"))
    assert done.returncode == 2
    assert found in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert not (tmp_path / "procession.db").exists()
