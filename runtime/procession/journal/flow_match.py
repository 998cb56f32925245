"""One condition on flows, beside the plain ones of a `FlowQuery`."""

from __future__ import annotations

from typing import Literal

import attrs

MatchColumn = Literal["process", "key", "outcome", "reason", "stage"]
_LOWERED = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


@attrs.frozen
class Match:
    """A column is one of these texts, or begins or is made of one of them; or, negated, none.

    What has no value matches nothing, so a negated condition holds of it.
    """

    column: MatchColumn
    """`stage`: the handler of the newest event that a flow has handled."""
    exact: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    """Texts that it contains; letters of ASCII in either case."""
    negated: bool = False

    def holds(self, value: str | None) -> bool:
        """Whether it holds of a value."""
        return (value is not None and self._is_one(value)) != self.negated

    def _is_one(self, value: str) -> bool:
        if value in self.exact or value.startswith(self.prefixes):
            return True
        lowered_value = lowered(value)
        return any(lowered(part) in lowered_value for part in self.parts)


def lowered(text: str) -> str:
    """With the letters of ASCII in lower case, as SQLite has them."""
    return text.translate(_LOWERED)
