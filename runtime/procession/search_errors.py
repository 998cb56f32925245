"""Why a search or a what-if can't be done as it was asked; part of the tree of errors.py.

SearchRefused                a search can't be read; says where, and what was expected
WhatIfRefused                an edit does not fit the history, or the code gave no answer in time
ImportRefused                a file holds no flow that can be imported
"""

from __future__ import annotations

import attrs

from procession.errors import ProcessionError


@attrs.define
class SearchRefused(ProcessionError):
    """A search can't be read as written; nothing was looked for. Mend the text at the position."""

    text: str
    position: int
    """Of the first character that does not fit, counted from 0; the length of the text where something is missing."""
    found: str
    expected: str

    _says = "at {0.position} of the search: {0.found}; expected {0.expected}"


@attrs.define
class WhatIfRefused(ProcessionError):
    """A what-if can't be answered; nothing was changed, as never."""

    found: str
    cure: str

    _says = "{0.found}; {0.cure}"


@attrs.define
class ImportRefused(ProcessionError):
    """A file holds no flow that can be imported; nothing was written."""

    line: int
    """Counted from 1."""
    found: str
    cure: str

    _says = "line {0.line}: {0.found}; {0.cure}"
