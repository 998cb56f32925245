"""Canaries through the real command: each verb, a daemon with its log, its environment and its settings."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
import trio

from tests.daemon.command import ROOT, written
from tests.daemon.http.served import cloud_event
from tests.daemon.inside import run_inside
from tests.daemon.serving import serving
from tests.ports import free_port
from tests.secrecy.outputs import MODULE, Said, from_the_command_line, run_through, verbs
from tests.secrecy.vault import CANARY, CARD, IBAN, ORDERS

pytestmark = pytest.mark.slow
DSN = "postgres://ann:CANARY-dsn@db/cards"


def told_in(said: Said) -> Said:
    return {name: text[max(0, text.index(CANARY) - 300) :][:600] for name, text in said.items() if CANARY in text}


def test_no_verb_tells_a_secret(tmp_path: Path) -> None:
    trio.run(run_through, tmp_path)
    said = from_the_command_line(tmp_path, [*verbs(), ("backup", str(tmp_path / "copy.db"))])
    saved = run_inside("salvage", tmp_path / "journal.db", tmp_path / "saved.db", cwd=tmp_path)
    said["salvage"] = f"{saved.code} {saved.out} {saved.err}"
    assert told_in(said) == {}
    assert [name for name, text in said.items() if text.startswith("2 ") and "overwrites nothing" not in text] == []


def test_a_what_if_tells_no_secret(tmp_path: Path) -> None:
    trio.run(run_through, tmp_path)
    said = from_the_command_line(tmp_path, [("what-if", "purchase/well", "--drop", "1")])
    assert told_in(said) == {}
    assert "not sent: " in said["what-if purchase/well --drop 1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A daemon's folder, with every turn run again in a second process."""
    (tmp_path / "config").mkdir()
    settings = f'modules = ["{MODULE}"]\nimport_paths = ["{ROOT}"]\n[purity]\nshadow_replay_ratio = 1.0\n'
    settings += f'[log]\nlevel = "DEBUG"\n[http]\nbind = "127.0.0.1:{free_port()}"\n'
    (tmp_path / "config" / "procession.toml").write_text(settings)
    return tmp_path


def test_a_daemon_tells_no_secret(folder: Path) -> None:
    holder = {"name": "ann", "iban": IBAN}
    events = [
        cloud_event("purchase.card_given", order, {"order": order, "card": CARD, "holder": holder}) for order in ORDERS
    ]
    bad = cloud_event("purchase.card_given", "bad", {"order": "bad", "card": [CARD], "holder": holder})
    file, bad_file = written(folder / "events.jsonl", events), written(folder / "bad.jsonl", [bad])
    acts = [
        ("publish", str(bad_file)),
        ("publish", str(file)),
        ("retry", "purchase/raises", "--reason", "again"),
        ("skip", "purchase/refused", "--reason", "no"),
        ("cancel", "purchase/given_up", "--reason", "no"),
        ("top", "--once"),
        ("show", "purchase/raises"),
        ("why-not", "purchase/pending"),
        ("pause", "bank", "--reason", "no"),
    ]
    said: Said = {}
    with serving(folder, {"CARDS_DSN": DSN}) as daemon:
        for act in acts:
            done = run_inside(*act, "--json", cwd=folder)
            said[" ".join(act)] = done.out + done.err
        bind = next(line for line in (folder / "config" / "procession.toml").read_text().splitlines() if "bind" in line)
        with httpx.Client(base_url=f"http://{json.loads(bind.split(' = ')[1])}", trust_env=False, timeout=30) as client:
            for path in ("/metrics", "/v1/events?limit=500", "/v1/flows/purchase/raises/history", "/v1/gateways"):
                said[path] = client.get(path).text
        assert daemon.stop() == 0
    said["log"] = (folder / "stderr").read_text()
    assert told_in(said) == {}
    assert "no such card" in said["log"]
    assert "no such card" in said["/v1/flows/purchase/raises/history"]


def test_settings_and_modules_that_can_not_be_read_tell_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flaw.py").write_text(f'raise RuntimeError("no connection to {DSN}")\n')
    (tmp_path / "procession.toml").write_text('modules = ["flaw"]\nimport_paths = ["."]\n')
    said: Said = {}
    verbs_of_settings = (("doctor",), ("check",), ("map",), ("run",))
    for verb in verbs_of_settings:
        done = run_inside(*verb, "--config", "procession.toml", cwd=tmp_path)
        said[f"{verb[0]} flaw"] = done.out + done.err
    monkeypatch.setenv("PROCESSION_LOG__LEVEL", DSN)
    for verb in verbs_of_settings:
        done = run_inside(*verb, "--config", "procession.toml", cwd=tmp_path)
        said[verb[0]] = done.out + done.err
    assert told_in(said) == {}
    assert "•••" in said["doctor"]
    assert "no connection to postgres://•••@db/cards" in said["doctor flaw"]
