"""The language of searches: what is written reads as itself, and what can't be read says where and why."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given

from procession.reading.search_parser import TERMS_MAX, TEXT_CHARS_MAX, VALUES_MAX, parse_search
from procession.reading.search_query import Length, Search, Statuses, Term, Texts, Value
from procession.search_errors import SearchRefused
from tests.reading.searches import nearly, searches


@given(searches)
def test_a_search_reads_as_it_was_written(search: Search) -> None:
    assert parse_search(str(search)) == search


@given(nearly)
def test_any_text_is_read_or_refused_at_a_place_in_it(text: str) -> None:
    with contextlib.suppress(SearchRefused):
        assert parse_search(str(parse_search(text))) == parse_search(text)
        return
    with pytest.raises(SearchRefused) as refused:
        parse_search(text)
    assert 0 <= refused.value.position <= len(text)
    assert refused.value.expected


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", ()),
        ("process:order", (Texts("process", (Value("order"),)),)),
        ("-key:42*,43", (Texts("key", (Value("42", prefix=True), Value("43")), negated=True),)),
        ('key:"a b"* ', (Texts("key", (Value("a b", prefix=True),)),)),
        ("key:urn:x:1", (Texts("key", (Value("urn:x:1"),)),)),
        ("status:waiting,quarantined", (Statuses(("waiting", "quarantined")),)),
        ("age>1h30m updated<5m", (Length("age", True, 5400), Length("updated", False, 300))),
        (r'"he said \"no\" \\"', (Texts("reason", (Value('he said "no" \\'),)),)),
        ("timeout -stock", (Texts("reason", (Value("timeout"),)), Texts("reason", (Value("stock"),), negated=True))),
        ("reason:a,b", (Texts("reason", (Value("a"), Value("b"))),)),
    ],
)
def test_a_search_means_its_terms(text: str, terms: tuple[Term, ...]) -> None:
    assert parse_search(text).terms == terms


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("process:order statu:x", 14, "did you mean status?"),
        ("status:activ", 7, "did you mean active?"),
        ("process:", 8, "a value for process"),
        ("process:order,", 14, "a value for process"),
        ("key:4*2", 6, "a space"),
        ("reason:x*", 8, "without one"),
        ("age:1h", 3, "age<LENGTH or age>LENGTH"),
        ("age>soon", 4, "a length of time"),
        ("age>9999999w", 4, "a shorter time"),
        ("key<4", 3, "a colon"),
        ('key:"421', 8, "the quote that ends"),
        (r'"a\b"', 2, "a quote or a backslash"),
        ("-", 1, "a field"),
        ("http://x", 0, "in quotes"),
        ("x " * (TERMS_MAX + 1), 2 * TERMS_MAX, f"at most {TERMS_MAX}"),
        ("key:" + ",".join("x" * (VALUES_MAX + 1)), 2 * VALUES_MAX + 4, f"at most {VALUES_MAX}"),
        ("x" * (TEXT_CHARS_MAX + 1), TEXT_CHARS_MAX, "characters"),
        ("a\ud800", 1, "UTF-8"),
    ],
)
def test_what_can_not_be_read_says_where_and_what_was_expected(text: str, position: int, says: str) -> None:
    with pytest.raises(SearchRefused) as refused:
        parse_search(text)
    assert (refused.value.position, says in refused.value.expected) == (position, True), str(refused.value)


def test_a_word_with_a_line_break_is_refused_in_one_line() -> None:
    with pytest.raises(SearchRefused) as refused:
        parse_search('status:"a\nb"')
    assert str(refused.value).isprintable()
