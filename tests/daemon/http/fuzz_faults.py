"""Faults of a daemon that is asked anything over HTTP; planted as those of `tests/crash/served.py`."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import NoReturn

import trio

from procession.daemon.http import publishing
from procession.daemon.http.problems import HttpRefused
from procession.daemon.http.publishing import PublishedEvent
from procession.daemon.http.reading import check_depth
from procession.facade import Runtime
from procession.injectors.answers import Answer
from procession.journal.sqlite import SqliteJournal
from procession.journal_errors import JournalUnwritable
from procession.primitives.event import Event
from procession.primitives.outside import Outside, Position
from tests.crash.planting import plant

_KEPT_BYTES = 6_000_000
_HEARD = 25


def _at_each_body(look: Callable[[bytes], object]) -> None:
    def check(body: bytes, depth_max: int) -> None:
        look(body)
        check_depth(body, depth_max)

    plant(publishing, "check_depth", check)


def fails_where_nothing_is_sent() -> None:
    """An empty body is an error of its own."""

    def look(body: bytes) -> None:
        body[0]

    _at_each_body(look)


def refuses_as_nobody_knows() -> None:
    """An empty body is refused with a status that stands in no document."""

    def look(body: bytes) -> None:
        if not body:
            raise HttpRefused(HTTPStatus.IM_A_TEAPOT, "nothing was sent", "send something")

    _at_each_body(look)


def logs_what_it_refuses() -> None:
    """An empty body leaves a traceback in the log."""

    def look(body: bytes) -> None:
        try:
            body[0]
        except IndexError:
            logging.getLogger("procession.http").exception("nothing was sent")

    _at_each_body(look)


def keeps_each_body() -> None:
    """Each request leaves something behind in memory."""
    kept: list[bytes] = []
    _at_each_body(lambda body: kept.append(body + b"x" * _KEPT_BYTES))


def answers_as_another_says() -> None:
    """Positions are told as texts."""

    def published(answer: Answer) -> PublishedEvent:
        return PublishedEvent(str(answer.id), str(answer.source), str(answer.position), duplicate=False)  # type: ignore[arg-type]  # the fault itself

    plant(publishing, "_published", published)


def hears_nothing_after_a_while() -> None:
    """What is published is told to be durable, and nobody has it."""
    publish = Runtime.publish
    calls = itertools.count()

    async def deaf(runtime: Runtime, events: Sequence[Event | Outside], *, wait: bool = True) -> list[Position]:
        if next(calls) < _HEARD:
            return await publish(runtime, events, wait=wait)
        await trio.lowlevel.checkpoint()
        return [Position(runtime.position + at, duplicate=False) for at, _ in enumerate(events, 1)]

    plant(Runtime, "publish", deaf)


def can_not_end() -> None:
    """The end of the journal is never recorded, for the disk refuses it."""

    async def close(journal: SqliteJournal) -> NoReturn:
        await journal.close()
        raise JournalUnwritable(journal.path, "the disk refuses")

    plant(SqliteJournal, "close_clean", close)


FUZZ_FAULTS = (
    fails_where_nothing_is_sent,
    refuses_as_nobody_knows,
    logs_what_it_refuses,
    keeps_each_body,
    answers_as_another_says,
    hears_nothing_after_a_while,
    can_not_end,
)
