"""`Cron`: an event at each occurrence of a schedule, once each, whatever the clock and restarts do."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable
from typing import Literal

import attrs
import trio

from procession.errors import IdReused
from procession.injectors.schedule import Schedule
from procession.primitives.event import Event
from procession.primitives.injector import Injector, Intake

logger = logging.getLogger("procession.injectors")

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_LOOK_AGAIN_S = 1.0
"""The wall clock may jump, so it is looked at this often."""


class ScheduleStarted(Event, name="procession.schedule_started"):
    """A schedule was seen for the first time in this journal: what was due before was not missed."""

    schedule: str
    expression: str
    timezone: str


class Cron(Injector, name="cron", events=(ScheduleStarted,)):
    """An event at each occurrence of a cron expression. Needs the extra `cron`.

        Cron("0 6 * * 1-5", make=lambda at: ReportDue(at.date()), timezone="Europe/Berlin", name="morning report")

    An occurrence has the schedule's name and its time in UTC as its id: a restart, a clock that jumps, and two firings
    publish it once. What is due while nothing runs (or while the clock jumps over it) is missed: of all that was
    missed since the schedule was first seen, within `missed_within`, the last one is made up for at the next start, or
    all, or none.

    Args:
        expression: minute, hour, day of month, month, day of week.
        make: the event of an occurrence, from its time, which is in the time zone; the same for the same time.
        timezone: of the IANA database.
        missed: `one` (the last), `all` or `none`.
        missed_within: what is older is not made up for, up to 366 days.
        missed_max: of more than so many the last are made up for, 1 to 100,000.
        late_s: an occurrence that is seen no later than this was not missed, 1 to 3,600.
        name: in the tree and in ids; for ever, as ids go by it. Default: `cron:` and the expression.
    """

    expression: str
    make: Callable[[datetime.datetime], Event]
    timezone: str = attrs.field(default="UTC", kw_only=True)
    missed: Literal["one", "all", "none"] = attrs.field(
        default="one", kw_only=True, validator=attrs.validators.in_(("one", "all", "none"))
    )
    missed_within: datetime.timedelta = attrs.field(
        default=datetime.timedelta(days=1),
        kw_only=True,
        validator=[attrs.validators.ge(datetime.timedelta()), attrs.validators.le(datetime.timedelta(days=366))],
    )
    missed_max: int = attrs.field(
        default=100, kw_only=True, validator=[attrs.validators.ge(1), attrs.validators.le(100_000)]
    )
    late_s: float = attrs.field(
        default=60, kw_only=True, validator=[attrs.validators.ge(1), attrs.validators.le(3_600)]
    )
    _name: str = attrs.field(default="", alias="name", kw_only=True)
    _schedule: Schedule = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Refuse an expression or a zone that is none where it is written."""
        self._schedule = Schedule(self.expression, self.timezone)

    @property
    def actor(self) -> str:
        """Its name in the tree, and in ids."""
        return self._name or f"cron:{self._schedule.expression}"

    async def run(self, publish: Intake) -> None:
        """Publish what was missed, then each occurrence when it is due."""
        seen = await self._first_seen(publish)
        while True:
            now = _now(publish)
            await self._publish_due(publish, seen, now)
            seen = now
            due = self._schedule.after(now)
            due = due and due.astimezone(datetime.UTC)
            # A clock that was set back runs through the same times again, under the same ids.
            while seen <= (now := _now(publish)) and (due is None or now < due):
                seen = now
                wait_s = _LOOK_AGAIN_S if due is None else (due - now).total_seconds()
                await trio.sleep(min(wait_s, _LOOK_AGAIN_S))

    async def _first_seen(self, publish: Intake) -> datetime.datetime:
        """When the journal first heard of this schedule, as it is written now."""
        started = ScheduleStarted(self.actor, self._schedule.expression, self.timezone)
        position = await publish(started, id=f"{started.expression} in {self.timezone}", source=self._source)
        return (await publish.recorded(position)).envelope.recorded_at

    async def _publish_due(self, publish: Intake, seen: datetime.datetime, now: datetime.datetime) -> None:
        on_time_from = now - datetime.timedelta(seconds=self.late_s)
        oldest = now - max(self.missed_within, datetime.timedelta(seconds=self.late_s))
        due = self._schedule.between(max(seen, oldest), now, self.missed_max)
        missed = [at for at in due if at.astimezone(datetime.UTC) < on_time_from]
        on_time = due[len(missed) :]
        if missed:
            made_up = {"one": missed[-1:], "all": missed, "none": []}[self.missed]
            logger.warning("%s missed %d, the last at %s", self.actor, len(missed), missed[-1].isoformat())
            for at in made_up:
                await self._publish(publish, at)
        for at in on_time:
            await self._publish(publish, at)

    async def _publish(self, publish: Intake, at: datetime.datetime) -> None:
        named = at.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        try:
            await publish(self.make(at), id=named, source=self._source)
        except IdReused as known:
            # Published before, when `make` said something else: an occurrence counts once.
            logger.info("%s: %s was published before, as another event (%s)", self.actor, named, known)

    @property
    def _source(self) -> str:
        return f"cron:{self.actor.removeprefix('cron:')}"


def _now(publish: Intake) -> datetime.datetime:
    return _EPOCH + datetime.timedelta(microseconds=publish.now_us())
