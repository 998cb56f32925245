"""A real daemon full of canaries, with all that leaves it and all that it leaves behind: none is told.

Canaries stand in secret fields, in errors of turns and gateways, in the environment, in addresses with passwords, in
tokens. What is swept: the log at DEBUG, traces and metrics as a receiver gets them, every answer that the documents of
HTTP know, both streams, verbs, every file beside the journal, and each column of the journal.
"""

from __future__ import annotations

import json
import re
import signal
import sqlite3
from pathlib import Path

import attrs
import httpx
import pytest

from tests.daemon.command import ROOT, written
from tests.daemon.http.served import cloud_event
from tests.daemon.inside import run_inside
from tests.daemon.serving import serving
from tests.ports import free_port
from tests.secrecy.outputs import Said
from tests.secrecy.vault import CANARY, CARD, IBAN, ORDERS
from tests.telemetry.receiver import receiving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
DSN = "postgres://ann:CANARY-dsn@db/cards"
HELD = {("event", "payload"), ("step", "effects"), ("snapshot", "state"), ("timer", "payload")}
"""Columns that hold what code is given; docs/secrets.md says so."""
FOR_OPERATORS = ("/export", "/sandbox")
"""Of these docs/security.md says that they hold what is masked elsewhere."""
JOURNAL = ("procession.db", "procession.db-wal")


@attrs.define
class Swept:
    """All that was said, and where in the journal canaries are."""

    said: Said = attrs.field(factory=dict)
    columns: set[tuple[str, str]] = attrs.field(factory=set)
    tokens: list[str] = attrs.field(factory=list)

    def told(self) -> dict[str, str]:
        """What tells a canary or a token, with some of it."""
        found: dict[str, str] = {}
        for name, text in self.said.items():
            for secret in (CANARY, *self.tokens):
                if secret in text:
                    found[name] = text[max(0, text.index(secret) - 200) :][:400]
        return found


def sweep(folder: Path, module: str) -> Swept:
    """Run the daemon through all of it."""
    swept, port = Swept(), free_port()
    (folder / "config").mkdir()
    with receiving() as receiver:
        listening = receiver.endpoint.removeprefix("http://")
        text = f'modules = ["{module}"]\nimport_paths = ["{ROOT}"]\n[log]\nlevel = "DEBUG"\n'
        text += f'[http]\nbind = "127.0.0.1:{port}"\ntokens = "tokens.toml"\n[purity]\nshadow_replay_ratio = 0.5\n'
        text += f'[telemetry]\notlp_endpoint = "http://CANARY-name:CANARY-otlp@{listening}"\ntrace_ratio = 1.0\n'
        text += 'otlp_interval_s = 0.05\nmetrics_endpoint = "http://CANARY-name:CANARY-otlp@127.0.0.1:1"\n'
        (folder / "config" / "procession.toml").write_text(text + "metrics_interval_s = 0.2\n")
        for role in ("admin", "operator"):
            made = run_inside("token", "add", role, "--role", role, cwd=folder)
            swept.tokens.append(made.out.strip())
        environ = {"CARDS_DSN": DSN, "OTEL_EXPORTER_OTLP_HEADERS": "authorization=CANARY-header"}
        for number, metrics in ((signal.SIGKILL, "127.0.0.1:1"), (signal.SIGTERM, listening)):
            environ["PROCESSION_TELEMETRY__METRICS_ENDPOINT"] = f"http://CANARY-name:CANARY-otlp@{metrics}"
            with serving(folder, environ) as daemon:
                _act(folder, swept.said, number.name)
                _ask(f"http://127.0.0.1:{port}", swept, number.name)
                receiver.wait_for(lambda spans: any(span.failed for span in spans))
                daemon.stop(number)
            swept.said[f"log {number.name}"] = (folder / "stderr").read_text()
        assert receiver.metrics, "metrics are swept as well as spans"
        swept.said["telemetry"] = b"\n".join(receiver.bodies).decode("latin-1")
    _verbs(folder, swept.said)
    for file in folder.rglob("*"):
        if file.is_file() and file.name not in (*JOURNAL, "events.jsonl", "bad.jsonl", "procession.toml"):
            swept.said[f"file {file.name}"] = file.read_bytes().decode("latin-1")
    swept.columns = _columns(folder / "procession.db")
    return swept


def _act(folder: Path, said: Said, round_: str) -> None:
    holder = {"name": "ann", "iban": IBAN}
    events = [
        cloud_event("purchase.card_given", order, {"order": order, "card": CARD, "holder": holder}) for order in ORDERS
    ]
    bad = cloud_event("purchase.card_given", "bad", {"order": "bad", "card": [CARD], "holder": holder})
    file, bad_file = written(folder / "events.jsonl", events), written(folder / "bad.jsonl", [bad])
    for act in (
        ("publish", str(bad_file)),
        ("publish", str(file)),
        ("retry", "purchase/raises", "--reason", "again"),
        ("top", "--once"),
        ("pause", "bank", "--reason", "no"),
    ):
        done = run_inside(*act, "--json", cwd=folder)
        said[f"{round_} {' '.join(act)}"] = done.out + done.err


def _ask(address: str, swept: Swept, round_: str) -> None:
    """Every GET of the documents, the streams, and what is refused."""
    headers = {"Authorization": f"Bearer {swept.tokens[0]}"}
    with httpx.Client(base_url=address, trust_env=False, headers=headers, timeout=30) as client:
        document = client.get("/openapi.json")
        swept.said[f"{round_} openapi"] = document.text
        for path, operations in document.json()["paths"].items():
            if "get" not in operations or path.endswith("/stream") or any(part in path for part in FOR_OPERATORS):
                continue
            for key in ("raises", "well", "given_up", "pending"):
                parts = {"process": "purchase", "key": key, "name": "bank", "type": "purchase.card_given", "task": "x"}
                filled = path
                for part, value in parts.items():
                    filled = filled.replace(f"{{{part}}}", value)
                answer = client.get(filled)
                swept.said[f"{round_} GET {filled}"] = f"{answer.status_code} {answer.headers} {answer.text}"
        kind = {"Content-Type": "application/cloudevents+json"}
        bad = cloud_event("purchase.card_given", "worse", {"order": "x", "card": [CARD], "holder": CARD})
        swept.said[f"{round_} POST"] = client.post("/v1/events", content=json.dumps(bad), headers=kind).text
        asked = {"Authorization": f"Bearer {swept.tokens[1]}x"}
        swept.said[f"{round_} wrong token"] = client.get(f"/v1/flows/{swept.tokens[1]}/x", headers=asked).text
        kept = client.get("/v1/logs/stream?follow=no").text
        for stream, last in (
            ("/v1/events/stream?after=0", client.get("/v1/positions").json()["position"]),
            ("/v1/logs/stream", _last_id(kept)),
        ):
            swept.said[f"{round_} {stream}"] = _followed(client, stream, last)


def _followed(client: httpx.Client, stream: str, last: int) -> str:
    """What a stream tells until it is at this number."""
    told = ""
    with client.stream("GET", stream) as response:
        for piece in response.iter_text():
            told += piece
            if _last_id(told[-100_000:]) >= last:  # no message is as long
                break
    return f"{response.status_code} {told}"


def _last_id(told: str) -> int:
    """The number of the last message that is here whole."""
    whole = told[: told.rfind("\n\n") + 1]
    return max((int(found) for found in re.findall(r"^id: (?:\w+-)?(\d+)$", whole, re.MULTILINE)), default=0)


def _verbs(folder: Path, said: Said) -> None:
    for verb in (
        ("doctor",),
        ("ls",),
        ("show", "purchase/raises"),
        ("why", "purchase/well", "purchase.charge"),
        ("map",),
    ):
        for form in ((), ("--json",)):
            done = run_inside(*verb, *form, cwd=folder)
            said[" ".join((*verb, *form))] = done.out + done.err


def _columns(journal: Path) -> set[tuple[str, str]]:
    """The columns of the journal in which a canary stands."""
    found = set()
    with sqlite3.connect(journal) as connection:
        for (table,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall():
            for _, column, *_ in connection.execute(f'pragma table_info("{table}")').fetchall():
                query = f'select count(*) from "{table}" where instr(cast("{column}" as text), ?)'
                if connection.execute(query, (CANARY,)).fetchone()[0]:
                    found.add((table, column))
    connection.close()
    return found


def test_a_daemon_tells_no_canary_and_keeps_them_where_the_docs_say(tmp_path: Path) -> None:
    swept = sweep(tmp_path, "tests.secrecy.vault")
    assert swept.told() == {}
    assert ("event", "payload") in swept.columns
    assert swept.columns - HELD == set()
    assert "ValueError" in swept.said["log SIGKILL"]
    assert len([name for name in swept.said if " GET " in name]) > 60
    assert swept.said["SIGTERM /v1/events/stream?after=0"].count("purchase.card_given") > 5


def test_the_sweep_finds_a_log_line_that_prints_a_payload(tmp_path: Path) -> None:
    swept = sweep(tmp_path, "tests.secrecy.leaky")
    assert {"log SIGKILL", "SIGTERM /v1/logs/stream"} <= swept.told().keys()
