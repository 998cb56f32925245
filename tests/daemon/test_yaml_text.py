"""What is written as YAML is read as what it was, whatever its texts look like."""

from __future__ import annotations

import hypothesis
import pytest
import yaml  # type: ignore[import-untyped]  # it has no types, and its stubs are a package of their own
from hypothesis import strategies as st

from procession.daemon.yaml_text import yaml_text

texts = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["yes", "No", "null", "~", "1", "1e3", "0x1", "2026-01-01", "a: b", "- a", "#", "linkml:types", "y", "=", "<<", ""]
)
data = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@hypothesis.given(st.dictionaries(texts, data, max_size=4))
def test_it_is_read_as_what_it_was(written: dict[str, object]) -> None:
    assert yaml.safe_load(yaml_text(written)) == written


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ({"name": "plain", "says": "a: b"}, 'name: plain\nsays: "a: b"\n'),
        ({"list": ["a", {"b": 1}]}, "list:\n  - a\n  -\n    b: 1\n"),
        ({"none": None, "yes": True, "empty": {}, "bare": []}, 'none: null\n"yes": true\nempty: {}\nbare: []\n'),
        ({}, "{}\n"),
    ],
)
def test_it_reads_well(written: dict[str, object], text: str) -> None:
    assert yaml_text(written) == text
