"""A route: what may be asked, by whom, with what, and what is answered. Nothing is served that has none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Literal, TypeVar

import attrs
import trio
from starlette.requests import Request

from procession.daemon.http.access import Access
from procession.daemon.http.callers import Caller
from procession.daemon.http.closing import Closing
from procession.daemon.http.law_book import LawBook
from procession.daemon.http.policies import POLICIES, Policy
from procession.daemon.http.problems import HttpRefused
from procession.daemon.http.sampling import Sampler
from procession.daemon.http.sandbox_served import Sandboxes
from procession.daemon.http.source import Source
from procession.daemon.log_ring import LogRing
from procession.facade import Runtime
from procession.http_settings import HttpSettings
from procession.reading.process_diagram import ProcessDiagram

_WHAT_IFS_MAX = 2
T = TypeVar("T")


@attrs.define(eq=False)
class Follower:
    """A client of the stream of events."""

    client: str
    """Its address."""
    types: tuple[str, ...]
    position: int
    """It has been sent all up to here."""


@attrs.define(eq=False)
class Serving:
    """What is served, and how; one for all requests."""

    source: Source
    """What is read: a runtime, or a file."""
    settings: HttpSettings
    closing: Closing
    access: Access
    """Who may ask."""
    logs: LogRing
    """What is logged; it takes nothing until somebody has it kept."""
    sandboxes: Sandboxes | None = None
    """None: none is opened here."""
    streams: int = 0
    """Streams of events that are open."""
    followers: set[Follower] = attrs.field(factory=set)
    """Their clients."""
    counting: trio.Lock = attrs.field(factory=trio.Lock)
    """One process is counted at a time."""
    diagrams: dict[str, tuple[float, ProcessDiagram]] = attrs.field(factory=dict)
    """By process, when it was counted last, and what came of it."""
    what_ifs: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(_WHAT_IFS_MAX))
    """Each is a process for as long as it runs."""
    sampler: Sampler = attrs.field(init=False)
    law_book: LawBook = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.sampler = Sampler(self.source)
        self.law_book = LawBook(self.source.registry)

    @property
    def runtime(self) -> Runtime:
        """The runtime.

        Raises:
            HttpRefused: there is none, a file is looked at.
        """
        if not isinstance(self.source, Runtime):
            raise HttpRefused(
                HTTPStatus.CONFLICT,
                "a journal's file is looked at, and no runtime has it",
                "run `procession run`, and ask there",
            )
        return self.source


@attrs.frozen
class Call:
    """One request on its way to what does it."""

    serving: Serving
    request: Request
    parts: Mapping[str, str]
    """Of the address, by name, decoded."""
    query: object
    body: object
    caller: Caller
    """Who asks."""

    @property
    def runtime(self) -> Runtime:
        """The runtime that is asked, for what only one can do; raises where a file is looked at."""
        return self.serving.runtime

    @property
    def source(self) -> Source:
        """What is read."""
        return self.serving.source

    @property
    def settings(self) -> HttpSettings:
        """The bounds."""
        return self.serving.settings

    def queried(self, cls: type[T]) -> T:
        """The query, which the route declares to be of this class."""
        assert isinstance(self.query, cls), "the route declares it"
        return self.query

    def sent(self, cls: type[T]) -> T:
        """The body, which the route declares to be of this class."""
        assert isinstance(self.body, cls), "the route declares it"
        return self.body


@attrs.frozen
class NoQuery:
    """The route takes no query."""


@attrs.frozen
class Nothing:
    """The answer has no body: 204."""


@attrs.frozen
class Route:
    """One row of the table."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    policy: Policy = attrs.field(validator=attrs.validators.in_(POLICIES))
    """A route without one can't be made."""
    about: str
    """What it does, in a sentence."""
    answers: type
    """A class, written as JSON, or text of its `MEDIA`; `str` is plain text; `Nothing` is no body."""
    does: Callable[[Call], Awaitable[Any]]
    """Returns an instance of `answers`, or a response that holds one."""
    asks: type | None = None
    """The class of the body, from JSON; `bytes`: what does it reads the body itself. None: it has no body."""
    media: tuple[str, ...] = ()
    """Of the body where `asks` is `bytes`."""
    query: type = NoQuery
    also: tuple[str, ...] = ()
    """Other media types that the answer may have, as the query wants it."""
