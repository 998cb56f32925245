"""Bytes that nobody meant: what reads them answers with an event, a setting, or one typed sentence."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from procession.primitives.cloudevents import BATCH, STRUCTURED
from procession.reading.search_query import Search
from tests.crash.readers import configuration_reads, document_reads, line_reads, payload_reads, search_reads
from tests.crash.unmeant import CONFIGURATIONS, DOCUMENTS, EVENTS, GOOD, LINES, PAYLOADS, TEXTS
from tests.daemon.inside import run_inside
from tests.daemon.serving import project
from tests.reading.searches import searches

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
MANY = hypothesis.settings(max_examples=max(400, hypothesis.settings().max_examples))


@MANY
@hypothesis.given(LINES)
def test_a_line_is_a_cloud_event_or_says_what_is_wrong(line: bytes) -> None:
    line_reads(line)


@MANY
@hypothesis.given(EVENTS)
def test_a_sound_line_is_its_event(event: dict[str, object]) -> None:
    line_reads(json.dumps(event).encode(), event)


@MANY
@hypothesis.given(DOCUMENTS, st.sampled_from([BATCH, STRUCTURED]) | st.text(max_size=20))
def test_a_document_is_events_or_says_what_is_wrong(body: bytes, media: str) -> None:
    document_reads(body, media)


@MANY
@hypothesis.given(st.lists(EVENTS, max_size=3))
def test_a_sound_document_is_its_events(events: list[dict[str, object]]) -> None:
    document_reads(json.dumps(events).encode(), BATCH, len(events))


@MANY
@hypothesis.given(PAYLOADS)
def test_a_payload_is_its_event_or_names_the_field(payload: bytes) -> None:
    payload_reads(payload)


@MANY
@hypothesis.given(TEXTS)
def test_a_text_is_a_search_or_is_refused_at_a_place_in_it(text: str) -> None:
    search_reads(text)


@MANY
@hypothesis.given(searches)
def test_a_search_that_was_written_is_that_search(search: Search) -> None:
    search_reads(str(search), search)


@hypothesis.settings(MANY, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(CONFIGURATIONS)
def test_a_configuration_is_settings_or_says_what_is_wrong(tmp_path: Path, text: bytes) -> None:
    configuration_reads(tmp_path / "procession.toml", text)


FILES: dict[str, tuple[bytes, str]] = {
    "bad UTF-8": (GOOD.replace(b"421", b"\xff"), "no UTF-8"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "no UTF-8"),
    "a null byte": (b"\x00", "no JSON"),
    "deep": (b"[" * 90_000, "no JSON (depth limit exceeded"),
    "NaN": (GOOD.replace(b"2}", b"NaN}"), "no JSON"),
    "a huge number": (GOOD.replace(b"2}", b"9" * 400 + b"}"), "no JSON"),
    "half": (GOOD[:-4], "no JSON"),
    "a list": (b"[]", "no JSON object"),
    "a line too long": (GOOD.replace(b"421", b"x" * 3_000_000), "longer than 1114112 bytes"),
    "a zip bomb": (gzip.compress(b"x" * 50_000_000), "longer than 1114112 bytes"),
    "half a gzip": (gzip.compress(GOOD)[:-9], "the gzip ends in the middle"),
    "no gzip": (b"\x1f\x8b" + b"x" * 50, "the gzip is damaged"),
}


@pytest.mark.parametrize("kind", FILES)
def test_what_can_not_be_published_is_refused_with_its_line_and_one_sentence(tmp_path: Path, kind: str) -> None:
    text, said = FILES[kind]
    project(tmp_path)
    (tmp_path / "events.jsonl").write_bytes(text)
    done = run_inside("publish", "events.jsonl", "--no-wait", cwd=tmp_path)
    assert done.code == 2
    assert "events.jsonl:1: " in done.err
    assert said in done.err
    assert done.err.count("\n") == 1
