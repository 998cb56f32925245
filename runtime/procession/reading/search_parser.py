"""Reading a search: the grammar of search_query.py, one function for each of its rules."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import cast

import attrs

from procession.errors import cut_short
from procession.reading.search_query import (
    FIELDS,
    LENGTH_FIELDS,
    LENGTH_S_MAX,
    STATUS_WORDS,
    TEXT_FIELDS,
    UNITS_S,
    Length,
    LengthField,
    Search,
    Statuses,
    StatusWord,
    Term,
    TextField,
    Texts,
    Value,
)
from procession.search_errors import SearchRefused

TEXT_CHARS_MAX = 2_000
TERMS_MAX = 32
VALUES_MAX = 50
_HALF = re.compile("[\ud800-\udfff]")
_SPACE = re.compile(r"\s*")
_FIELD = re.compile(r"([A-Za-z_]+)([:<>])")
_VALUE_WORD = re.compile(r"[^\s\"\\,*]+")
_TEXT_WORD = re.compile(r"[^\s\"\\,*:<>]+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_ESCAPED = re.compile(r"\\([\"\\])")
_LENGTH = re.compile(r"(?:[0-9]{1,10}[wdhms])+")
_LENGTH_PART = re.compile(r"([0-9]+)([wdhms])")
_A_FIELD = f"a field ({', '.join(FIELDS)}), or a text of a reason"
_A_LENGTH = "a length of time, like 90s, 15m, 2h, 1h30m, 3d or 1w"


def parse_search(text: str) -> Search:
    """A search as it was written.

    Raises:
        SearchRefused: it can't be read; says where, and what was expected.
    """
    parser = _Parser(text)
    if len(text) > TEXT_CHARS_MAX:
        raise parser.refused(TEXT_CHARS_MAX, "it goes on", f"at most {TEXT_CHARS_MAX} characters")
    half = _HALF.search(text)
    if half is not None:
        raise parser.refused(half.start(), "half of a character", "text that can be written as UTF-8")
    return parser.search()


@attrs.define
class _Parser:
    """Stands at a place of the text; each rule reads on from there."""

    text: str
    at: int = 0

    def search(self) -> Search:
        terms: list[Term] = []
        self._take(_SPACE)
        while self.at < len(self.text):
            if len(terms) == TERMS_MAX:
                raise self.refused(self.at, "one more term", f"at most {TERMS_MAX}")
            terms.append(self._term())
            place = self.at
            self._take(_SPACE)
            if self.at == place < len(self.text):
                raise self.refused(place, self._found(), "a space before the next term")
        return Search(tuple(terms))

    def _term(self) -> Term:
        negated = self._eat("-")
        field = _FIELD.match(self.text, self.at)
        if field is None:
            return Texts("reason", (Value(self._text(_TEXT_WORD, _A_FIELD)),), negated)
        return self._filter(field, negated=negated)

    def _filter(self, field: re.Match[str], *, negated: bool) -> Term:
        name, sign = field.group(1), field.group(2)
        if name not in FIELDS:
            raise self.refused(
                self.at, f"there is no field {cut_short(name)}", f"{_A_FIELD}, in quotes{_meant(name, FIELDS)}"
            )
        self.at = field.end()
        if name in LENGTH_FIELDS:
            if sign == ":":
                raise self.refused(self.at - 1, f"a colon after {name}", f"{name}<LENGTH or {name}>LENGTH")
            return Length(cast("LengthField", name), sign == ">", self._length(), negated)
        if sign != ":":
            raise self.refused(self.at - 1, f"{sign} after {name}", f"a colon: {name}:VALUE")
        if name == "status":
            return Statuses(self._statuses(), negated)
        assert name in TEXT_FIELDS, "no other field is left"
        return Texts(cast("TextField", name), self._values(name), negated)

    def _values(self, field: str) -> tuple[Value, ...]:
        found = [self._value(field)]
        while self._eat(","):
            self._check_room(len(found))
            found.append(self._value(field))
        return tuple(found)

    def _value(self, field: str) -> Value:
        place = self.at
        text = "" if self.text[place : place + 1] == "*" else self._text(_VALUE_WORD, f"a value for {field}")
        star = self.at
        prefix = self._eat("*")
        if prefix and field == "reason":
            raise self.refused(star, "a star", "a text without one: it is found anywhere in the reason")
        return Value(text, prefix)

    def _statuses(self) -> tuple[StatusWord, ...]:
        found = [self._status()]
        while self._eat(","):
            self._check_room(len(found))
            found.append(self._status())
        return tuple(found)

    def _status(self) -> StatusWord:
        place, known = self.at, " or ".join((", ".join(STATUS_WORDS[:-1]), STATUS_WORDS[-1]))
        word = self._text(_VALUE_WORD, f"a status: {known}")
        if word not in STATUS_WORDS:
            raise self.refused(place, f"there is no status {cut_short(word)}", f"{known}{_meant(word, STATUS_WORDS)}")
        return word

    def _length(self) -> int:
        place = self.at
        word = self._text(_VALUE_WORD, _A_LENGTH)
        if not _LENGTH.fullmatch(word):
            raise self.refused(place, f"{cut_short(word)} is no length of time", _A_LENGTH)
        seconds = sum(int(number) * UNITS_S[unit] for number, unit in _LENGTH_PART.findall(word))
        if seconds > LENGTH_S_MAX:
            raise self.refused(place, f"{cut_short(word)} is more than a hundred years", "a shorter time")
        return seconds

    def _text(self, word: re.Pattern[str], expected: str) -> str:
        """A word, or what stands in quotes."""
        quoted = self._take(_QUOTED)
        if quoted is not None:
            return _ESCAPED.sub(r"\1", quoted.group(1))
        if self.text[self.at : self.at + 1] == '"':
            raise self.refused(*self._in_quotes())
        found = self._take(word)
        if found is None:
            raise self.refused(self.at, self._found(), expected)
        return found.group()

    def _in_quotes(self) -> tuple[int, str, str]:
        """What is wrong with a text that begins with a quote here."""
        place = self.at + 1
        while place < len(self.text):
            if self.text[place] == "\\" and self.text[place + 1 : place + 2] not in ('"', "\\"):
                return place, "a backslash", 'a quote or a backslash after it (\\" or \\\\)'
            place += 2 if self.text[place] == "\\" else 1
        return len(self.text), "the end", "the quote that ends the text"

    def _check_room(self, number: int) -> None:
        if number == VALUES_MAX:
            raise self.refused(self.at, "one more value", f"at most {VALUES_MAX}")

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
        return found

    def _eat(self, character: str) -> bool:
        if self.text[self.at : self.at + 1] != character:
            return False
        self.at += 1
        return True

    def _found(self) -> str:
        return repr(self.text[self.at]) if self.at < len(self.text) else "the end"

    def refused(self, at: int, found: str, expected: str) -> SearchRefused:
        """The error for what stands at a place."""
        return SearchRefused(self.text, at, found, expected)


def _meant(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
