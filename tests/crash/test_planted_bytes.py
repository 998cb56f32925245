"""The checks of bad bytes find readers that are built wrong."""

from __future__ import annotations

import json
import re
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import pytest
from hypothesis import strategies as st

from procession.primitives.cloudevents import BATCH
from tests.crash import planted_bytes as planted
from tests.crash import readers
from tests.crash.planted_bytes import Plant
from tests.crash.readers import (
    Breach,
    configuration_reads,
    document_reads,
    line_reads,
    payload_reads,
    read_or_refused,
    search_reads,
)
from tests.crash.unmeant import CONFIGURATIONS, DOCUMENTS, EVENTS, LINES, PAYLOADS, TEXTS
from tests.reading.searches import searches

TRIES = hypothesis.settings(
    max_examples=20_000,  # the rarest is met once in 700
    derandomize=True,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)
Tried = Callable[[Path, str], None]


def _trying(check: Callable[[Any], None], examples: st.SearchStrategy[Any]) -> Tried:
    """Until there is a breach with that text; what is built wrong may be found in other ways before."""

    def tried(_: Path, found: str) -> None:
        def one(example: object) -> None:
            try:
                check(example)
            except Breach as breach:
                if re.search(found, str(breach)):
                    raise

        TRIES(hypothesis.given(examples)(one))()

    return tried


lines = _trying(line_reads, LINES)
sound_lines = _trying(lambda event: line_reads(json.dumps(event).encode(), event), EVENTS)
documents = _trying(lambda body: document_reads(body, BATCH), DOCUMENTS)
payloads = _trying(payload_reads, PAYLOADS)
texts = _trying(search_reads, TEXTS)
sound_searches = _trying(lambda search: search_reads(str(search), search), searches)


def configurations(folder: Path, found: str) -> None:
    _trying(lambda text: configuration_reads(folder / "procession.toml", text), CONFIGURATIONS)(folder, found)


FOUND: list[tuple[Plant, Tried, str]] = [
    (planted.asks_for_no_field, lines, "the reader of lines lets a KeyError through"),
    (planted.does_not_bear_depth, lines, "the reader of lines lets a RecursionError through"),
    (planted.takes_nan, lines, "the reader of lines takes what is no JSON"),
    (planted.takes_half_of_a_character, lines, "the reader of lines (takes what is no JSON|lets a UnicodeEncodeError)"),
    (planted.completes_what_was_cut_off, lines, "the reader of lines takes what is no JSON"),
    (planted.takes_the_first_of_two, lines, "the reader of lines (takes .* for the (id|source|type)|reads other data)"),
    (planted.leaves_out_what_is_null, lines, "the reader of lines reads other data"),
    (planted.knows_no_digits_in_extensions, sound_lines, "refuses a sound event: the attribute 'extension1'"),
    (planted.shows_values_as_they_came, lines, "the reader of lines refuses with what is not one line of text"),
    (planted.shows_values_whole, lines, r"the reader of lines refuses with \d+,\d+ characters"),
    (planted.fails_at_writing_what_is_deep, lines, "publishing what the reader of lines took lets a RecursionError"),
    (planted.leaves_out_events_that_are_none, documents, "the reader of documents finds . events where . are"),
    (planted.refuses_everything, payloads, "the codec refuses what fits"),
    (planted.takes_numbers_for_texts, payloads, "the codec takes order_id, which do not fit"),
    (planted.loses_lines, payloads, "the codec reads other data"),
    (
        planted.does_not_expect_fields_to_be_missing,
        payloads,
        "the codec lets a (Key|Attribute|ForbiddenExtraKeys)Error through",
    ),
    (planted.does_not_say_where, payloads, "the codec does not name"),
    (planted.explains_without_end, payloads, r"the codec refuses with \d+,\d+ characters"),
    (planted.looks_beyond_the_end, texts, "the reader of searches lets a IndexError through"),
    (planted.never_comes_to_the_end_of_quotes, texts, "the reader of searches is still at it after"),
    (planted.loses_stars, sound_searches, "the reader of searches takes .* for "),
    (planted.leaves_backslashes_as_they_are, sound_searches, "the reader of searches takes .* for "),
    (planted.points_beyond_the_text, texts, r"the reader of searches refuses at 1\d\d of \d"),
    (planted.writes_errors_as_they_come, texts, "the reader of searches refuses with what is not one line of text"),
    (planted.completes_beyond_the_text, texts, "the completion of searches stands beyond the text"),
    (planted.expects_text, configurations, "the reader of the configuration lets a UnicodeDecodeError through"),
    (planted.expects_no_depth, configurations, "the reader of the configuration lets a RecursionError through"),
    (planted.leaves_out_what_is_no_text, configurations, "the reader of the configuration takes what is no TOML"),
    (planted.leaves_out_what_is_no_setting, configurations, "configuration takes .*, which are no settings"),
    (planted.loses_lists, configurations, "the reader of the configuration reads modules as "),
    (planted.writes_errors_as_they_come, configurations, "configuration refuses with what is not one line of text"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("plant", "tried", "found"), FOUND, ids=[plant.__name__ for plant, _, _ in FOUND])
def test_a_reader_that_is_built_wrong_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plant: Plant, tried: Tried, found: str
) -> None:
    plant(monkeypatch)
    if "is still at it" in found:  # else it stays long: a collection of garbage may come in between
        monkeypatch.setattr(readers, "PROCESSOR_S_MAX", 0.2)
    with pytest.raises(Breach, match=found):
        tried(tmp_path, found)


def test_what_is_cut_off_while_a_weak_reference_calls_back_is_cut_off_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "PROCESSOR_S_MAX", 0.05)

    class Referred:
        pass

    def endless(_: object = None) -> NoReturn:
        while True:
            pass

    def read() -> None:
        referred = Referred()
        reference = weakref.ref(referred, endless)
        del referred  # it calls back: what is raised there Python lets through to nobody
        assert reference() is None
        endless()

    with pytest.raises(Breach, match=r"the reader is still at it after 0\.05 s of processor time"):
        read_or_refused("the reader", read)
