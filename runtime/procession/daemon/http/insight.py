"""Understanding one flow over HTTP: its states, its sequence diagram, a what-if, its export."""

from __future__ import annotations

from typing import Literal

import attrs

from procession.reading.what_if_answer import Edit


@attrs.frozen(kw_only=True)
class StateAsked:
    """At which event."""

    at: int | None = None
    """The version of a step, from 1; default: the last."""


@attrs.frozen(kw_only=True)
class SequenceAsked:
    """Which part, and how it is written."""

    after: int = 0
    """Events after this position."""
    limit: int = 200
    """Events of one page."""
    format: Literal["json", "svg", "mermaid"] = "json"


@attrs.frozen(kw_only=True)
class WhatIfAsked:
    """Edits of a flow's history; they are made all at once, by the versions that the history has now."""

    edits: tuple[Edit, ...]


@attrs.frozen(kw_only=True)
class ExportAsked:
    """How much of it."""

    at: int | None = None
    """Only its first events, up to the step of this version: a fork. Default: all of it."""


@attrs.frozen(kw_only=True)
class DiagramAsked:
    """How it is written."""

    format: Literal["json", "svg"] = "json"
