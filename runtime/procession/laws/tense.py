"""Is a name in the past tense? `OrderPlaced` and `StockRanOut` are, `PlaceOrder` and `OrderPlacement` are not."""

from __future__ import annotations

import re

from procession.laws.participles import IRREGULAR, NOT_PAST, PAST_IN_EED, PREFIXES, SAME_FORM, STATES

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_PAST_CHARS_MIN = 4


def is_past_tense(name: str) -> bool:
    """Whether one of the words of a class name is a past tense or a participle, wherever it stands.

    It knows English. What it takes for a past tense and is none passes: a wrong accusation is worse than a miss.
    """
    words = [word.lower() for word in _WORDS.findall(name)]
    return any(_is_past(word, alone=len(words) == 1, first=number == 0) for number, word in enumerate(words))


def _is_past(word: str, *, alone: bool, first: bool) -> bool:
    if word in IRREGULAR or word in STATES or _is_regular(word):
        return True
    if word in SAME_FORM:
        return alone or not first
    for prefix in PREFIXES:
        rest = word.removeprefix(prefix).removeprefix("-")
        if rest != word and (rest in IRREGULAR or (rest in SAME_FORM and not first)):
            return True
    return False


def _is_regular(word: str) -> bool:
    if word.endswith("eed"):
        return word in PAST_IN_EED
    return word.endswith("ed") and len(word) >= _PAST_CHARS_MIN and word not in NOT_PAST
