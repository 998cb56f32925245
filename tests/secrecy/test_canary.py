"""Canaries in secret fields go through a run in which everything fails: the journal has them, and nobody tells them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio

from procession.mask import MASK
from tests.secrecy.outputs import FEW_VERBS, Said, from_the_command_line, run_through
from tests.secrecy.vault import CANARY, CARD

QUARANTINED = ("raises", "impure", "nonsense", "misfit", "refused", "given_up", "broken_bank", "misread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vault")


@pytest.fixture(scope="module")
def said(folder: Path) -> Said:
    return trio.run(run_through, folder) | from_the_command_line(folder, FEW_VERBS)


def test_nothing_that_is_shown_tells_a_secret(said: Said) -> None:
    telling = {name: text[max(0, text.index(CANARY) - 300) :][:600] for name, text in said.items() if CANARY in text}
    assert telling == {}


def test_what_is_masked_is_shown_as_masked(said: Said) -> None:
    masked = {name for name, text in said.items() if MASK in text or json.dumps(MASK)[1:-1] in text}
    for order in QUARANTINED:
        assert f"GET /v1/flows/purchase/{order}/history" in masked
    assert {
        "show purchase/raises",
        "log",
        "stream",
        "events",
        "decision",
        "refusal",
        "misfit",
        "nested misfit",
        "bad answer",
    } <= masked


def test_everything_went_wrong_that_should(said: Said) -> None:
    rows = json.loads(said["ls --json"].split(" ", 1)[1].strip())["flows"]
    assert {row["key"] for row in rows if row["status"] == "quarantined"} >= set(QUARANTINED)
    for told in ("can't be judged", "ValueError: no such card", "called open", "the bank says no", "can't keep"):
        assert any(told in text for text in said.values()), told


def test_the_journal_holds_what_code_is_given(folder: Path, said: Said) -> None:
    held = b"".join(file.read_bytes() for file in folder.glob("journal.db*") if file.is_file())
    assert json.dumps(CARD, ensure_ascii=False).encode() in held
