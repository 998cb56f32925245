"""What a check reports: a code, the place in the user's code, one sentence, the cure."""

from __future__ import annotations

import attrs


@attrs.frozen(order=True)
class Finding:
    """One breach of a law (`LAW01` to `LAW10`), or a fault of a definition (`DEF01` and on)."""

    path: str
    """The user's file."""
    line: int
    code: str
    subject: str
    """The class, and the method where there is one: `Order.paid`."""
    found: str
    cure: str
    allowed: str = ""
    """The reason with which the author allowed it; empty where nobody did."""
    allowable: bool = True
    """Whether `@allows` may cover it. What a class statement or a runtime refuses in any case can't be allowed."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.code} {self.subject} {self.found}; {self.cure}"
