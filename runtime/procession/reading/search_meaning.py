"""What a search means: the flows that a journal is asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import get_args

import attrs

from procession.journal.flow_match import Match
from procession.journal.rows import FlowQuery, FlowStatus
from procession.reading.search_query import Length, Search, Statuses, StatusWord, Texts

_ALL: tuple[FlowStatus, ...] = get_args(FlowStatus)
_SHOWN = frozenset(_ALL) - {"unstarted"}
"""Flows that have not started are found where their status is asked for."""
MEANT: dict[StatusWord, frozenset[FlowStatus]] = {
    **{word: frozenset({word}) for word in _ALL},
    "live": frozenset({"unstarted", "active", "quarantined"}),
    "waiting": frozenset({"unstarted", "active"}),
}
"""`live`: not ended, not cancelled. `waiting`: live, and not set aside."""
_NOTHING = Match("process")
"""Holds of no flow."""


def meaning_of(search: Search, now_us: int, aggregates: Collection[str] = ()) -> FlowQuery:
    """The query that a search stands for, at a time.

    Args:
        aggregates: found only where the search names a process.
    """
    matches = tuple(_matches(search))
    status = _statuses_of(search)
    age, updated = _times(search, now_us)
    names_process = any(match.column == "process" and not match.negated for match in matches)
    return FlowQuery(
        status=tuple(sorted(status)) if status != _SHOWN else (),
        but_not=() if names_process else tuple(aggregates),
        matches=matches if status else (*matches, _NOTHING),
        started_after_us=age.after_us,
        started_before_us=age.before_us,
        updated_after_us=updated.after_us,
        updated_before_us=updated.before_us,
    )


def asks_for_stage(search: Search) -> bool:
    """Whether the steps of each flow must be looked at, which costs more than its row."""
    return any(isinstance(term, Texts) and term.field == "stage" for term in search.terms)


def _statuses_of(search: Search) -> frozenset[FlowStatus]:
    asked = [term for term in search.terms if isinstance(term, Statuses)]
    found = _SHOWN if all(term.negated for term in asked) else frozenset(_ALL)
    for term in asked:
        meant = frozenset[FlowStatus]().union(*(MEANT[word] for word in term.words))
        found = found - meant if term.negated else found & meant
    for texts in search.terms:
        if isinstance(texts, Texts) and not texts.negated:
            found &= _HAVE.get(texts.field, found)
    return found


_HAVE: dict[str, frozenset[FlowStatus]] = {
    "reason": frozenset({"quarantined"}),
    "stage": frozenset({"active", "quarantined"}),
}
"""Which flows have a reason, and of which the steps are looked at."""


def _matches(search: Search) -> Iterator[Match]:
    for term in search.terms:
        if isinstance(term, Texts):
            exact = tuple(value.text for value in term.values if not value.prefix)
            prefixes = tuple(value.text for value in term.values if value.prefix)
            if term.field == "reason":
                yield Match("reason", parts=exact, negated=term.negated)
            else:
                yield Match(term.field, exact=exact, prefixes=prefixes, negated=term.negated)


@attrs.define
class _Span:
    """Between two times, both left out; None is no bound."""

    after_us: int | None = None
    before_us: int | None = None

    def narrow(self, *, after_us: int | None = None, before_us: int | None = None) -> None:
        if after_us is not None:
            self.after_us = after_us if self.after_us is None else max(self.after_us, after_us)
        if before_us is not None:
            self.before_us = before_us if self.before_us is None else min(self.before_us, before_us)


def _times(search: Search, now_us: int) -> tuple[_Span, _Span]:
    """Between which times the flows started, and took their last step."""
    age, updated = _Span(), _Span()
    for term in search.terms:
        if isinstance(term, Length):
            span = age if term.field == "age" else updated
            then_us = now_us - term.seconds * 1_000_000
            if term.longer and not term.negated:
                span.narrow(before_us=then_us)
            elif term.longer:
                span.narrow(after_us=then_us - 1)
            elif not term.negated:
                span.narrow(after_us=then_us)
            else:
                span.narrow(before_us=then_us + 1)
            if term.field == "age":
                age.narrow(after_us=0)  # what has not started has no age
    return age, updated
