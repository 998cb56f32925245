"""Searches, and texts that are nearly ones, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from procession.reading.search_query import (
    LENGTH_FIELDS,
    LENGTH_S_MAX,
    STATUS_WORDS,
    TEXT_FIELDS,
    Length,
    Search,
    Statuses,
    Term,
    Texts,
    Value,
)

texts = st.text('"\\,*:<>- \n\x00\u2003abé\U0001f600', max_size=8)
terms: st.SearchStrategy[Term] = st.one_of(
    st.builds(
        Texts,
        st.sampled_from([field for field in TEXT_FIELDS if field != "reason"]),
        st.lists(st.builds(Value, texts, st.booleans()), min_size=1, max_size=3).map(tuple),
        st.booleans(),
    ),
    st.builds(
        Texts, st.just("reason"), st.lists(st.builds(Value, texts), min_size=1, max_size=3).map(tuple), st.booleans()
    ),
    st.builds(Statuses, st.lists(st.sampled_from(STATUS_WORDS), min_size=1, max_size=3).map(tuple), st.booleans()),
    st.builds(Length, st.sampled_from(LENGTH_FIELDS), st.booleans(), st.integers(0, LENGTH_S_MAX), st.booleans()),
)
searches = st.builds(Search, st.lists(terms, max_size=4).map(tuple))
_WORDS = (
    "process",
    "status",
    "key",
    "age",
    "updated",
    "reason",
    "active",
    "1h",
    "x",
    "é",
    "\ud800",
    "\x00",
    "\u2003",
    "\n",
)
nearly = st.lists(st.sampled_from([*':<>"\\*,- ', *_WORDS]), max_size=12).map("".join)
"""Pieces of searches in any order."""
