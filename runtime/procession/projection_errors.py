"""Errors about projections; they hang in the tree that `errors.py` draws."""

from __future__ import annotations

import attrs

from procession.errors import ProcessionError, WiringError


class ProjectionError(ProcessionError):
    """A projection can't be folded, rebuilt or asked. The journal and every flow are as they were."""


@attrs.define
class ProjectionChanged(ProjectionError, WiringError):
    """A projector is not the one that made its store; nothing was written. Raise its version, or rebuild it."""


@attrs.define
class StoreUnusable(ProjectionError):
    """The store of a projection can't be used; it was not touched. The journal still holds all that is in it."""

    path: str
    found: str
    cure: str

    _says = "{0.path} can't be used as the store of a projection: {0.found}; {0.cure}"


@attrs.define
class StoreRefused(ProjectionError):
    """A statement reached for something else than the rows of its own store; nothing of its batch was written."""

    projector: str
    found: str
    cure: str

    _says = "the store of {0.projector} refuses it: {0.found}; {0.cure}"


@attrs.define
class ProjectionFailed(ProjectionError):
    """A handler raised; the projection stands before its event. It is tried again, with back-off."""

    projector: str
    handler: str
    position: int
    found: str

    _says = (
        "{0.handler} of projector {0.projector} failed at position {0.position}: {0.found}; mend it, nothing is lost"
    )


@attrs.define
class ProjectionStopped(ProjectionError):
    """The projector failed too often and has stopped, short of what was asked. Mend it, then restart or rebuild."""

    projector: str
    position: int
    found: str

    _says = "projector {0.projector} has stopped at position {0.position}: {0.found}; mend it, then restart or rebuild"


@attrs.define
class ProjectionBehind(ProjectionError, TimeoutError):
    """The projection did not reach the position in time. Ask again, or without `at_least`."""

    projector: str
    position: int
    position_asked: int
    timeout_s: float
    found: str
    """What it does meanwhile."""

    _says = (
        "projection {0.projector} is at position {0.position}, asked for was {0.position_asked} within"
        " {0.timeout_s:g} s ({0.found}); ask again, or without at_least"
    )


@attrs.define
class QueryRefused(ProjectionError):
    """A query can't be answered as it is: it writes, it is no SQL, or it asks for what is not there."""

    projector: str
    found: str

    _says = "the query of projection {0.projector} is refused: {0.found}; a query reads the tables of its projection"
