"""Why a command that was sent from outside was not decided; part of the tree of errors.py.

PublishRefused
└── SendRefused              no aggregate decides it; nothing was written
    ├── DecisionFailed       the aggregate's code raised
    └── AggregateSetAside    the aggregate's past can't be folded
"""

from __future__ import annotations

import attrs

from procession.errors import PublishRefused


@attrs.define
class SendRefused(PublishRefused):
    """A command was not decided; nothing was written. The aggregate's own no is no error: it is the reply's refusal."""

    found: str
    cure: str

    _says = "{0.found}; {0.cure}"


@attrs.define
class DecisionFailed(SendRefused):
    """The aggregate's code raised, twice; nothing was written. Mend it, then send again under the same id."""


@attrs.define
class AggregateSetAside(SendRefused):
    """The aggregate's past can't be folded; nothing was written. Mend its class and start again."""
