"""What a search asks of a flow's row, as conditions of SQL over the table `flow`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from procession.journal.flow_match import Match, MatchColumn, lowered
from procession.journal.rows import FlowQuery, FlowStatus

_CODE_POINT_MAX = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)

Where = tuple[list[str], list[object]]
"""Conditions that all must hold, and the values for their marks, in order."""

STAGE = (
    "(select step.name from step where step.flow = flow.id and step.outcome = 'handled'"
    " order by step.position desc limit 1)"
)
"""The handler of the newest event that a flow has handled."""


def matches_of(query: FlowQuery) -> tuple[Match, ...]:
    """All conditions on texts, the plain ones of the query among them."""
    return (*_plain_matches(query), *query.matches)


def _plain_matches(query: FlowQuery) -> Iterator[Match]:
    plain: tuple[tuple[MatchColumn, str | None], ...] = (
        ("process", query.process),
        ("key", query.key),
        ("outcome", query.outcome),
    )
    for column, text in plain:
        if text is not None:
            yield Match(column, exact=(text,))
    if query.key_prefix:
        yield Match("key", prefixes=(query.key_prefix,))
    if query.but_not:
        yield Match("process", exact=query.but_not, negated=True)


def where_of(query: FlowQuery, matches: Sequence[Match]) -> Where:
    """What every row is asked."""
    where: Where = ([], [])
    if query.status:
        where[0].append(f"flow.status in ({_marks(query.status)})")
        where[1].extend(query.status)
    else:
        where[0].append("flow.status <> 'unstarted'")
    for value, condition in (
        (query.started_before_us, "flow.started_us < ?"),
        (query.started_after_us, "flow.started_us > ?"),
        (query.updated_before_us, "flow.updated_us < ?"),
        (query.updated_after_us, "flow.updated_us > ?"),
    ):
        if value is not None:
            where[0].append(condition)
            where[1].append(value)
    for match in matches:
        condition, values = matched(match)
        where[0].append(condition)
        where[1].extend(values)
    return where


def status_stream(status: FlowStatus) -> Where:
    """Flows that have not ended, as their index has them."""
    return ["status = ?", "status <> 'ended'"], [status]


def matched(match: Match) -> tuple[str, list[object]]:
    """One condition on a text."""
    column = STAGE if match.column == "stage" else f"flow.{match.column}"
    parts: list[str] = []
    values: list[object] = []
    if match.exact:
        parts.append(f"{column} in ({_marks(match.exact)})")
        values.extend(match.exact)
    for prefix in match.prefixes:
        condition, bounds = begins(column, prefix)
        parts.append(condition)
        values.extend(bounds)
    for part in match.parts:
        parts.append(f"instr(lower({column}), ?) > 0")
        values.append(lowered(part))
    found = " or ".join(parts) or "false"
    return (f"not coalesce(({found}), false)" if match.negated else f"({found})"), values


def begins(column: str, prefix: str) -> tuple[str, list[object]]:
    """That a text begins like this, as an index can answer it."""
    if not prefix:
        return f"{column} is not null", []
    after = _after(prefix)
    if after is None:
        return f"{column} >= ?", [prefix]
    return f"({column} >= ? and {column} < ?)", [prefix, after]


def _after(prefix: str) -> str | None:
    """The first text after all that begin like this, in the order of code points; None where there is none."""
    cut = prefix.rstrip(chr(_CODE_POINT_MAX))
    if not cut:
        return None
    following = ord(cut[-1]) + 1
    return cut[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
