"""What archiving did: told to callers, who need not load the archiver for that."""

from __future__ import annotations

import attrs


@attrs.define
class Archived:
    """What a run has done so far."""

    flows: int = 0
    """Gone from the journal."""
    events: int = 0
    files: int = 0
    bytes: int = 0
    """Of the files that it made."""
    resumed: int = 0
    """Files that an earlier run had made and not brought to an end."""
