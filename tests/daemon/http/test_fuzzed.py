"""Thousands of requests, made from the document that a real daemon gives out, and broken in every way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.counts import read_counts
from tests.crash.planting import Fault
from tests.daemon.command import ROOT, environment
from tests.daemon.http import fuzz_faults
from tests.daemon.http.damage import Asked
from tests.daemon.http.known_answers import Answers

_SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
_DONE = {"description": "done", "content": {"application/json": {"schema": _SCHEMA}}}
_DOCUMENT = {
    "paths": {"/v1/things": {"get": {"operationId": "things", "responses": {"200": _DONE}}}},
    "components": {"schemas": {"Problem": {"type": "object", "required": ["title"]}}},
}
_JSON, _PROBLEM = "application/json", "application/problem+json"


@pytest.mark.parametrize(
    ("status", "media", "body", "found"),
    [
        (500, _PROBLEM, b'{"title":"it failed"}', "it failed"),
        (409, _PROBLEM, b'{"title":"no"}', "409 is not documented"),
        (200, "text/plain", b"7", "the media type is text/plain, not application/json"),
        (200, _JSON, b'{"n":"7"}', '"7" is not of type "integer"'),
        (400, _PROBLEM, b"{}", '"title" is a required property'),
        (400, _JSON, b'{"title":"no"}', "the media type is application/json, not application/problem+json"),
        (200, _JSON, b'{"n":7}', ""),
    ],
)
def test_an_answer_that_the_document_does_not_know_is_found(status: int, media: str, body: bytes, found: str) -> None:
    asked = Asked("GET", "/v1/things", {}, b"")
    assert Answers.of(_DOCUMENT).fault(asked, status, media, body) == found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (fuzz_faults.fails_where_nothing_is_sent, "damaged POST 500 it failed"),
        (fuzz_faults.refuses_as_nobody_knows, "damaged POST 418 418 is not documented"),
        (fuzz_faults.logs_what_it_refuses, "traceback in the log"),
        (fuzz_faults.keeps_each_body, "memory"),
        (fuzz_faults.answers_as_another_says, 'damaged POST 200 "2'),
        (fuzz_faults.hears_nothing_after_a_while, "it does not work"),
        (fuzz_faults.can_not_end, "exit code"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, fault: Fault, found: str) -> None:
    options = ["--requests", "100", "--broken", "4", "--only", "/v1/events", "--fault", fault.__name__]
    done = fuzzed(*options, "--json", str(tmp_path / "counts.json"))
    assert done.returncode == 1, done.stderr.decode()
    failures = read_counts(tmp_path / "counts.json").breaches
    assert any(failure.startswith(found) for failure in failures), failures


@pytest.mark.searches
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_ten_thousand_requests_by_the_document_and_broken_ones_bring_nothing_down() -> None:
    done = fuzzed("--requests", "10000")
    assert done.returncode == 0, (done.stdout + done.stderr).decode()[-5_000:]


def fuzzed(*options: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "tests.daemon.http.fuzz", *options]
    return subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, timeout=390, check=False)
